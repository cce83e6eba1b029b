"""What the files of a run tell about it: finished or not, of this version or an earlier one."""

import csv
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli.config import ABOUT, read_toml
from anynet.cli.runs import CONFIG_FILE, is_run, model_file
from anynet.errors import AnynetError, DataError, ModelFileError
from anynet.nn import Network
from anynet.training import History
from anynet.training.checkpoint import container
from anynet.training.checkpoint.folder import KEY as CHECKPOINT_KEY
from anynet.training.checkpoint.snapshot import completed
from anynet.training.history import EpochRecord
from anynet.training.model_file import CHECKPOINTS, MODEL_FILE, SavedModels, read_models

HISTORY_FILE = "history.csv"
STUDY_FILE = "results.json"

#: A curve of a network by name: a value for each epoch, None where there is none.
Curves = dict[str, list[float | None]]


@dataclass(frozen=True)
class Record:
    """A run, a model file, or the newest checkpoint of an unfinished run.

    Attributes
    ----------
    path : Path
        As given.
    saved : SavedModels or None
        The networks with their weights; None if the run is unfinished.
    networks : list of Network
        Also of an unfinished run; empty if it has no checkpoint that can be read.
    metadata : dict
        Of the model, or of the checkpoint.
    options : dict
        Options in config.toml, by their names there; empty for a model file.
    about : dict
        Results in config.toml.
    curves : list of dict
        Of each network.
    file : Path or None
        The model file, or the checkpoint.
    total : int or None
        Maximum number of epochs of an unfinished run.
    """

    path: Path
    saved: SavedModels | None = None
    networks: list[Network] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    curves: list[Curves] = field(default_factory=list)
    file: Path | None = None
    total: int | None = None

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Read a run folder, a model file, a folder of checkpoints, or a checkpoint.

        Raises
        ------
        ModelFileError
            If there is none of these, or it is damaged.
        """
        if (path / STUDY_FILE).is_file():
            message = (
                f"{path} is the folder of a study, which has no model: anynet compare {path}, with "
                f"no other run, compares its points"
            )
            raise ModelFileError(message)
        if (path / CHECKPOINTS).is_dir():
            return cls._unfinished(path, _newest(path / CHECKPOINTS))
        if path.is_dir() and _newest(path):
            return cls._unfinished(path, _newest(path))
        if path.is_file() and _is_checkpoint(path):
            return cls._unfinished(path, [path])
        inside = (
            sorted(filter(is_run, path.iterdir())) if path.is_dir() and not is_run(path) else []
        )
        if inside:
            message = f"{path} holds runs: name one, such as {inside[0]}, or see anynet compare"
            raise ModelFileError(message)
        file = model_file(path)
        saved = read_models(file)
        folder = path if path.is_dir() else path.parent
        own = path.is_dir() or path.name == MODEL_FILE
        table = _config(folder) if own else {}
        curves = _curves_of_csv(folder / HISTORY_FILE) if own else []
        return cls(
            path,
            saved,
            [one.network for one in saved.models],
            saved.metadata,
            {name: value for name, value in table.items() if name != ABOUT},
            {name: value for name, value in table.get(ABOUT, {}).items() if not _is_nan(value)},
            curves or _curves_of_estimator(saved.metadata),
            file,
        )

    @classmethod
    def _unfinished(cls, path: Path, files: Sequence[Path]) -> "Record":
        """Read the newest checkpoint that is sound; nothing is locked or changed."""
        options = {name: value for name, value in _config(path).items() if name != ABOUT}
        for file in files:
            with suppress(AnynetError, OSError, KeyError, TypeError, ValueError):
                content = container.read_container(file, CHECKPOINT_KEY, "checkpoint").content
                members = content.get("members", [content])
                described = content.get("population", [content.get("arguments")])
                networks = [Network.from_config(one["network"]) for one in described]
                curves = [_curves(completed(one)["history"]) for one in members]
                metadata = described[0].get("metadata") or {}
                total = described[0].get("epochs")
                return cls(path, None, networks, metadata, options, {}, curves, file, total)
        return cls(path, options=options)

    @property
    def finished(self) -> bool:
        """Whether there is a model."""
        return self.saved is not None

    @cached_property
    def n_parameters(self) -> int:
        """The number of parameters of all networks."""
        return sum(network.n_parameters for network in self.networks)

    @cached_property
    def curve(self) -> Curves:
        """The curves of the network, or the median of those of several, for each epoch."""
        if len(self.curves) < 2:
            return self.curves[0] if self.curves else {}
        merged: Curves = {}
        for name in dict.fromkeys(name for curves in self.curves for name in curves):
            columns = [curves.get(name, []) for curves in self.curves]
            merged[name] = [
                _median([column[at] for column in columns if at < len(column)])
                for at in range(max(map(len, columns)))
            ]
        return merged

    @property
    def n_epochs(self) -> int | None:
        """The number of finished epochs, the largest of several networks; None if unknown."""
        lengths = [len(values) for curves in self.curves for values in curves.values()]
        return max(lengths, default=None)

    @property
    def seconds(self) -> float | None:
        """Seconds of training of all networks, None if they are not recorded."""
        known = [
            value
            for curves in self.curves
            for value in curves.get("seconds", [])
            if value is not None
        ]
        return sum(known) if known else None

    @property
    def dataset(self) -> str | None:
        """The name or path of the data set, None if it is not recorded."""
        found = self.options.get("dataset", self.metadata.get("dataset"))
        return None if found is None else str(found)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _config(folder: Path) -> dict[str, Any]:
    """Return config.toml as it is, options of other versions included; empty without one."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        return {}
    table = read_toml(path)
    return table if isinstance(table.get(ABOUT, {}), dict) else table | {ABOUT: {}}


