"""The options of a training run: one list for ``fit``, populations, checkpoints and the shell."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, ClassVar, TypeAlias, TypedDict, TypeVar

import numpy as np

from anynet.checks import check_bool, check_choice, check_keywords, check_whole
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.nn.losses import Loss
from anynet.optim import Optimizer, Schedule
from anynet.seeds import device_seed

Augmentation: TypeAlias = Any
Scorer: TypeAlias = Callable[..., float]
TIES = ("first", "last")
Function = TypeVar("Function", bound=Callable[..., Any])


@register("options")
@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The options of a training run; the defaults are those of the report.

    Parameters
    ----------
    epochs : int
        Maximum number of passes over the data; each sees every sample once.
    batch_size : int
        Number of samples in an update. The remainder forms one short batch in each epoch: the
        first of a shuffled epoch, the last of one in the samples' own order.
    drop_last : bool
        Whether the remainder is dropped instead: each epoch then omits N mod ``batch_size``
        samples, other ones in each shuffled epoch.
    optimizer : Optimizer or str, optional
        See ``anynet.optim``; plain SGD by default.
    learning_rate : float or Schedule
        A constant rate, or a schedule of ``anynet.optim``.
    momentum, weight_decay : float or Schedule, optional
        Override the optimizer's own ``momentum`` and ``weight_decay``.
    dropout : float or Schedule, optional
        Overrides the rate of all dropout layers; a network without any gets one after each
        activation.
    label_smoothing : float or Schedule, optional
        Overrides the loss's own ``label_smoothing``.
    loss : Loss or str, optional
        By default cross-entropy for integers (binary where y is a matrix or the network has one
        output), and squared error for floats; floats that are all 0.0 or 1.0 need an explicit loss.
    patience : int or None
        Number of epochs without a better validation score after which training stops.
    target_accuracy : float or None
        Validation accuracy at which training stops; ignored where values are predicted, and with
        another ``scoring``.
    time_limit : float, optional
        Maximum training time in seconds: training ends after the epoch in which it is exceeded.
        It is that of one call of ``fit``, ``fit_population`` or ``resume``; the groups of a
        population share it equally, and a group may use what earlier ones have left.
    min_delta : float
        Minimum gain in the validation score that counts as better.
    clip_norm : float, optional
        Maximum global norm of the gradient.
    average : float, optional
        Decay of a moving average of the weights, such as 0.999. The averaged weights are then
        scored and returned.
    max_norm : float, optional
        Maximum norm of each unit's incoming weights, such as 3, enforced after every update.
    adversarial : float, optional
        Half of the loss is that of samples moved by this distance, in the units of x, in the
        direction in which the loss rises. It doubles the cost of a step.
    augment : str, augmentation or sequence, optional
        Random deformations of the samples, new in every epoch, see ``anynet.augment``: names such
        as ``"affine,elastic"``, or objects such as ``[Affine(rotation=15), Elastic()]``, applied
        in that order. The validation set is not augmented.
    image_shape : (int, int), optional
        Rows and columns of the images to augment, if they are not square and x is flattened.
    class_weight : "balanced" or dict of int to float, optional
        Factor of the samples of each class 0 … O−1, multiplied into their weights (1 for classes
        that are not in the dict). ``"balanced"`` is N / (number of classes · samples of the
        class), as in scikit-learn. The validation set is weighted in the same way.
    scoring : str or callable, optional
        The validation score that selects the epoch whose weights are kept, and that ``patience``
        and ``ReduceOnPlateau`` use; the higher, the better. ``"loss"``; the name of a scorer of
        scikit-learn, such as ``"balanced_accuracy"``, ``"f1_macro"``, ``"roc_auc"`` (for three or
        more classes: one-vs-rest, macro), ``"neg_brier_score"``, ``"neg_log_loss"`` or
        ``"neg_root_mean_squared_error"``; such a scorer, ``(estimator, x, y) -> float``; or a
        function ``(y, predicted) -> float`` of targets and of predicted probabilities or values
        (N, O), (N,) for one output. It receives ``sample_weight`` if there are weights. By default
        accuracy, or R² for values.
    ties : {"first", "last"}
        Which of several epochs with the same best validation score is kept. Patience is counted
        from the first in both cases.
    shuffle : bool
        Whether each epoch has its own random order.
    seed : int
        Determines everything random.

    Raises
    ------
    InvalidArgumentError
        If a number is out of its range.

    Examples
    --------
    >>> import anynet
    >>> options = anynet.FitOptions(epochs=20, optimizer="adam", learning_rate=0.001)
    >>> options.batch_size
    64
    >>> anynet.FitOptions(epochs=0)
    Traceback (most recent call last):
    ...
    anynet.errors.InvalidArgumentError: epochs must be a whole number of at least 1, got 0
    """

    kind: ClassVar[str] = "fit"

    epochs: int = 15
    batch_size: int = 64
    drop_last: bool = False
    optimizer: Optimizer | str | None = None
    learning_rate: float | Schedule = 0.1
    momentum: float | Schedule | None = None
    weight_decay: float | Schedule | None = None
    dropout: float | Schedule | None = None
    label_smoothing: float | Schedule | None = None
    loss: Loss | str | None = None
    patience: int | None = 5
    target_accuracy: float | None = 0.99
    time_limit: float | None = None
    min_delta: float = 0.0
    clip_norm: float | None = None
    average: float | None = None
    max_norm: float | None = None
    adversarial: float | None = None
    augment: Augmentation | str | Sequence[Augmentation] | None = None
    image_shape: tuple[int, int] | None = None
    class_weight: str | Mapping[int, float] | None = None
    scoring: str | Scorer | None = None
    ties: str = "first"
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # as Python's number, which files can hold
                object.__setattr__(self, field.name, value.item())
        check_bool("shuffle", self.shuffle)
        check_bool("drop_last", self.drop_last)
        check_choice("ties", self.ties, TIES)
        check_whole("epochs", self.epochs)
        check_whole("batch_size", self.batch_size)
        device_seed(self.seed)  # checks it
        if self.patience is not None:
            check_whole("patience", self.patience)
        for name in ("clip_norm", "max_norm", "adversarial", "time_limit"):
            self._check(name, lambda value: 0 < value < math.inf, "above 0 or None")
        self._check("average", lambda value: 0 <= value < 1, "in [0, 1) or None")
        self._check("target_accuracy", lambda value: 0 < value <= 1, "in (0, 1] or None")
        self._check("min_delta", lambda value: 0 <= value < math.inf, "at least 0")
        for name in ("momentum", "dropout", "label_smoothing"):
            self._check(name, lambda value: 0 <= value < 1, "in [0, 1), a schedule or None")
        bound = "at least 0, a schedule or None"
        self._check("weight_decay", lambda value: 0 <= value < math.inf, bound)

    def _check(self, name: str, is_sound: Callable[[float], bool], expected: str) -> None:
        value = getattr(self, name)
        may_be = value is None and name != "min_delta"
        may_be = may_be or ("schedule" in expected and is_schedule(value))
        if not may_be and not (isinstance(value, Real) and is_sound(float(value))):
            message = f"{name} must be {expected}, got {value!r}"
            raise InvalidArgumentError(message)


