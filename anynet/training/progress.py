"""The bar of ``progress=True``: text in a terminal, a widget in a notebook."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

from anynet.checks import require
from anynet.errors import InvalidArgumentError
from anynet.training.history import EpochRecord, Progress, ProgressCallback, describe_figures

LAYOUT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class PopulationProgress(NamedTuple):
    """The progress of a population, after an epoch of one of its groups."""

    group: int  # counted from 1
    groups: int  # number of groups
    members: int  # networks in this group
    active: int  # members that have not stopped
    epoch: int  # counted from 1
    epochs: int  # maximum number
    scoring: str = ""  # name of the validation score that selects the epochs
    score: float | None = None  # mean of the members' best ones; None without validation


ShowProgress: TypeAlias = ProgressCallback | bool | None
"""A function of the progress, or True for a bar of tqdm."""


def check_progress(progress: Any) -> None:
    """Check that ``progress`` is callable or a bool, and that tqdm is installed if it is True.

    Raises
    ------
    InvalidArgumentError
        If it is not.
    """
    if progress is True:
        _tqdm()
    elif progress not in (None, False) and not callable(progress):
        message = f"progress must be True, or a function of the progress, got {progress!r}"
        raise InvalidArgumentError(message)


def _tqdm() -> Any:
    return require("tqdm.auto", "progress=True", "tqdm").tqdm


class TrainingBar:
    """One bar of ``tqdm.auto`` for a whole training, closed at the end of a ``with`` block.

    If training ends before the maximum number of epochs, the bar ends there; after an exception it
    shows how far training came.

    Parameters
    ----------
    metric : str
        Name of the scores of a single network.
    epochs : int
        Its maximum number of epochs.
    """

    def __init__(self, metric: str = "", epochs: int = 1) -> None:
        self.metric, self.epochs = metric, epochs
        self.bar: Any = None

    def __enter__(self) -> TrainingBar:
        self.bar = _tqdm()(total=1.0, bar_format=LAYOUT, desc="epoch")  # n is the share done
        self.first = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.bar.update(1.0 - self.bar.n)
        self.bar.close()

    def within_epoch(self, progress: Progress) -> None:
        """Show the running means within an epoch of a single network."""
        figures = f"loss {progress.loss:.4f}, {self.metric} {progress.score:.4f}"
        done = progress.epoch - 1 + progress.samples / progress.total
        start = (progress.epoch - 1) / self.epochs
        self._move(done / self.epochs, f"epoch {progress.epoch}/{self.epochs}", figures, start)

    def after_epoch(self, record: EpochRecord) -> None:
        """Show the results of an epoch of a single network; a callback."""
        figures = describe_figures(record, self.metric)
        done = record.epoch / self.epochs
        self._move(done, f"epoch {record.epoch}/{self.epochs}", figures)

    def of_population(self, progress: PopulationProgress) -> None:
        """Show the progress after an epoch of a group of a population."""
        label = f"epoch {progress.epoch}/{progress.epochs}"
        if progress.groups > 1:
            label = f"group {progress.group}/{progress.groups}, {label}"
        figures = f"{progress.active} of {progress.members} networks"
        if progress.score is not None:
            figures += f", best validation {progress.scoring} {progress.score:.4f}"
        done = progress.group - 1 + progress.epoch / progress.epochs
        self._move(done / progress.groups, label, figures)

    def _move(self, done: float, label: str, figures: str, start: float = 0.0) -> None:
        """Move to a share of the whole training, of which ``start`` was done before."""
        if self.first:  # a resumed run begins later, which its rate must not include
            self.first = False
            self.bar.initial = self.bar.n = start
        self.bar.set_description_str(label, refresh=False)
        self.bar.set_postfix_str(figures, refresh=False)
        self.bar.update(done - self.bar.n)
