"""The loss of mixup: samples that are blended in pairs."""

from __future__ import annotations

from dataclasses import dataclass

from anynet.backends import Backend
from anynet.members import per_member
from anynet.nn.losses import Loss
from anynet.typing import Array


@dataclass(frozen=True)
class MixedLoss:
    """The mean of the losses for both targets, weighted by the shares of their samples.

    Parameters
    ----------
    loss : Loss
    share : Array of shape (*P,)
        Weight of the sample's own target. The rest is the weight of the target at the mirrored
        position of the batch, see ``anynet.augment.Mixup``.
    """

    loss: Loss
    share: Array

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the value (*P,) and the gradient (*P, B, O)."""
        xp = backend.xp
        other = xp.flip(target, axis=-1 if self.loss.task == "classes" else -2)
        other_weight = None if weight is None else xp.flip(weight, axis=-1)
        value, dlogits = self.loss(logits, target, weight, backend=backend)
        other_value, other_dlogits = self.loss(logits, other, other_weight, backend=backend)
        share = per_member(self.share, dlogits, xp)
        return (
            other_value + self.share * (value - other_value),
            other_dlogits + share * (dlogits - other_dlogits),
        )
