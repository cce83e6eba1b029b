"""Learning rates over time.

A schedule is ``(step, steps_per_epoch) -> learning rate``, arithmetic on device arrays without
branches, so that a compiled or captured step can hold it. Times are given in epochs. In a step of
a population the numbers of a schedule may be arrays (*P,), and so is the rate.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from anynet.backends import Backend
from anynet.errors import InvalidArgumentError
from anynet.members import is_number
from anynet.typing import Array

LARGEST = 2**31 - 1  # of the number of an update


class Schedule(Protocol):
    """A learning rate for each step."""

    kind: ClassVar[str]

    @property
    def learning_rate(self) -> float:
        """The rate that the schedule starts from, or climbs to."""

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array | float:
        """Return the learning rate of update number ``step`` (int32, counted from 0)."""


@dataclass(frozen=True)
class _Checked:
    varies: ClassVar[tuple[str, ...]] = ("learning_rate",)

    learning_rate: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_wrong = is_number(value) and not (math.isfinite(value) and value >= 0)
            if is_wrong or isinstance(value, str):
                message = f"{field.name} must be a finite number of at least 0, got {value!r}"
                raise InvalidArgumentError(message)
        epochs = getattr(self, "epochs", 1)
        if is_number(epochs) and epochs <= 0:
            message = f"epochs must be above 0, got {epochs!r}"
            raise InvalidArgumentError(message)

    def _epoch(self, step: Array, steps_per_epoch: int, backend: Backend) -> Array:
        """Epochs that are over, fractions included."""
        return _float(step, backend) / steps_per_epoch


@dataclass(frozen=True)
class Constant(_Checked):
    """Always the same rate."""

    kind: ClassVar[str] = "constant"

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> float:  # noqa: ARG002
        return self.learning_rate


@dataclass(frozen=True)
class Exponential(_Checked):
    """The report's decay: the rate is multiplied by ``decay`` after each epoch."""

    kind: ClassVar[str] = "exponential"
    varies: ClassVar[tuple[str, ...]] = ("learning_rate", "decay")

    decay: float = 0.95

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        return self.learning_rate * _power(self.decay, step // steps_per_epoch, backend)


@dataclass(frozen=True)
class Step(_Checked):
    """The rate is multiplied by ``factor`` after every ``epochs`` epochs."""

    kind: ClassVar[str] = "step"
    varies: ClassVar[tuple[str, ...]] = ("learning_rate", "factor")

    factor: float = 0.1
    epochs: int = 5

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        times = step // min(steps_per_epoch * self.epochs, LARGEST)
        return self.learning_rate * _power(self.factor, times, backend)


@dataclass(frozen=True)
class Cosine(_Checked):
    """Half a cosine from the rate down to ``final`` over ``epochs`` epochs, constant after.

    Loshchilov and Hutter 2017, equation 5, without restarts.
    """

    kind: ClassVar[str] = "cosine"
    varies: ClassVar[tuple[str, ...]] = ("learning_rate", "epochs", "final")

    epochs: float = 15
    final: float = 0.0

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        xp = backend.xp
        done = xp.minimum(self._epoch(step, steps_per_epoch, backend) / self.epochs, 1.0)
        return self.final + (self.learning_rate - self.final) * _half_cosine(done, backend)


@dataclass(frozen=True)
class OneCycle(_Checked):
    """Up to the rate and down again within ``epochs`` epochs, both along half a cosine.

    Smith and Topin 2018, in torch's variant: from 1/25 of the rate, up over the first
    ``warmup`` share of the time, down to 1/250,000 of it.
    """

    kind: ClassVar[str] = "one_cycle"
    varies: ClassVar[tuple[str, ...]] = ("learning_rate", "epochs", "warmup")

    epochs: float = 15
    warmup: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_number(self.warmup) and not 0 < self.warmup < 1:
            message = f"warmup must be between 0 and 1, a share of the time, got {self.warmup!r}"
            raise InvalidArgumentError(message)

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        xp = backend.xp
        low, final = self.learning_rate / 25, self.learning_rate / 25e4
        done = xp.minimum(self._epoch(step, steps_per_epoch, backend) / self.epochs, 1.0)
        rising = self.learning_rate + (low - self.learning_rate) * _half_cosine(
            xp.minimum(done / self.warmup, 1.0), backend
        )
        falling = final + (self.learning_rate - final) * _half_cosine(
            xp.maximum(done - self.warmup, 0.0) / (1 - self.warmup), backend
        )
        rate: Array = xp.where(done < self.warmup, rising, falling)
        return rate


@dataclass(frozen=True)
class InverseScaling(_Checked):
    """The rate divided by (step + 1) to the power ``power``; steps are updates, not epochs."""

    kind: ClassVar[str] = "inverse_scaling"
    varies: ClassVar[tuple[str, ...]] = ("learning_rate", "power")

    power: float = 0.5

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:  # noqa: ARG002
        xp = backend.xp
        decay: Array = xp.exp(-self.power * xp.log(_float(step, backend) + 1.0))
        return self.learning_rate * decay


@dataclass(frozen=True)
class Warmup:
    """Climb in a straight line to what another schedule says, within ``epochs`` epochs."""

    kind: ClassVar[str] = "warmup"
    varies: ClassVar[tuple[str, ...]] = ("epochs",)

    schedule: Schedule
    epochs: float = 1.0

    def __post_init__(self) -> None:
        if is_number(self.epochs) and not self.epochs > 0:
            message = f"warm-up epochs must be above 0, got {self.epochs!r}"
            raise InvalidArgumentError(message)

    @property
    def learning_rate(self) -> float:
        """The rate of the schedule inside."""
        return self.schedule.learning_rate

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        share = (_float(step, backend) + 1.0) / (self.epochs * steps_per_epoch)
        rate = self.schedule(step, steps_per_epoch, backend=backend)
        ramp: Array = backend.xp.minimum(share, 1.0)
        return rate * ramp


@dataclass(frozen=True)
class ReduceOnPlateau(Constant):
    """Multiply the rate by ``factor`` when the validation score has not risen for a while.

    It acts between epochs, on the host: ``patience`` epochs without a rise of more than
    ``min_delta`` reduce the rate once, and the count begins anew (torch's ReduceLROnPlateau).
    """

    kind: ClassVar[str] = "plateau"

    factor: float = 0.1
    patience: int = 3
    min_delta: float = 0.0


SCHEDULES: dict[str, Any] = {
    schedule.kind: schedule
    for schedule in (
        *(Constant, Exponential, Step, Cosine, OneCycle, InverseScaling, Warmup),
        ReduceOnPlateau,
    )
}


def as_schedule(learning_rate: Any) -> Schedule:
    """Return a schedule as it is, and a number as a constant one.

    Raises
    ------
    InvalidArgumentError
        If it is neither.
    """
    if isinstance(learning_rate, type):
        message = f"learning_rate must be a schedule such as Cosine(0.1), got the {learning_rate}"
        raise InvalidArgumentError(message)
    if callable(learning_rate) and hasattr(learning_rate, "learning_rate"):
        return learning_rate  # type: ignore[no-any-return]
    if isinstance(learning_rate, bool) or not isinstance(learning_rate, (int, float)):
        message = f"learning_rate must be a number or a schedule, got {learning_rate!r}"
        raise InvalidArgumentError(message)
    return Constant(float(learning_rate))


def _float(step: Array, backend: Backend) -> Array:
    converted: Array = backend.xp.astype(step, backend.float_dtype)
    return converted


def _power(base: float, exponent: Array, backend: Backend) -> Array:
    power: Array = base ** _float(exponent, backend)  # type: ignore[operator]
    return power


def _half_cosine(done: Array, backend: Backend) -> Array:
    """1 at 0, 0 at 1."""
    value: Array = 0.5 * (1 + backend.xp.cos(math.pi * done))
    return value
