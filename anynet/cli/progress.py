"""Progress of training and downloads, on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from anynet.cli.terminal import say
from anynet.errors import printable
from anynet.training import EpochRecord, PopulationProgress, Progress

_EPOCHS = "{desc} |{bar:20}|{postfix}"
_LAYOUT = "{desc} {percentage:3.0f}% |{bar:20}| {rate_fmt}{postfix}"


@dataclass
class ProgressBar:
    """A live bar for each epoch, replaced by a line at its end; only the line without a terminal.

    Pass `update` to ``fit`` as ``progress``, and `finish` among the ``callbacks``.

    Parameters
    ----------
    epochs : int
        Maximum number of epochs.
    rows : int
        Number of samples in an epoch.
    silent : bool
        Whether nothing is shown.
    metric : str
        Name of the scores.
    """

    epochs: int
    rows: int
    silent: bool = False
    metric: str = "accuracy"
    bar: Any = field(default=None, init=False)

    @property
    def live(self) -> bool:
        """Whether there is a terminal on which a bar is drawn."""
        return not self.silent and sys.stderr.isatty()

    def update(self, progress: Progress) -> None:
        """Draw the progress within an epoch."""
        if not self.live:
            return
        if self.bar is None:
            self.bar = tqdm(
                total=self.rows,
                desc=self._label(progress.epoch),
                unit=" samples",
                unit_scale=True,
                bar_format=_LAYOUT,
                leave=False,
                dynamic_ncols=True,
            )
        shown = f"loss {progress.loss:.4f}, {self.metric} {progress.score:.4f}"
        self.bar.set_postfix_str(shown, refresh=False)
        self.bar.update(progress.samples - self.bar.n)

    def finish(self, record: EpochRecord) -> None:
        """Replace the bar of an epoch by a line with its results."""
        self.close()
        if self.silent:
            return
        text = f"loss {record.train_loss:.4f}  {self.metric} {record.train_score:.4f}"
        if record.validation_score is not None:
            text += f"  validation {record.validation_score:.4f}"
        if record.selection_score is not None:
            text += f"  scoring {record.selection_score:.4f}"
        rate = self.rows / max(record.seconds, 1e-9)
        say(f"{self._label(record.epoch)}  {text}  {rate:,.0f} samples/s", file=sys.stderr)

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _label(self, epoch: int) -> str:
        return f"epoch {epoch:{len(str(self.epochs))}}/{self.epochs}"


@dataclass
class PresetBar:
    """A live bar for the networks of a preset; nothing without a terminal.

    Pass `update` to ``train_preset`` as ``progress``.

    Parameters
    ----------
    time_limit : float or None
        Seconds after which training stops.
    silent : bool
        Whether nothing is shown.
    """

    time_limit: float | None = None
    silent: bool = False
    started: float = field(default_factory=time.monotonic, init=False)
    group: int = field(default=0, init=False)
    bar: Any = field(default=None, init=False)

    @property
    def live(self) -> bool:
        """Whether there is a terminal on which a bar is drawn."""
        return not self.silent and sys.stderr.isatty()

    def update(self, progress: PopulationProgress) -> None:
        """Draw the progress after an epoch: networks, epoch, best score, and the time left."""
        if not self.live:
            return
        begins = self.bar is None or progress.group != self.group
        if begins:
            self.close()
            self.group = progress.group
            self.bar = tqdm(total=progress.epochs, bar_format=_EPOCHS, leave=False, unit=" epochs")
        groups = f"group {progress.group}/{progress.groups}: " if progress.groups > 1 else ""
        shown = [f"{groups}{progress.active} of {progress.members} networks"]
        if progress.score is not None:
            shown.append(f"best validation {progress.scoring} {progress.score:.4f}")
        if self.time_limit is not None:
            left = self.time_limit - (time.monotonic() - self.started)
            shown.append(f"{max(left, 0):.0f} s left")
        self.bar.set_description_str(f"epoch {progress.epoch}/{progress.epochs}", refresh=False)
        self.bar.set_postfix_str(", ".join(shown), refresh=False)
        self.bar.update(progress.epoch - self.bar.n)
        if begins:
            self.bar.refresh()

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


@contextmanager
def download_bar(name: str, *, silent: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callable for the ``progress`` of a download; its bar appears with the first bytes."""
    bar: Any = None

    def show(done: int, total: int | None) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(desc=printable(name), unit="B", unit_scale=True, disable=silent or None)
        if done < bar.n:  # the next file begins
            bar.reset()
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