def is_schedule(value: Any) -> bool:
    """Whether a value is a schedule rather than a number."""
    return callable(value) and not isinstance(value, type)


class FitArguments(TypedDict, total=False):
    """``FitOptions`` as keyword arguments, for type checkers."""

    epochs: int
    batch_size: int
    drop_last: bool
    optimizer: Optimizer | str | None
    learning_rate: float | Schedule
    momentum: float | Schedule | None
    weight_decay: float | Schedule | None
    dropout: float | Schedule | None
    label_smoothing: float | Schedule | None
    loss: Loss | str | None
    patience: int | None
    target_accuracy: float | None
    time_limit: float | None
    min_delta: float
    clip_norm: float | None
    average: float | None
    max_norm: float | None
    adversarial: float | None
    augment: Augmentation | str | Sequence[Augmentation] | None
    image_shape: tuple[int, int] | None
    class_weight: str | Mapping[int, float] | None
    scoring: str | Scorer | None
    ties: str
    shuffle: bool
    seed: int


OPTION_NAMES = tuple(field.name for field in fields(FitOptions))


def takes_options(function: Function) -> Function:
    """Show the options of ``FitOptions`` in the signature and the documentation of a function.

    Parameters
    ----------
    function : callable
        Has ``**options``, and ``**options`` in its documentation.

    Returns
    -------
    callable
        Refuses other keyword arguments with the nearest name.
    """
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    shown = [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type
        )
        for f in fields(FitOptions)
    ]
    names = {parameter.name for parameter in own} | set(OPTION_NAMES)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        check_keywords(function.__name__, kwargs, names)
        return function(*args, **kwargs)

    wrapped.__signature__ = signature.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
    if function.__doc__ and FitOptions.__doc__:  # python -OO strips them
        documented = FitOptions.__doc__.partition("----------\n")[2].partition("\n\n")[0]
        wrapped.__doc__ = function.__doc__.replace("    **options\n", documented.rstrip() + "\n")
    return wrapped  # type: ignore[return-value]
