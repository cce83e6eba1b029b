"""Losses with scikit-learn's conventions, where those of ``anynet.nn.losses`` differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from anynet.backends import Backend
from anynet.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss
from anynet.nn.metrics import SUBSET_ACCURACY, Metric
from anynet.typing import Array, Namespace


@dataclass(frozen=True)
class SummedOverOutputs:
    """A loss of values whose gradient is that of the sum over the outputs, not of the mean.

    scikit-learn reports the squared error as the mean over the outputs, but its gradient is that
    of the sum; its Poisson loss sums both. With one output there is no difference.

    Parameters
    ----------
    loss : Loss
        One of ``task`` ``"values"``.
    n_outputs : int
    value_is_mean : bool
        Whether the reported value is the mean.
    """

    loss: Loss
    n_outputs: int
    value_is_mean: bool

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the loss and its gradient."""
        value, dlogits = self.loss(logits, target, weight, backend=backend)
        return value if self.value_is_mean else value * self.n_outputs, dlogits * self.n_outputs

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Return the link of the inner loss."""
        return self.loss.link(logits, xp)


@dataclass(frozen=True)
class ClippedCrossEntropy(CrossEntropy):
    """Cross-entropy of probabilities clipped to [ε, 1 − ε], as in scikit-learn.

    ε is that of the dtype. The gradient is that of the unclipped probabilities.
    """

    def _losses(self, shifted: Array, total: Array, wanted: Array, xp: Namespace) -> Array:
        epsilon = float(xp.finfo(shifted.dtype).eps)
        logs = xp.clip(shifted - xp.log(total), math.log(epsilon), math.log1p(-epsilon))
        losses: Array = -xp.sum(wanted * logs, axis=-1)
        return losses


@dataclass(frozen=True)
class ClippedBinaryCrossEntropy(BinaryCrossEntropy):
    """Binary cross-entropy of probabilities clipped to [ε, 1 − ε], see ``ClippedCrossEntropy``.

    The probability of 0 is computed as 1 minus that of 1, with the rounding of scikit-learn.
    """

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Return the logistic function, accurate for small values.

        Adam divides gradients by their magnitude: those of small probabilities must not be 0.
        """
        largest = math.log(float(xp.finfo(logits.dtype).max)) - 1  # beyond, exp overflows
        share: Array = 1 / (1 + xp.exp(xp.clip(-logits, -largest, largest)))
        return share

    def _losses(self, logits: Array, target: Array, xp: Namespace) -> Array:
        epsilon = float(xp.finfo(logits.dtype).eps)
        share = xp.clip(self.link(logits, xp), epsilon, 1 - epsilon)
        losses: Array = -(target * xp.log(share) + (1 - target) * xp.log(1 - share))
        return losses


def as_scikit_learn_has_it(loss: Loss) -> Loss:
    """Return the loss of classes that equals scikit-learn's also at probabilities of 0 and 1."""
    if isinstance(loss, CrossEntropy):
        return ClippedCrossEntropy(loss.label_smoothing)
    return ClippedBinaryCrossEntropy() if isinstance(loss, BinaryCrossEntropy) else loss


@dataclass(frozen=True)
class GroupedCrossEntropy:
    """The sum of the losses of several classifications, a softmax over each group of logits.

    Targets are classes (B, groups), counted from 0 within each group.

    Parameters
    ----------
    sizes : tuple of int
        The number of classes of each group; the logits are the concatenated groups.
    label_smoothing : float
        See ``CrossEntropy``.
    """

    kind: ClassVar[str] = "grouped_cross_entropy"
    task: ClassVar[str] = "classes"
    metric: ClassVar[Metric] = SUBSET_ACCURACY

    sizes: tuple[int, ...]
    label_smoothing: float = 0.0

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the summed loss and its gradient."""
        loss = CrossEntropy(self.label_smoothing)
        pairs = [
            loss(group, target[..., index], weight, backend=backend)
            for index, group in enumerate(self.split(logits))
        ]
        values = [value for value, _ in pairs]
        total = sum(values[1:], start=values[0])
        return total, backend.xp.concat([dlogits for _, dlogits in pairs], axis=-1)

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Softmax over each group."""
        groups = [CrossEntropy().link(group, xp) for group in self.split(logits)]
        joined: Array = xp.concat(groups, axis=-1)
        return joined

    def split(self, logits: Array) -> list[Array]:
        """Cut the last axis into the groups."""
        starts = [sum(self.sizes[:index]) for index in range(len(self.sizes))]
        return [
            logits[..., start : start + size]
            for start, size in zip(starts, self.sizes, strict=True)
        ]
