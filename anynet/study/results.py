"""The results of a study: a row for each run, and the folder that keeps them.

``results.json`` holds everything; ``results.csv`` holds the same for people, without the learning
curves.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from anynet.data.files import folder_of, one_line, replacing
from anynet.data.locks import locked_folder
from anynet.errors import DataError, InvalidArgumentError
from anynet.training.history import StopReason

FORMAT = "anynet study"
VERSION = 1
FILE = "results.json"
MOST = 2**63 - 1  # of counts and seconds

#: Options that earlier files lack, with the values that their runs had.
LATER_OPTIONS = {"batch_norm": False}

#: Columns of the CSV file beside the options and the seed.
FIGURES = ("validation_accuracy", "test_accuracy", "best_epoch", "epochs_run", "seconds", "stopped")


@dataclass(frozen=True)
class Row:
    """The options and results of one run.

    Attributes
    ----------
    options : dict
        All options of the run except the seed, in types of JSON.
    seed : int
        Seed of the weights, the order of the rows and dropout.
    validation_accuracy, test_accuracy : float or None
        Accuracy after the epoch with the best validation accuracy; None if the run diverged in its
        first epoch.
    best_epoch, epochs_run : int
        That epoch, counted from 1, and the number of finished epochs.
    seconds : float
        Time of training without validation.
    stopped : str
        Why training ended, see ``History.stopped``.
    curve : list of float
        Validation accuracy after each epoch.
    trained_together : int or None
        Number of runs that were trained as one computation, this one included: their seconds are
        equal shares of one measurement. None in rows of earlier versions.
    """

    options: dict[str, Any]
    seed: int
    validation_accuracy: float | None
    test_accuracy: float | None
    best_epoch: int
    epochs_run: int
    seconds: float
    stopped: str
    curve: list[float]
    trained_together: int | None = field(default=None, compare=False)  # concerns time only

    @property
    def timed_alone(self) -> bool:
        """Whether the seconds are a measurement of this run alone."""
        return self.trained_together == 1

    @property
    def key(self) -> str:
        """The identifier of the run: its options and its seed."""
        return key_of(self.options, self.seed)

    @property
    def diverged(self) -> bool:
        """Whether training ended because a loss was not finite."""
        return StopReason.of_text(self.stopped) is StopReason.DIVERGED

    def as_json(self) -> dict[str, Any]:
        """Return all fields in types of JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Any) -> Row:
        """Return the row of which ``as_json`` returned `entry`.

        Raises
        ------
        ValueError
            If `entry` is invalid.
        """
        names = [each.name for each in fields(cls)]
        if not isinstance(entry, dict) or {*entry, "trained_together"} != {*names}:
            message = f"expected a row with {', '.join(names)}"
            raise ValueError(message)
        row = cls(**entry)
        together = 1 if row.trained_together is None else row.trained_together
        counts = [row.seed, row.best_epoch, row.epochs_run, together]
        scores = [row.validation_accuracy, row.test_accuracy]
        sound = (
            isinstance(row.options, dict)
            and isinstance(row.stopped, str)
            and isinstance(row.curve, list)
            and _are_numbers(counts, MOST, int)
            and _are_numbers([row.seconds], MOST, int, float)
            and (scores == [None, None] or _are_numbers(scores, 1, int, float))
            and len(row.curve) == row.epochs_run
            and _are_numbers(row.curve, 1, int, float)
        )
        if not sound:
            message = f"the row of seed {row.seed!r} has invalid values"
            raise ValueError(message)
        return row


def _are_numbers(values: Iterable[Any], most: int, *types: type) -> bool:
    return all(type(value) in types and 0 <= value <= most for value in values)


def key_of(options: Mapping[str, Any], seed: int) -> str:
    """Return the identifier of the run with these options and this seed."""
    return json.dumps([options, seed], sort_keys=True)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in types of JSON: lists in place of tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in options.items()
    }


