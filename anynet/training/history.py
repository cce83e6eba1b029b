"""The records of a run, and the rules that stop it or reduce its learning rate."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, TypeAlias

from anynet.checks import require
from anynet.data.display import Described
from anynet.errors import InvalidArgumentError
from anynet.optim import ReduceOnPlateau


class StopReason(StrEnum):
    """The reason why training ended; ``History.stopped`` is the same as a sentence.

    Examples
    --------
    >>> from anynet import StopReason
    >>> StopReason("patience") is StopReason.PATIENCE
    True
    """

    EPOCHS = "epochs"  # the maximum number of epochs is done
    TARGET = "target"  # the validation score reached the target
    PATIENCE = "patience"  # the validation score has not risen for ``patience`` epochs
    TIME = "time"  # the time limit is exceeded
    CALLBACK = "callback"  # a callback returned True
    INTERRUPTED = "interrupted"  # Ctrl-C or a signal
    DIVERGED = "diverged"  # a loss is not finite

    @classmethod
    def of_text(cls, stopped: str) -> StopReason | None:
        """Return the reason for a sentence; earlier versions stored the sentence only."""
        beginnings = {
            "all ": cls.EPOCHS,
            "validation score reached": cls.TARGET,
            "validation score has not risen": cls.PATIENCE,
            "ensemble score has not risen": cls.PATIENCE,
            "time limit": cls.TIME,
            "a callback": cls.CALLBACK,
            "interrupted": cls.INTERRUPTED,
            "diverged": cls.DIVERGED,
        }
        return next((r for text, r in beginnings.items() if stopped.startswith(text)), None)


class EpochRecord(NamedTuple):
    """The results of one epoch. Scores are accuracies, or R² for regression.

    Training figures are running means over the epoch, taken on each batch before its update;
    validation figures are taken after the epoch, and are None without a validation set.

    Examples
    --------
    >>> from anynet import EpochRecord
    >>> record = EpochRecord(1, 0.1, 0.52, 0.84, 0.31, 0.91, seconds=0.2)
    >>> record.validation_accuracy
    0.91
    """

    epoch: int  # counted from 1
    learning_rate: float  # of the epoch's last update
    train_loss: float
    train_score: float
    validation_loss: float | None
    validation_score: float | None
    seconds: float  # of training, without validation
    selection_score: float | None = None  # the validation set's ``scoring``, if one was given

    @property
    def train_accuracy(self) -> float:
        """The training score, under its name for classifiers."""
        return self.train_score

    @property
    def validation_accuracy(self) -> float | None:
        """The validation score, under its name for classifiers."""
        return self.validation_score


def describe_figures(record: EpochRecord, metric: str) -> str:
    """Return the losses and scores of an epoch as text.

    Parameters
    ----------
    record : EpochRecord
    metric : str
        Name of the scores.
    """
    figures = {
        "loss": record.train_loss,
        metric: record.train_score,
        "validation loss": record.validation_loss,
        f"validation {metric}": record.validation_score,
        "scoring": record.selection_score,
    }
    return ", ".join(
        f"{name} {value:.4f}"
        for name, value in figures.items()
        if value is not None and not math.isnan(value)
    )


class Progress(NamedTuple):
    """The progress of a run within an epoch."""

    epoch: int  # counted from 1
    epochs: int  # maximum number
    samples: int  # seen in this epoch
    total: int  # samples of an epoch
    loss: float  # running mean of this epoch
    score: float  # running accuracy or R² of this epoch


Callback: TypeAlias = Callable[[EpochRecord], bool | None]
"""Called after each epoch; training stops if it returns True.

