"""``anynet predict --show``: pictures as the network received them, with the predicted classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli.runs import new_folder, refuse_existing
from anynet.cli.terminal import complain, percent
from anynet.data.image_format import ImageFormat
from anynet.errors import InvalidArgumentError

#: Maximum number of pictures that are drawn.
MOST_SHOWN = 200


@dataclass
class NetworkInputs:
    """The inputs of pictures, which are drawn when all are predicted.

    Attributes
    ----------
    path : Path
        A PNG file for all of them, or a new folder for one file each.
    wanted : ImageFormat
        Format of the images of training.
    """

    path: Path
    wanted: ImageFormat
    _ink: list[np.ndarray] = field(default_factory=list)
    _answers: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, wanted: ImageFormat | None) -> "NetworkInputs":
        """Return an empty list for a path where nothing exists.

        Raises
        ------
        InvalidArgumentError
            If something exists there, or the model was not trained on images.
        """
        if wanted is None:
            message = "--show draws images, and the model was not trained on images"
            raise InvalidArgumentError(message)
        refuse_existing(path, "--show")
        return cls(path, wanted)

    def add(self, rows: np.ndarray, answers: Sequence[dict[str, Any]]) -> None:
        """Add the preprocessed inputs (N, features) of pictures, and their predictions."""
        ink = (rows - self.wanted.paper) / (self.wanted.top - self.wanted.paper)
        self._ink += list(ink.reshape(-1, *self.wanted.shape))
        self._answers += answers

    def write(self) -> str:
        """Draw all of them, and return what was written; nothing if there are none."""
        from anynet.cli.evaluation_plots import save_examples

        if not self._ink:
            return ""
        if len(self._ink) > MOST_SHOWN:
            count = f"the first {MOST_SHOWN} of {len(self._ink):,} pictures"
            complain(f"{self.path} shows {count}", "anynet: note: ")
        ink, answers = np.stack(self._ink[:MOST_SHOWN]), self._answers[:MOST_SHOWN]
        files = [answer["file"] for answer in answers]
        single = len({*files}) == 1
        captions = [_caption(answer, files, single=single) for answer in answers]
        size = " × ".join(map(str, self.wanted.shape))
        name = f"{Path(files[0]).name}: " if single else ""
        if self.path.suffix.lower() == ".png":
            save_examples(self.path, ink, captions, f"{name}the {size} inputs of the network")
            return f"{self.path}: the inputs of the network"
        with new_folder(self.path, numbered=False) as new:
            for at, (answer, caption) in enumerate(zip(answers, captions, strict=True)):
                file = new.scratch / f"{at + 1:03d}-{Path(answer['file']).stem[:40]}.png"
                save_examples(file, ink[at : at + 1], [caption], f"the {size} input of the network")
        return f"{self.path}: the inputs of the network, a file each"


def _caption(answer: dict[str, Any], files: Sequence[str], *, single: bool) -> tuple[str, str]:
    """Return the file of a picture or its index there, and its class with the probability."""
    place = Path(answer["file"]).name
    if files.count(answer["file"]) > 1:
        place = f"{'image' if single else place[:8] + '…'} {answer['index']}"
    return place, f"{answer['class']}  {percent(answer['probability'])}"