def shown(value: Any) -> str:
    """Write the value of an option as on the command line."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) if value else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def words(point: Mapping[str, Any]) -> str:
    """Write options as text: ``learning rate 0.1, layers 128,64``."""
    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in point.items())


def to_csv(rows: Iterable[Row]) -> str:
    """Return rows as CSV with a header; a missing figure is empty."""
    rows = list(rows)
    names = sorted({name for row in rows for name in row.options})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "seed", *FIGURES])
    for row in rows:
        cells = [row.options.get(name) for name in names]
        lines = [",".join(map(str, cell)) if isinstance(cell, list) else cell for cell in cells]
        writer.writerow([*lines, row.seed, *(getattr(row, name) for name in FIGURES)])
    return text.getvalue()


@dataclass
class Results:
    """The finished runs of one study. Use ``Results.open``.

    Attributes
    ----------
    folder : Path
    about : dict
        The description of the study in types of JSON, which must be that of the folder.
    rows : dict of str to Row
        The rows by key, in the order in which their runs finished.
    """

    folder: Path
    about: dict[str, Any]
    rows: dict[str, Row]

    @classmethod
    @contextmanager
    def open(cls, folder: Path, about: dict[str, Any]) -> Iterator[Results]:
        """Begin or continue a study, and lock its folder for the block.

        Raises
        ------
        InvalidArgumentError
            If the folder is in use, cannot be made, or holds something other than this study.
        DataError
            If its results are damaged. In all of these cases the folder is unchanged.
        """
        existing = os.path.lexists(folder)
        if existing and not folder.is_dir():
            message = f"{folder} is not a folder: choose another folder"
            raise InvalidArgumentError(message)
        if existing and any(folder.iterdir()) and not (folder / FILE).is_file():
            message = f"{folder} holds other files and no {FILE}: choose another folder"
            raise InvalidArgumentError(message)
        with ExitStack() as stack:
            try:
                stack.enter_context(folder_of(folder / FILE))
            except OSError as error:
                message = f"cannot write the study folder {folder}: {error.strerror or error}"
                raise InvalidArgumentError(message) from error
            taken = f"{folder} is in use by another study: wait for it, or choose another folder"
            stack.enter_context(locked_folder(folder, taken))
            rows = _read(folder / FILE, about) if (folder / FILE).exists() else {}
            results = cls(folder, about, rows)
            results.write()
            yield results

    def add(self, rows: Iterable[Row]) -> None:
        """Add finished runs; they are on disk when this returns."""
        self.rows.update((row.key, row) for row in rows)
        self.write()

    def write(self) -> None:
        """Write both files, each as a whole or not at all."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "study": self.about,
            "rows": [row.as_json() for row in self.rows.values()],
        }
        with replacing(self.folder / FILE) as file:
            file.write(json.dumps(content, indent=1).encode() + b"\n")
        with replacing(self.folder / "results.csv") as file:
            file.write(to_csv(self.rows.values()).encode(errors="backslashreplace"))


def read_study(folder: Path) -> tuple[dict[str, Any], list[Row]]:
    """Read the description of a study and its rows, without locking or changing its folder.

    Raises
    ------
    DataError
        If the file is damaged, or of another version.
    OSError
        If it cannot be read.
    """
    return _content(folder / FILE, {})


def _read(path: Path, about: dict[str, Any]) -> dict[str, Row]:
    found, rows = _content(path, about)
    _check_same(path, found, about)
    return {row.key: row for row in rows}


def _content(path: Path, about: dict[str, Any]) -> tuple[dict[str, Any], list[Row]]:
    """Return the study and the rows of a file, with the options of `about` that are newer."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            message = f"its format is not {FORMAT!r}"
            raise ValueError(message)
        if content["version"] != VERSION:
            message = f"{path} has version {content['version']!r}, this anynet reads {VERSION}"
            raise DataError(message)
        if not isinstance(content["study"], dict) or not isinstance(content["rows"], list):
            message = "expected a study and its rows"
            raise ValueError(message)
        for described in (content["study"], *content["rows"]):
            _complete(described, about)
        rows = [Row.from_json(entry) for entry in content["rows"]]
    except (ValueError, KeyError, RecursionError) as error:
        message = (
            f"{path} is damaged or not of anynet study ({one_line(error)}) and was not changed: "
            f"repair it, or choose another folder"
        )
        raise DataError(message) from error
    return content["study"], rows


def _complete(described: Any, about: dict[str, Any]) -> None:
    """Add the options of this study that are newer than the file."""
    known = about.get("options", {})
    if isinstance(described, dict) and isinstance(described.get("options"), dict):
        for name in LATER_OPTIONS.keys() & known.keys():
            described["options"].setdefault(name, LATER_OPTIONS[name])


def _check_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Compare the description of a study with that of a folder; report the first difference."""
    for name in [*wanted, *found]:
        there, here = found.get(name), wanted.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            _check_same(path, there, here)
        elif there != here:
            message = (
                f"{path.parent} holds another study: its {name} is {there!r}, "
                f"not {here!r}; choose another folder"
            )
            raise InvalidArgumentError(message)