def _newest(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _is_checkpoint(path: Path) -> bool:
    try:
        container.read_container(path, CHECKPOINT_KEY, "checkpoint")
    except (AnynetError, OSError):
        return False
    return True


def _curves(history: dict[str, Any]) -> Curves:
    """Return the curves of a history in a checkpoint."""
    records = [EpochRecord(*record) for record in history["records"]]
    made = History(history["metric"], records, scoring=history["scoring"]).to_dict()
    return {name: list(map(_finite, values)) for name, values in made.items()}


def _curves_of_csv(path: Path) -> list[Curves]:
    """Return the curves in the history.csv of a run, of each network; empty without one.

    Raises
    ------
    DataError
        If it is damaged.
    """
    if not path.is_file():
        return []
    found: dict[str, Curves] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, strict=True):
                curves = found.setdefault(row.pop("member", ""), {})
                for name, cell in row.items():
                    number = int if name == "epoch" else float
                    value = _finite(number(cell)) if cell else None
                    curves.setdefault(name, []).append(value)
    except (csv.Error, TypeError, ValueError) as error:
        message = f"{path} is damaged: {error}"
        raise DataError(message) from error
    return list(found.values())


def _curves_of_estimator(metadata: dict[str, Any]) -> list[Curves]:
    """Return the curves that an estimator has saved with its network."""
    about = metadata.get("estimator")
    figures = about.get("figures") if isinstance(about, dict) else None
    names = {
        "train_loss": "loss_curve_",
        "validation_loss": "validation_loss_curve_",
        "validation_score": "validation_scores_",
    }
    known = {
        name: list(map(_finite, figures[figure]))
        for name, figure in names.items()
        if isinstance(figures, dict) and isinstance(figures.get(figure), list)
    }
    return [known] if known else []


def _is_nan(value: Any) -> bool:
    """Whether a value is a float that JSON cannot hold, as in a run that diverged."""
    return isinstance(value, float) and not math.isfinite(value)


def _finite(value: Any) -> float | None:
    """Return a number, None for what JSON cannot hold."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None
