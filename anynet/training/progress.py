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
        self.bar = _tqdm()(total=self.epochs, bar_format=LAYOUT, desc="epoch")
        self.first = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.bar.total = self.bar.n
        self.bar.close()

    def within_epoch(self, progress: Progress) -> None:
        """Show the running means within an epoch of a single network."""
        figures = f"loss {progress.loss:.4f}, {self.metric} {progress.score:.4f}"
        share = progress.samples / progress.total
        self._move(progress.epoch, share, f"epoch {progress.epoch}/{self.epochs}", figures)

    def after_epoch(self, record: EpochRecord) -> None:
        """Show the results of an epoch of a single network; a callback."""
        figures = describe_figures(record, self.metric)
        self._move(record.epoch, 1.0, f"epoch {record.epoch}/{self.epochs}", figures)

    def of_population(self, progress: PopulationProgress) -> None:
        """Show the progress after an epoch of a group of a population."""
        self.bar.total = progress.groups
        label = f"epoch {progress.epoch}/{progress.epochs}"
        if progress.groups > 1:
            label = f"group {progress.group}/{progress.groups}, {label}"
        figures = f"{progress.active} of {progress.members} networks"
        if progress.score is not None:
            figures += f", best validation {progress.scoring} {progress.score:.4f}"
        self._move(progress.group, progress.epoch / progress.epochs, label, figures)

    def _move(self, number: int, share: float, label: str, figures: str) -> None:
        """Move to a share of the part with a number, counted from 1."""
        if self.first:  # a resumed run begins later
            self.first = False
            self.bar.initial = self.bar.n = number - 1
        self.bar.set_description_str(label, refresh=False)
        self.bar.set_postfix_str(figures, refresh=False)
        self.bar.update(number - 1 + share - self.bar.n)
