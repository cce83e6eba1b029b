"""The base class of callbacks that record each epoch."""

from __future__ import annotations

import functools
import math
import warnings
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

from anynet.checks import check_bool
from anynet.errors import InvalidArgumentError
from anynet.training.history import Callback, EpochRecord


class EpochLogger(ABC):
    """Base class of callbacks that record each epoch of one run somewhere.

    Pass it to ``fit``, ``resume``, ``fit_population`` or an estimator as one of the ``callbacks``.
    The members of a population are recorded apart. If an epoch cannot be recorded, because the disk
    is full or a server has gone, a warning reports it, and training continues without the log.

    A logger records one run. A copy, such as that of ``sklearn.base.clone``, begins another log. As
    a context manager it is closed at the end of the block; every epoch is complete before.

    Parameters
    ----------
    resume : bool
        Whether an earlier log is continued, of a run that ``anynet.resume`` continues: epochs that
        are trained again replace those in the log. By default an existing log is refused.
    """

    def __init__(self, *, resume: bool = False) -> None:
        self.resume = check_bool("resume", resume)
        self.errors: tuple[type[Exception], ...] = (OSError,)  # of writing
        self._last: dict[int | None, int] = {}  # the last epoch of each member
        self._failed = False

    def __call__(self, record: EpochRecord) -> None:
        """Record an epoch of a single network."""
        self._record(None, record)

    def member(self, index: int) -> Callback:
        """Return the callback of one member of a population."""
        return functools.partial(self._record, index)

    def close(self) -> None:  # noqa: B027  # most hold nothing
        """Release what the logger holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_last": {}}

    def _record(self, member: int | None, record: EpochRecord) -> None:
        last = self._last.get(member)
        if last is not None and record.epoch <= last:
            message = (
                f"{type(self).__name__} received epoch {record.epoch} after epoch {last}: it "
                f"records one run, so create another one for each run"
            )
            raise InvalidArgumentError(message)
        self._last[member] = record.epoch
        if self._failed:
            return
        try:
            if last is None:
                self._begin(member, record.epoch)
            self._write(member, record)
        except self.errors as error:
            self._failed = True
            message = (
                f"{type(self).__name__} cannot record epoch {record.epoch}: {error}; training "
                f"continues without this log"
            )
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    @abstractmethod
    def _begin(self, member: int | None, epoch: int) -> None:
        """Prepare the log of a single network or of a member, whose first record has this epoch."""

    @abstractmethod
    def _write(self, member: int | None, record: EpochRecord) -> None:
        """Record an epoch."""


def figures(record: EpochRecord) -> dict[str, float]:
    """Return the figures of an epoch that exist and are numbers, by the names of the record."""
    return {
        name: value
        for name, value in record._asdict().items()
        if name != "epoch" and value is not None and math.isfinite(value)
    }
