"""Schedules: numbers that change during training, such as the learning rate.

A schedule is ``(step, steps_per_epoch) -> number``, arithmetic on device arrays without branches,
so that a compiled or captured step can contain it. Times are in epochs. In a step of a population
the numbers of a schedule may be arrays (*P,), and so is the result.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Protocol

from anynet.backends import Backend
from anynet.checks import accepts_call
from anynet.config import register, registered
from anynet.errors import InvalidArgumentError
from anynet.members import Bounded, Bounds, is_number, number
from anynet.typing import Array

LARGEST = 2**31 - 1  # of the number of an update


class Schedule(Protocol):
    """The interface of schedules: a number for each step."""

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array | float:
        """Return the number for update ``step`` (int32, counted from 0)."""


@dataclass(frozen=True)
class Valued(Bounded):
    """Base class of schedules that start from a value or rise to it."""

    varies: ClassVar[tuple[str, ...]] = ("value",)
    earlier_names: ClassVar[dict[str, str]] = {"learning_rate": "value"}

    value: float = dataclasses.field(metadata={"bounds": Bounds()})

    @property
    def learning_rate(self) -> float:
        """The value; its name in earlier versions."""
        return self.value


@register("schedule")
@dataclass(frozen=True)
class Constant(Valued):
    """Always the same value.

    Parameters
    ----------
    value : float
    """

    kind: ClassVar[str] = "constant"

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> float:  # noqa: ARG002
        """Return the value."""
        return self.value


@register("schedule")
@dataclass(frozen=True)
class Exponential(Valued):
    """Multiply the value by ``decay`` after each epoch, as in the report.

    Parameters
    ----------
    value : float
        In the first epoch.
    decay : float

    Examples
    --------
    >>> import numpy as np
    >>> import anynet
    >>> schedule = anynet.optim.Exponential(0.1, decay=0.5)
    >>> backend = anynet.get_backend("numpy")
    >>> [round(float(schedule(np.int32(step), 100, backend=backend)), 4) for step in (0, 100, 200)]
    [0.1, 0.05, 0.025]
    """

    kind: ClassVar[str] = "exponential"
    varies: ClassVar[tuple[str, ...]] = ("value", "decay")

    decay: float = number(0.95)

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        """Return value · decay^epoch."""
        return self.value * _power(self.decay, step // steps_per_epoch, backend)


@register("schedule")
@dataclass(frozen=True)
class Step(Valued):
    """Multiply the value by ``factor`` after every ``epochs`` epochs.

    Parameters
    ----------
    value : float
        In the first epochs.
    factor : float
    epochs : int
    """

    kind: ClassVar[str] = "step"
    varies: ClassVar[tuple[str, ...]] = ("value", "factor")

    factor: float = number(0.1)
    epochs: int = number(5, above=0)

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        """Return value · factor^(epoch // epochs)."""
        times = step // min(steps_per_epoch * self.epochs, LARGEST)
        return self.value * _power(self.factor, times, backend)


@register("schedule")
@dataclass(frozen=True)
class InverseScaling(Valued):
    """Divide the value by (step + 1) to the power ``power``; steps are updates, not epochs.

    Parameters
    ----------
    value : float
        At the first update.
    power : float
    """

    kind: ClassVar[str] = "inverse_scaling"
    varies: ClassVar[tuple[str, ...]] = ("value", "power")

    power: float = number(0.5)

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:  # noqa: ARG002
        """Return value / (step + 1)^power."""
        xp = backend.xp
        decay: Array = xp.exp(-self.power * xp.log(as_float(step, backend) + 1.0))
        return self.value * decay


@register("schedule")
@dataclass(frozen=True)
class Warmup(Bounded):
    """Rise linearly to the value of another schedule within the first ``epochs`` epochs.

    Parameters
    ----------
    schedule : Schedule
    epochs : float

    Examples
    --------
    >>> import numpy as np
    >>> import anynet
    >>> schedule = anynet.optim.Warmup(anynet.optim.Constant(0.1), epochs=2)
    >>> backend = anynet.get_backend("numpy")
    >>> [round(float(schedule(np.int32(step), 2, backend=backend)), 4) for step in range(5)]
    [0.025, 0.05, 0.075, 0.1, 0.1]
    """

    kind: ClassVar[str] = "warmup"
    varies: ClassVar[tuple[str, ...]] = ("epochs",)

    schedule: Schedule
    epochs: float = number(1.0, above=0)

    def __call__(self, step: Array, steps_per_epoch: int, *, backend: Backend) -> Array:
        """Return the value of the other schedule, times the completed share of the rise."""
        share = (as_float(step, backend) + 1.0) / (self.epochs * steps_per_epoch)
        value = self.schedule(step, steps_per_epoch, backend=backend)
        ramp: Array = backend.xp.minimum(share, 1.0)
        return value * ramp


@register("schedule")
@dataclass(frozen=True)
class ReduceOnPlateau(Constant):
    """Multiply the learning rate by ``factor`` when the validation score stops improving.

    It acts between epochs, on the host, and on the learning rate only. After each reduction the
    epochs are counted from 0 again, as in torch's ReduceLROnPlateau.

    Parameters
    ----------
    value : float
        The learning rate of the first epoch.
    factor : float
    patience : int
        Maximum number of epochs in a row without a rise of more than ``min_delta``.
    min_delta : float

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=data.scale)
    >>> rate = anynet.optim.ReduceOnPlateau(0.5, factor=0.5, patience=0)
    >>> model = anynet.fit(
    ...     network, data.train, validation=0.1, epochs=8, learning_rate=rate, backend="numpy"
    ... )
    >>> model.history.records[-1].learning_rate < 0.5
    True
    """

    kind: ClassVar[str] = "plateau"

    factor: float = number(0.1)
    patience: int = number(3)
    min_delta: float = number(0.0)


SCHEDULES: Mapping[str, Any] = registered("schedule")


def as_schedule(value: Any, name: str = "learning_rate") -> Schedule:
    """Return a schedule unchanged, and a number as a constant schedule.

    Parameters
    ----------
    value : float or Schedule
        A schedule may be any callable ``(step, steps_per_epoch, *, backend)``.
    name : str
        Of the argument, for the message.

    Raises
    ------
    InvalidArgumentError
        If it is neither, or ``ReduceOnPlateau`` for another number than the learning rate.
    """
    if not isinstance(value, type) and accepts_call(value, 0, 1, backend=None):
        rule = value.schedule if isinstance(value, Warmup) else value
        if isinstance(rule, ReduceOnPlateau) and name != "learning_rate":
            message = f"{name} must be a number or a schedule of the step, got {value!r}"
            raise InvalidArgumentError(message)
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool) or not isinstance(value, Real):
        message = f"{name} must be a number or a schedule, got {value!r}: an example is Cosine(0.1)"
        raise InvalidArgumentError(message)
    if not 0 <= float(value) < math.inf:
        message = f"{name} must be a finite number of at least 0, got {value!r}"
        raise InvalidArgumentError(message)
    return Constant(float(value))


def describe_value(schedule: Any) -> str:
    """Return the number that a schedule starts from or rises to, as text for messages."""
    value = getattr(getattr(schedule, "schedule", schedule), "value", None)
    return f"{value:g}" if is_number(value) else repr(schedule)


def as_float(step: Array, backend: Backend) -> Array:
    """Return the number of an update in the dtype of the backend."""
    converted: Array = backend.xp.astype(step, backend.float_dtype)
    return converted


def _power(base: float, exponent: Array, backend: Backend) -> Array:
    power: Array = base ** as_float(exponent, backend)  # type: ignore[operator]
    return power
