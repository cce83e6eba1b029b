"""Normalisation: of each sample, of each feature over a batch, of the inputs over the data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.backends import Backend, Share
from anynet.config import register
from anynet.members import Bounded, number
from anynet.nn.layers.layer import ParameterFree, Pullback, Shapes, without_params
from anynet.typing import Array, Key, LayerGrads, LayerParams, LayerState


class _GainAndBias:
    """Base of normalisations that end with a learned ``gain`` and ``bias``, both (*P, I)."""

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shapes of ``gain`` and ``bias``, and the number of inputs."""
        return {"gain": (n_in,), "bias": (n_in,)}, n_in

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:  # noqa: ARG002
        """Return gains of 1 and biases of 0, and the number of inputs."""
        return {"gain": np.ones(n_in), "bias": np.zeros(n_in)}, n_in


@register("layer")
@dataclass(frozen=True)
class LayerNorm(Bounded, _GainAndBias):
    """Shift and scale each sample to mean 0 and variance 1, then by a learned gain and bias.

    Parameters
    ----------
    epsilon : float
        Added to the variance.

    References
    ----------
    Ba, Kiros and Hinton 2016, "Layer Normalization", equation 4.
    """

    kind: ClassVar[str] = "layer_norm"

    epsilon: float = number(1e-5, above=0)

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the normalised samples, and the pullback."""
        means = functools.partial(_row_means, xp=backend.xp)
        centred, _, variance = _centred(x, means)
        return _normalised(params, centred, variance, self.epsilon, means, backend)


@register("layer")
@dataclass(frozen=True)
class BatchNorm(Bounded, _GainAndBias):
    """Shift and scale each feature to mean 0 and variance 1, then by a learned gain and bias.

    While training, mean and variance are those of the batch, and the state, ``mean`` and
    ``variance`` of shape (*P, I), follows them as a moving average; inference uses the state.
    The conventions are those of ``torch.nn.BatchNorm1d``: the variance of the batch is the biased
    one, the running variance is that of unbiased ones, and weights of samples are ignored. A
    batch of one sample, which has no variance, is normalised by the state and does not change it.

    Parameters
    ----------
    momentum : float
        The share of the batch in the next running statistics, in (0, 1].
    epsilon : float
        Added to the variance.

    References
    ----------
    Ioffe and Szegedy 2015, "Batch Normalization", algorithms 1 and 2.
    """

    kind: ClassVar[str] = "batch_norm"

    momentum: float = number(0.1, above=0, most=1)
    epsilon: float = number(1e-5, above=0)

    def init_state(self, n_in: int) -> dict[str, np.ndarray]:
        """Return a running mean of 0 and a running variance of 1."""
        return {"mean": np.zeros(n_in), "variance": np.ones(n_in)}

    def apply_with_state(
        self, params: LayerParams, state: LayerState, x: Array, *, backend: Backend, key: Key | None
    ) -> tuple[Array, Pullback, LayerState]:
        """Return the normalised features, the pullback, and the next running statistics."""
        share = None if key is None else key.share
        n_samples = x.shape[-2] if share is None else share.size
        if key is None or n_samples == 1:
            mean, variance = (state[name][..., None, :] for name in ("mean", "variance"))
            return *_normalised(params, x - mean, variance, self.epsilon, None, backend), state
        means = functools.partial(_batch_means, backend=backend, share=share)
        centred, mean, variance = _centred(x, means)
        unbiased = variance * (n_samples / (n_samples - 1))
        following = {
            name: state[name] + self.momentum * (batch[..., 0, :] - state[name])
            for name, batch in (("mean", mean), ("variance", unbiased))
        }
        y, pullback = _normalised(params, centred, variance, self.epsilon, means, backend)
        if share is not None and share.is_empty:
            pullback = _without_slope(pullback)
        return y, pullback, following


Means = Callable[..., tuple[Array, ...]]
"""``(*arrays) -> means``: the mean of each array along an axis, which is kept."""


def _row_means(*arrays: Array, xp: Any) -> tuple[Array, ...]:
    """Return the mean of each sample."""
    return tuple(xp.mean(x, axis=-1, keepdims=True) for x in arrays)


def _batch_means(*arrays: Array, backend: Backend, share: Share | None) -> tuple[Array, ...]:
    """Return the mean of each feature over the whole batch, of which this process has a share."""
    means = tuple(backend.xp.mean(x, axis=-2, keepdims=True) for x in arrays)
    if share is None:
        return means
    return backend.all_reduce(tuple(mean * share.fraction for mean in means))


def _without_slope(pullback: Pullback) -> Pullback:
    """Return a pullback with dx = 0, for a row that is not one of the batch."""

    def pull(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
        grads, dx = pullback(dy, need_dx)
        return grads, None if dx is None else dx * 0.0

    return pull


def _centred(x: Array, means: Means) -> tuple[Array, Array, Array]:
    """Return x − mean, the mean and the biased variance."""
    (mean,) = means(x)
    centred = x - mean
    (variance,) = means(centred * centred)
    return centred, mean, variance


def _normalised(
    params: LayerParams,
    centred: Array,
    variance: Array,
    epsilon: float,
    means: Means | None,
    backend: Backend,
) -> tuple[Array, Pullback]:
    """Return gain · (x − mean) / √(variance + ε) + bias, and its pullback.

    ``means`` are those by which mean and variance were taken; None if they are constants.
    """
    xp = backend.xp
    gain, bias = (params[name][..., None, :] for name in ("gain", "bias"))
    deviation = xp.sqrt(variance + epsilon)
    normal = centred / deviation

    def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
        grads = {"gain": xp.sum(dy * normal, axis=-2), "bias": xp.sum(dy, axis=-2)}
        if not need_dx:
            return grads, None
        slope = dy * gain
        if means is not None:
            along, level = means(slope * normal, slope)
            slope = slope - level - normal * along
        return grads, slope / deviation

    return normal * gain + bias, pullback


@register("layer")
@dataclass(frozen=True)
class Standardize(ParameterFree):
    """Shift and scale each input to mean 0 and variance 1 over the training samples.

    The state, ``mean`` and ``scale`` (1 / standard deviation) of shape (*P, I), is fitted once
    before training, by ``fit_state`` on the samples that are trained on, as they are before any
    augmentation; weights of samples are ignored. It must be the first layer.
    """

    kind: ClassVar[str] = "standardize"

    def init_state(self, n_in: int) -> dict[str, np.ndarray]:
        """Return the state that changes nothing."""
        return {"mean": np.zeros(n_in), "scale": np.ones(n_in)}

    def fit_state(self, n_in: int, blocks: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the state for samples that come in blocks.

        Parameters
        ----------
        n_in : int
            Number of inputs I.
        blocks : iterable of ndarray of shape (M, I)

        Returns
        -------
        dict of str to ndarray of shape (I,)
            A column whose standard deviation is 0 to rounding has a scale of 1, as in
            scikit-learn's ``StandardScaler``.

        References
        ----------
        Chan, Golub and LeVeque 1983, "Algorithms for Computing the Sample Variance", equation 1.5.
        """
        count, mean, squares = 0, np.zeros(n_in), np.zeros(n_in)
        for block in blocks:
            x = np.asarray(block, dtype=np.float64)
            new_mean = x.mean(axis=0)
            shift, total = new_mean - mean, count + len(x)
            squares += ((x - new_mean) ** 2).sum(axis=0) + shift**2 * (count * len(x) / total)
            mean += shift * (len(x) / total)
            count = total
        variance = squares / max(count, 1)
        rounding = np.finfo(np.float64).eps * count
        constant = variance <= rounding * variance + (rounding * mean) ** 2
        return {"mean": mean, "scale": 1 / np.sqrt(np.where(constant, 1.0, variance))}

    def apply_with_state(
        self,
        params: LayerParams,  # noqa: ARG002
        state: LayerState,
        x: Array,
        *,
        backend: Backend,  # noqa: ARG002
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback, LayerState]:
        """Return the standardised inputs, the pullback, and the unchanged state."""
        mean, scale = (state[name][..., None, :] for name in ("mean", "scale"))
        return (x - mean) * scale, without_params(lambda dy: dy * scale), state
