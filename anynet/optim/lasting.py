"""Schedules that last a number of epochs: by default all epochs of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, ClassVar

from anynet.backends import Backend
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.members import number
from anynet.optim.schedules import Schedule, Valued, Warmup, as_float
from anynet.typing import Array


@dataclass(frozen=True)
class Lasting(Valued):
    """Base class of schedules that reach their end after ``epochs`` epochs."""

    varies: ClassVar[tuple[str, ...]] = ("value", "epochs")

    epochs: float | None = number(None, above=0)

    def completed(self, step: Array, steps_per_epoch: int, backend: Backend) -> Array:
        """Return the completed share of the time: 0 at the first update, at most 1.

        Raises
        ------
        InvalidArgumentError
            If ``epochs`` is None: only a run has a number of epochs.
        """
        if self.epochs is None:
            message = f"{self!r} lasts as long as a run: pass it to fit, or give it epochs"
            raise InvalidArgumentError(message)
        share: Array = backend.xp.minimum(
            as_float(step, backend) / steps_per_epoch / self.epochs, 1.0
        )
        return share


def for_run(schedule: Any, epochs: int) -> Any:
    """Return the schedule with the number of epochs of a run, if it has none of its own.

    Parameters
    ----------
    schedule : Schedule
        Returned unchanged unless it is a dataclass whose field ``epochs`` is None.
    epochs : int
        Maximum number of epochs of the run.
    """
    if isinstance(schedule, Warmup):
        inner: Schedule = for_run(schedule.schedule, epochs)
        return schedule if inner is schedule.schedule else replace(schedule, schedule=inner)
    if is_dataclass(schedule) and getattr(schedule, "epochs", 0) is None:
        return replace(schedule, epochs=epochs)  # type: ignore[type-var]
    return schedule


@register("schedule")
@dataclass(frozen=True)
class Cosine(Lasting):
    """Follow half a cosine from the value to ``final`` within ``epochs`` epochs; constant after.

    Parameters
    ----------
    value : float
        At the first update.
    epochs : float, optional
        By default those of the run.
    final : float

    References
    ----------
    Loshchilov and Hutter 2017, equation 5, without restarts.

    Examples
    --------
    >>> import numpy as np
    >>> import anynet
    >>> schedule = anynet.optim.Cosine(0.1, epochs=10)
    >>> backend = anynet.get_backend("numpy")
    >>> [round(float(schedule(np.int32(epoch), 1, backend=backend)), 4) for epoch in (0, 5, 10)]
    [0.1, 0.05, 0.0]
    """

    kind: ClassVar[str] = "cosine"
    varies: ClassVar[tuple[str, ...]] = ("value", "epochs", "final")

    final: float = number(0.0)

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        """Return the value of a step on the half cosine."""
        done = self.completed(step, steps_per_epoch, backend)
        return self.final + (self.value - self.final) * _half_cosine(done, backend)


@register("schedule")
@dataclass(frozen=True)
class OneCycle(Lasting):
    """Rise to the value and fall again within ``epochs`` epochs, both along half a cosine.

    It starts from 1/25 of the value and ends at 1/250,000 of it.

    Parameters
    ----------
    value : float
        The maximum.
    epochs : float, optional
        By default those of the run.
    warmup : float
        Share of the time in which it rises, between 0 and 1.

    References
    ----------
    Smith and Topin 2018, in torch's variant.

    Examples
    --------
    >>> import numpy as np
    >>> import anynet
    >>> schedule = anynet.optim.OneCycle(0.1, epochs=10)
    >>> backend = anynet.get_backend("numpy")
    >>> [round(float(schedule(np.int32(epoch), 1, backend=backend)), 4) for epoch in (0, 3, 10)]
    [0.004, 0.1, 0.0]
    """

    kind: ClassVar[str] = "one_cycle"
    varies: ClassVar[tuple[str, ...]] = ("value", "epochs", "warmup")

    warmup: float = number(0.3, above=0, below=1)

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        """Return the value of a step on one of the two half cosines."""
        xp = backend.xp
        low, final = self.value / 25, self.value / 25e4
        done = self.completed(step, steps_per_epoch, backend)
        rising = self.value + (low - self.value) * _half_cosine(
            xp.minimum(done / self.warmup, 1.0), backend
        )
        falling = final + (self.value - final) * _half_cosine(
            xp.maximum(done - self.warmup, 0.0) / (1 - self.warmup), backend
        )
        value: Array = xp.where(done < self.warmup, rising, falling)
        return value


@register("schedule")
@dataclass(frozen=True)
class CosLog4(Lasting):
    """Rise from 0 to the value and fall to 0 four times, each time for about twice as long.

    At the completed share t of the epochs it is value · ½ (1 − cos(2π log₂(1 + 15 t))).

    Parameters
    ----------
    value : float
        The four maxima.
    epochs : float, optional
        By default those of the run.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", section 3.
    """

    kind: ClassVar[str] = "coslog4"

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        """Return the value of a step within one of the four cycles."""
        done = self.completed(step, steps_per_epoch, backend)
        cycles = backend.xp.log1p(15 * done) / math.log(2)
        return self.value * (1 - _half_cosine(2 * cycles, backend))


@register("schedule")
@dataclass(frozen=True)
class FlatCos(Lasting):
    """Keep the value for half of the epochs, then fall to 0 along half a cosine.

    Parameters
    ----------
    value : float
        In the first half.
    epochs : float, optional
        By default those of the run.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", section 3.
    """

    kind: ClassVar[str] = "flat_cos"

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        """Return the value, or that of a step on the half cosine."""
        done = self.completed(step, steps_per_epoch, backend)
        falling = backend.xp.maximum(2 * done - 1, 0.0)
        return self.value * _half_cosine(falling, backend)


def _half_cosine(done: Array, backend: Backend) -> Array:
    """Return half a cosine: 1 at 0, and 0 at 1."""
    value: Array = 0.5 * (1 + backend.xp.cos(math.pi * done))
    return value
