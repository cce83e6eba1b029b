"""What a run reports: a record an epoch, and progress in between."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias


class StopReason(StrEnum):
    """Why training ended; ``History.stopped`` is the same as a sentence."""

    EPOCHS = "epochs"  # the maximum number of epochs is done
    TARGET = "target"  # the validation score reached the target
    PATIENCE = "patience"  # the validation score has not risen for ``patience`` epochs
    CALLBACK = "callback"  # a callback returned True
    INTERRUPTED = "interrupted"  # Ctrl-C or a signal
    DIVERGED = "diverged"  # a loss is not finite

    @classmethod
    def of_text(cls, stopped: str) -> StopReason | None:
        """Return the reason behind a sentence of earlier versions, which stored nothing else."""
        beginnings = {
            "all ": cls.EPOCHS,
            "validation score reached": cls.TARGET,
            "validation score has not risen": cls.PATIENCE,
            "a callback": cls.CALLBACK,
            "interrupted": cls.INTERRUPTED,
            "diverged": cls.DIVERGED,
        }
        return next((r for text, r in beginnings.items() if stopped.startswith(text)), None)


class EpochRecord(NamedTuple):
    """One epoch. Scores are accuracies, or R² where values are predicted.

    Training figures are running means over the epoch, taken on each batch before its update;
    validation figures are taken after the epoch, and are None without a validation set.
    """

    epoch: int  # counted from 1
    learning_rate: float  # of the epoch's last update
    train_loss: float
    train_score: float
    validation_loss: float | None
    validation_score: float | None
    seconds: float  # of training, validation left out
    selection_score: float | None = None  # the validation set's ``scoring``, if one was given

    @property
    def train_accuracy(self) -> float:
        """The training score under the name it has for classifiers."""
        return self.train_score

    @property
    def validation_accuracy(self) -> float | None:
        """The validation score under the name it has for classifiers."""
        return self.validation_score


class Progress(NamedTuple):
    """Where a run stands within an epoch."""

    epoch: int  # counted from 1
    epochs: int  # at most so many
    samples: int  # seen in this epoch
    total: int  # samples of an epoch
    loss: float  # running mean of this epoch
    score: float  # running accuracy or R² of this epoch


Callback: TypeAlias = Callable[[EpochRecord], bool | None]
"""Called after each epoch; training stops where it returns True."""

ProgressCallback: TypeAlias = Callable[[Progress], None]
"""Called several times an epoch; each call waits for the device."""


@dataclass
class History:
    """The records of a run, and how it ended.

    Attributes
    ----------
    metric : str
        ``accuracy`` or ``r2``: what the scores are.
    scoring : str
        The score that chose the best epoch; empty where ``metric`` of the validation set did.
    stop_reason : StopReason or None
        The reason behind ``stopped``, for code to compare.
    records : list of EpochRecord
    best_epoch : int
        The epoch whose weights the model holds, counted from 1.
    stopped : str
        Why training ended, as a sentence; empty while it goes on.
    warning : str
        What went wrong, in words: that nothing was learnt. Empty if all is well.
    """

    metric: str
    records: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = ""
    warning: str = ""
    scoring: str = ""
    stop_reason: StopReason | None = None

    def stop(self, reason: StopReason, text: str) -> None:
        """Record why training ended."""
        self.stop_reason, self.stopped = reason, text

    @property
    def best(self) -> EpochRecord:
        """The record of the epoch whose weights the model holds."""
        return self.records[self.best_epoch - 1]

    def columns(self) -> dict[str, list[float | int | None]]:
        """Return the records column by column: ``train_loss``, ``train_accuracy``, …"""
        fields = EpochRecord._fields[:-1]
        names = [name.replace("score", self.metric) for name in fields]
        columns: dict[str, list[float | int | None]] = {
            name: [record[i] for record in self.records] for i, name in enumerate(names)
        }
        if self.scoring not in ("", "loss"):
            columns[f"validation_{self.scoring}"] = [each.selection_score for each in self.records]
        return columns

    def to_csv(self) -> str:
        """Return the records as CSV with a header; absent figures are empty."""
        columns = self.columns()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return text.getvalue()
