"""Losses, each with its gradient: ``(logits, target, weight) -> (value, dlogits)``.

``logits`` are the outputs of the network, (*P, B, O). ``value`` (*P,) is the mean over the
samples of the batch, weighted if ``weight`` (B,) or (*P, B) is given. A loss also has a
``link``, which turns logits into the prediction of the mean (probabilities, counts), and its
``metric``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from anynet.backends import Backend
from anynet.config import register, registered
from anynet.members import Bounded, is_number, number, per_member
from anynet.nn.activations import logistic
from anynet.nn.metrics import ACCURACY, R2, SUBSET_ACCURACY, Metric
from anynet.typing import Array, Namespace

TINY = 1e-30


class Loss(Protocol):
    """The interface of losses: functions that training minimises.

    Two attributes are optional. ``link_name`` is the name of ``link`` in exports: ``"softmax"``,
    ``"logistic"``, ``"identity"`` or ``"exp"``. ``least_target`` is the smallest valid target.
    """

    kind: ClassVar[str]
    task: ClassVar[str]  # "classes", "labels" (several 0/1 labels a row) or "values"
    metric: ClassVar[Metric]

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the value (*P,) and its gradient (*P, B, O)."""

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Return the predicted mean of the target, shaped like the logits."""


@register("loss")
@dataclass(frozen=True)
class CrossEntropy(Bounded):
    """Softmax and cross-entropy as one function, through log-sum-exp; targets are classes (B,).

    Parameters
    ----------
    label_smoothing : float
        ε of Szegedy et al. 2016, section 7: the target is 1 − ε + ε/O for the true class and
        ε/O for each other. In a step of a population it may be an array (*P,).

    Examples
    --------
    >>> import numpy as np
    >>> import anynet
    >>> backend, loss = anynet.get_backend("numpy"), anynet.nn.CrossEntropy()
    >>> logits, target = np.zeros((2, 4), np.float32), np.array([0, 3])
    >>> value, dlogits = loss(logits, target, None, backend=backend)
    >>> float(value)  # log 4
    1.3862943649291992
    >>> dlogits[0]  # (softmax − one-hot) / B
    array([-0.375,  0.125,  0.125,  0.125], dtype=float32)
    """

    kind: ClassVar[str] = "cross_entropy"
    task: ClassVar[str] = "classes"
    metric: ClassVar[Metric] = ACCURACY
    link_name: ClassVar[str] = "softmax"
    varies: ClassVar[tuple[str, ...]] = ("label_smoothing",)

    label_smoothing: float = number(0.0, below=1)

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the value (*P,) and its gradient (*P, B, O)."""
        xp = backend.xp
        n_classes = logits.shape[-1]
        classes = xp.arange(n_classes, dtype=target.dtype, device=backend.device)
        wanted = xp.astype(target[..., None] == classes, logits.dtype)
        if not is_number(self.label_smoothing) or self.label_smoothing:
            smoothing = per_member(self.label_smoothing, logits, xp)
            wanted = wanted * (1 - smoothing) + smoothing / n_classes
        shifted = logits - xp.max(logits, axis=-1, keepdims=True)
        exponentials = xp.exp(shifted)
        total = xp.sum(exponentials, axis=-1, keepdims=True)
        losses = self._losses(shifted, total, wanted, xp)
        return _mean(losses, exponentials / total - wanted, weight, xp)

    def _losses(self, shifted: Array, total: Array, wanted: Array, xp: Namespace) -> Array:
        losses: Array = xp.log(total)[..., 0] - xp.sum(wanted * shifted, axis=-1)
        return losses

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Return the probabilities by softmax."""
        exponentials = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
        probabilities: Array = exponentials / xp.sum(exponentials, axis=-1, keepdims=True)
        return probabilities


@register("loss")
@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Sum over the outputs of −y log σ(z) − (1 − y) log(1 − σ(z)); targets 0 or 1, (B, O)."""

    kind: ClassVar[str] = "binary_cross_entropy"
    task: ClassVar[str] = "labels"
    metric: ClassVar[Metric] = SUBSET_ACCURACY
    link_name: ClassVar[str] = "logistic"

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the value (*P,) and its gradient (*P, B, O)."""
        xp = backend.xp
        losses = xp.sum(self._losses(logits, target, xp), axis=-1)
        return _mean(losses, self.link(logits, xp) - target, weight, xp)

    def _losses(self, logits: Array, target: Array, xp: Namespace) -> Array:
        losses: Array = xp.logaddexp(logits, xp.zeros_like(logits)) - target * logits
        return losses

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Return the logistic function of the logits."""
        return logistic(logits, xp)


