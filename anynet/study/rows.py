"""A row a run: what was trained, and what came of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

#: Columns of the CSV file beside the options; the learning curve is in the JSON file only.
FIGURES = ("validation_accuracy", "test_accuracy", "best_epoch", "epochs_run", "seconds", "stopped")


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes
    ----------
    options : dict
        Everything that decides the run but its seed, as JSON has it.
    seed : int
        Of the weights, the order and dropout.
    validation_accuracy, test_accuracy : float or None
        Of the epoch with the best validation accuracy; None where the run diverged before it had
        finished an epoch.
    best_epoch, epochs_run : int
        Which epoch that was, and how many were finished; counted from 1.
    seconds : float
        Spent on training, validation left out.
    stopped : str
        Why training ended.
    curve : list of float
        Validation accuracy after each epoch.
    trained_together : int or None
        How many runs were trained as one computation with this one, itself included: their seconds
        are equal shares of one measurement. None in the rows of earlier versions, which lack it.
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
    trained_together: int | None = field(default=None, compare=False)  # it is about the clock

    @property
    def timed_alone(self) -> bool:
        """Whether its seconds were measured, not shared out among the runs of a population."""
        return self.trained_together == 1

    @property
    def key(self) -> str:
        """What tells this run from every other."""
        return key_of(self.options, self.seed)

    @property
    def diverged(self) -> bool:
        """Whether the loss was no longer finite at some time."""
        return self.stopped.startswith("diverged")

    def as_json(self) -> dict[str, Any]:
        """Everything, in types that JSON knows."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Any) -> Row:
        """Read what ``as_json`` made.

        Raises
        ------
        ValueError
            If it is anything else.
        """
        names = [each.name for each in fields(cls)]
        optional = {"trained_together"}
        if not isinstance(entry, dict) or {*entry} | optional != {*names}:
            message = f"expected a row with {', '.join(names)}"
            raise ValueError(message)
        row = cls(**entry)
        sound = (
            isinstance(row.options, dict)
            and all(_is_count(n) for n in (row.seed, row.best_epoch, row.epochs_run))
            and _is_share(row.validation_accuracy)
            and _is_share(row.test_accuracy)
            and (row.validation_accuracy is None) == (row.test_accuracy is None)
            and type(row.seconds) in (int, float)
            and 0 <= row.seconds < 2**63
            and (row.trained_together is None or _is_count(row.trained_together))
            and isinstance(row.stopped, str)
            and isinstance(row.curve, list)
            and len(row.curve) == row.epochs_run
            and all(value is not None and _is_share(value) for value in row.curve)
        )
        if not sound:
            message = f"the row of seed {row.seed!r} holds values that no run has"
            raise ValueError(message)
        return row


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_share(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= 1)


def key_of(options: Mapping[str, Any], seed: int) -> str:
    """Name a run by all that decides it."""
    return json.dumps([options, seed], sort_keys=True)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Turn option values into what JSON gives back: lists for tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in options.items()
    }


def shown(value: Any) -> str:
    """Write an option's value as one types it on the shell."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) if value else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def to_csv(rows: Iterable[Row]) -> str:
    """Return rows as CSV with a header; an absent figure is empty."""
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