If it has a method ``member(index)``, a member of a population has the callback that this returns.
"""

ProgressCallback: TypeAlias = Callable[[Progress], None]
"""Called several times an epoch; each call waits for the device."""


def for_member(callbacks: Iterable[Callback], index: int) -> tuple[Callback, ...]:
    """Return the callbacks of a member of a population, see ``Callback``."""
    return tuple(one.member(index) if hasattr(one, "member") else one for one in callbacks)


@dataclass(repr=False)
class History(Described):
    """The records of a run, and why it ended.

    Attributes
    ----------
    metric : str
        ``accuracy`` or ``r2``: what the scores are.
    scoring : str
        The score that selected the best epoch; empty if that was ``metric``.
    stop_reason : StopReason or None
        The reason of ``stopped``, for code to compare.
    records : list of EpochRecord
    best_epoch : int
        The epoch whose weights the model holds, counted from 1.
    stopped : str
        Why training ended, as a sentence; empty during training.
    warning : str
        A sentence if nothing was learned, otherwise empty.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=data.scale)
    >>> model = anynet.fit(network, data.train, validation=0.1, epochs=3, backend="numpy")
    >>> len(model.history.records), model.history.stop_reason
    (3, <StopReason.EPOCHS: 'epochs'>)
    >>> accuracies = model.history.to_dict()["validation_accuracy"]
    >>> model.history.best.validation_accuracy == max(accuracies)
    True
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

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return the figures of the best epoch and the reason why training ended."""
        facts = {"epochs": str(len(self.records))}
        if self.records:
            best = self.best
            facts["best epoch"] = str(best.epoch)
            for name, values in self.to_dict().items():
                value = values[self.best_epoch - 1]
                if name not in ("epoch", "seconds") and value is not None:
                    facts[name.replace("_", " ")] = f"{value:.4g}"
            facts["seconds"] = f"{sum(record.seconds for record in self.records):.3g}"
        facts |= {name: getattr(self, name) for name in ("stopped", "warning")}
        return "History", {name: fact for name, fact in facts.items() if fact}

    def to_dict(self) -> dict[str, list[float | int | None]]:
        """Return the records as columns, such as ``train_loss`` and ``train_accuracy``.

        Returns
        -------
        dict of str to list
            One value for each epoch; None if it does not exist, as without a validation set.
        """
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
        columns = self.to_dict()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return text.getvalue()

    def to_pandas(self) -> Any:
        """Return the records as a ``pandas.DataFrame`` with one row for each epoch.

        Raises
        ------
        InvalidArgumentError
            If pandas is not installed.
        """
        return require("pandas", "to_pandas", "pandas").DataFrame(self.to_dict())

    def plot(self, ax: Any = None) -> Any:
        """Plot the losses, and the scores on an axis of their own, over the epochs.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The axes of the losses; by default new ones.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InvalidArgumentError
            If Matplotlib is not installed.
        """
        plt = require("matplotlib.pyplot", "plot", "matplotlib")
        if ax is None:
            _, ax = plt.subplots()
        if not hasattr(ax, "twinx"):
            message = f"ax must be Axes of Matplotlib or None, got {ax!r}"
            raise InvalidArgumentError(message)
        scores, columns = ax.twinx(), self.to_dict()
        for axes, figure, style in ((ax, "loss", "-"), (scores, self.metric, "--")):
            for part, colour in (("train", "C0"), ("validation", "C1")):
                values = columns[f"{part}_{figure}"]
                if any(value is not None for value in values):
                    label = f"{part} {figure}"
                    axes.plot(columns["epoch"], values, style, color=colour, label=label)
            axes.set_ylabel(figure)
        ax.set_xlabel("epoch")
        lines = [*ax.get_lines(), *scores.get_lines()]
        ax.legend(lines, [line.get_label() for line in lines], loc="center right")
        ax.set_zorder(scores.get_zorder() + 1)  # the legend is drawn over the lines of both axes
        ax.patch.set_visible(False)
        return ax


@dataclass
class EarlyStopping:
    """Stop at a target score, or when the score stops rising; the rule of the report.

    Parameters
    ----------
    patience : int or None
        Number of consecutive epochs without a new best score after which training stops.
    target : float or None
        Score at which training stops.
    min_delta : float
        Minimum rise that counts as a new best score.
    keep_ties : bool
        Whether a score equal to the best so far is kept instead of the earlier one.
    best : float
        Best score so far.
    waited : int
        Number of epochs since the best score.
    """

    patience: int | None
    target: float | None
    min_delta: float
    keep_ties: bool = False
    best: float = float("-inf")
    waited: int = 0

    def observe(self, score: float) -> tuple[bool, tuple[StopReason, str] | None]:
        """Record the validation score of an epoch.

        Parameters
        ----------
        score : float

        Returns
        -------
        bool
            Whether the weights of this epoch are the ones to keep.
        tuple of StopReason and str, or None
            Why training stops; None if it continues.
        """
        is_best = score > self.best + self.min_delta
        if is_best:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
            is_best = self.keep_ties and score == self.best
        if self.target is not None and score >= self.target:
            stop = StopReason.TARGET, f"validation score reached {self.target:g}"
            return is_best or score > self.best, stop
        if self.patience is not None and self.waited >= self.patience:
            text = f"validation score has not risen for {self.patience} epochs"
            return is_best, (StopReason.PATIENCE, text)
        return is_best, None


@dataclass
class TimeLimit:
    """Stop after the epoch in which a time limit is exceeded.

    Parameters
    ----------
    seconds : float or None
        None: there is no limit.
    deadline : float
        The time of ``clock`` at which it is exceeded; set by ``begin``.
    """

    clock: ClassVar[Callable[[], float]] = time.monotonic

    seconds: float | None
    deadline: float = math.inf

    def begin(self, started: float, share: float = 1.0) -> None:
        """Set the deadline to a share of the limit after the time ``started``."""
        if self.seconds is not None:
            self.deadline = started + share * self.seconds

    def observe(self) -> tuple[StopReason, str] | None:
        """Return why training stops after this epoch; None if there is time left."""
        if type(self).clock() < self.deadline:
            return None
        return StopReason.TIME, f"time limit of {self.seconds:g} seconds exceeded"


@dataclass
class Plateau:
    """The factor by which ``ReduceOnPlateau`` currently multiplies the learning rate.

    Parameters
    ----------
    rule : ReduceOnPlateau
    factor : float
    best : float
        Best score so far.
    waited : int
        Number of epochs since the best score, or since the last reduction.
    """

    rule: ReduceOnPlateau
    factor: float = 1.0
    best: float = float("-inf")
    waited: int = 0

    def observe(self, score: float) -> float:
        """Record the validation score of an epoch and return the factor for the next epoch."""
        if score > self.best + self.rule.min_delta:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        if self.waited > self.rule.patience:
            self.factor, self.waited = self.factor * self.rule.factor, 0
        return self.factor
