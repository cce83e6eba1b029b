"""Adversarial samples: moved in the direction in which the loss rises."""

from __future__ import annotations

from anynet.backends import Backend
from anynet.members import per_member
from anynet.typing import Array

TINY = 1e-30  # smaller than the square of any relevant float32 gradient


def move_uphill(x: Array, dx: Array, distance: float | Array, *, backend: Backend) -> Array:
    """Move each sample by a distance along the gradient of the loss: x + ε g / ‖g‖₂.

    Parameters
    ----------
    x : Array of shape (B, I) or (*P, B, I)
    dx : Array of shape (*P, B, I)
        The gradient; samples with a zero gradient are not moved.
    distance : float or Array of shape (*P,)
        ε, in the units of x.
    backend : Backend

    Returns
    -------
    Array of shape (*P, B, I)

    References
    ----------
    Goodfellow, Shlens and Szegedy 2015, "Explaining and Harnessing Adversarial Examples", section
    5; the ball is that of the Euclidean norm, as in equation 3 of Miyato, Maeda, Koyama and Ishii
    2019, "Virtual Adversarial Training".
    """
    xp = backend.xp
    largest = xp.max(xp.abs(dx), axis=-1, keepdims=True)
    dx = dx / xp.maximum(largest, TINY)  # so that squares neither underflow nor overflow
    norm = xp.sqrt(xp.sum(dx * dx, axis=-1, keepdims=True))
    moved: Array = x + dx * (per_member(distance, dx, xp) / xp.maximum(norm, TINY))
    return moved