@dataclass(frozen=True)
class ValueLoss(Bounded):
    """Base class of regression losses: the mean over the outputs of a function of each.

    A subclass has a ``kind`` and ``pointwise``; one that is not in the units of the target has a
    ``link`` too.
    """

    kind: ClassVar[str]
    task: ClassVar[str] = "values"
    metric: ClassVar[Metric] = R2
    link_name: ClassVar[str] = "identity"
    least_target: ClassVar[float] = -math.inf

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the value (*P,) and its gradient (*P, B, O)."""
        xp = backend.xp
        losses, slopes = self.pointwise(logits, target, xp)
        return _mean(xp.mean(losses, axis=-1), slopes / losses.shape[-1], weight, xp)

    def pointwise(self, logits: Array, target: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the loss of each output (*P, B, O), and its derivative by the logit."""
        raise NotImplementedError

    def link(self, logits: Array, xp: Namespace) -> Array:  # noqa: ARG002
        """Return the logits, which are the prediction."""
        return logits


@register("loss")
@dataclass(frozen=True)
class SquaredError(ValueLoss):
    """Half the squared error (scikit-learn's convention), the mean over outputs."""

    kind: ClassVar[str] = "squared_error"

    def pointwise(self, logits: Array, target: Array, xp: Namespace) -> tuple[Array, Array]:  # noqa: ARG002
        """Return ½ r² and r, the residual."""
        residual = logits - target
        return 0.5 * residual * residual, residual


@register("loss")
@dataclass(frozen=True)
class AbsoluteError(ValueLoss):
    """|z − y|, the mean over outputs; its gradient at 0 is 0."""

    kind: ClassVar[str] = "absolute_error"

    def pointwise(self, logits: Array, target: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return |r| and the sign of r, the residual."""
        residual = logits - target
        return xp.abs(residual), xp.sign(residual)


@register("loss")
@dataclass(frozen=True)
class Huber(ValueLoss):
    """½ r² where |r| ≤ δ, else δ (|r| − δ/2) (Huber 1964), the mean over outputs.

    Parameters
    ----------
    delta : float
        δ, in the units of the target.

    Examples
    --------
    >>> import anynet
    >>> loss = anynet.nn.Huber(delta=0.5)
    >>> data = [[0.0], [1.0], [2.0]], [0.0, 0.5, 1.0]
    >>> model = anynet.fit(anynet.mlp([1, 8, 1]), data, loss=loss, backend="numpy")
    >>> model.loss
    Huber(delta=0.5)
    """

    kind: ClassVar[str] = "huber"

    delta: float = number(1.0, above=0)

    def pointwise(self, logits: Array, target: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return the loss, and the residual clipped to [−δ, δ]."""
        residual = logits - target
        slope = xp.clip(residual, -self.delta, self.delta)
        return slope * (residual - 0.5 * slope), slope


@register("loss")
@dataclass(frozen=True)
class Poisson(ValueLoss):
    """Half the Poisson deviance, eᶻ − y − y z + y log y, for counts; the mean over outputs."""

    kind: ClassVar[str] = "poisson"
    link_name: ClassVar[str] = "exp"
    least_target: ClassVar[float] = 0.0

    def pointwise(self, logits: Array, target: Array, xp: Namespace) -> tuple[Array, Array]:
        """Return half the deviance, and eᶻ − y."""
        mean = xp.exp(logits)
        entropy = target * xp.log(xp.where(target > 0, target, 1.0))
        return mean - target - target * logits + entropy, mean - target

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Return the exponential of the logits."""
        mean: Array = xp.exp(logits)
        return mean


def _mean(
    losses: Array, dlogits: Array, weight: Array | None, xp: Namespace
) -> tuple[Array, Array]:
    """Mean over the samples; a batch whose weights are all zero has value and gradient 0."""
    if weight is None:
        n_samples = losses.shape[-1]
        return xp.sum(losses, axis=-1) / n_samples, dlogits * (1 / n_samples)
    weight = weight / xp.maximum(xp.sum(weight, axis=-1, keepdims=True), TINY)
    return xp.sum(losses * weight, axis=-1), dlogits * weight[..., None]


LOSSES: Mapping[str, Any] = registered("loss")
