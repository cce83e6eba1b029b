"""The training state: everything that changes during training, and its initial value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.data.subset import Subset
from anynet.nn.losses import Loss
from anynet.nn.network import Network, place
from anynet.optim.optimizers import Optimizer
from anynet.seeds import device_seed
from anynet.typing import Array, LayerStates, Params

BLOCK_NUMBERS = 2**22  # inputs read at a time
FITTED_SAMPLES = 4096  # a standard deviation over as many is exact to about 1 %


class Sums(NamedTuple):
    """Running sums over the samples of an epoch, weighted by the sample weights."""

    loss: Array  # (*P,)
    score: Array  # (*P, M), see Metric
    weight: Array  # (*P,)


class Weights(NamedTuple):
    """The arrays that a network computes with; a model keeps these of a training state."""

    params: Params
    states: LayerStates = ()


class TrainState(NamedTuple):
    """The state that a training step updates, a tree of device arrays.

    Together with the seed and the options it is all that a run needs to continue.
    """

    params: Params  # leaves (*P, I, O) and (*P, O)
    states: LayerStates  # of the layers, leaves (*P, …); () if no layer has state
    optimizer: Any  # the optimizer's own NamedTuple
    average: Params | tuple[()]  # moving average of the trained params, () if none is kept
    step: Array  # int32 (), updates made
    seed: Array  # int32 (*P,), keys the random bits of each member
    rate_factor: Array  # (*P,), multiplies the schedule; reduced by ReduceOnPlateau
    sums: Sums


def zero_sums(loss: Loss, network: Network, population: tuple[int, ...], backend: Backend) -> Sums:
    """Return sums that are all zero."""
    width = loss.metric.width(network.n_outputs)

    def zeros(*shape: int) -> Array:
        return backend.to_device(np.zeros(shape, dtype=backend.dtype))

    return Sums(zeros(*population), zeros(*population, width), zeros(*population))


def initial_state(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    seed: int | tuple[int, ...],
    backend: Backend,
    *,
    average: bool = False,
    weights: Weights | None = None,
    sums: Sums | None = None,
) -> TrainState:
    """Return the state before the first step; a tuple of seeds means a population.

    Parameters
    ----------
    weights : Weights, optional
        Consumed; by default ``Network.init`` and ``Network.init_states``.
    sums : Sums, optional
        Running sums; by default zeros for the loss and its metric.
    """
    population = (len(seed),) if isinstance(seed, tuple) else ()
    words = [device_seed(one) for one in seed] if isinstance(seed, tuple) else device_seed(seed)
    if weights is None:
        states: Any = tree.map(
            lambda leaf: np.broadcast_to(leaf, (*population, *leaf.shape)), network.init_states()
        )
        weights = Weights(network.init(seed, backend), place(states, backend))
    trained = network.trainable(weights.params)
    return TrainState(
        params=weights.params,
        states=weights.states,
        optimizer=optimizer.init(trained, backend=backend),
        average=copy(trained, backend) if average else (),
        step=backend.to_device(np.zeros((), dtype=np.int32)),
        seed=backend.to_device(np.asarray(words, dtype=np.int32)),
        rate_factor=backend.to_device(np.ones(population, dtype=backend.dtype)),
        sums=zero_sums(loss, network, population, backend) if sums is None else sums,
    )


def first_weights(
    network: Network,
    seed: int,
    samples: Subset,
    backend: Backend,
    fitted: dict[Any, Any] | None = None,
) -> Weights:
    """Draw the parameters of a network, and fit what depends on the samples.

    That is the state of a first layer with ``fit_state``, from all samples, and the parameters of
    layers with ``fits_params``, from at most 4096 evenly spaced ones.

    Parameters
    ----------
    fitted : dict, optional
        Results of earlier members of a population; reused for the same samples.
    """
    fitted = {} if fitted is None else fitted
    key = (id(samples.rows), None if samples.index is None else samples.index.tobytes())
    states: Any = network.init_states()
    if states and hasattr(network.layers[0], "fit_state"):
        if key not in fitted:
            blocks = _blocks(samples, backend)
            fitted[key] = network.layers[0].fit_state(network.n_inputs, blocks)
        states = (fitted[key], *states[1:])
    x = None
    if network.fits_params:
        if (key, "x") not in fitted:
            fitted[key, "x"] = _some(samples, backend)
        x = fitted[key, "x"]
    return Weights(*place((network.init_host(seed, x, states), states), backend))


def _some(samples: Subset, backend: Backend) -> np.ndarray:
    """Return the inputs of evenly spaced samples."""
    count = min(samples.n_samples, FITTED_SAMPLES)
    positions = np.linspace(0, samples.n_samples - 1, count).astype(np.int32)
    return samples.rows.read(samples.order(positions), backend)


def _blocks(samples: Subset, backend: Backend) -> Iterator[np.ndarray]:
    """Yield the inputs in the order in which they are stored."""
    index = np.sort(samples.order(np.arange(samples.n_samples, dtype=np.int32)))
    size = max(1, BLOCK_NUMBERS // samples.rows.x.shape[1])
    for start in range(0, len(index), size):
        yield samples.rows.read(index[start : start + size], backend)


def kept_weights(state: TrainState, network: Network) -> Weights:
    """Return the weights that are scored and kept: the averaged parameters, if there are any.

    The states of the layers, such as running statistics, are always the current ones.
    """
    if not state.average:
        return Weights(state.params, state.states)
    return Weights(network.with_frozen(state.average, state.params), state.states)


def copy(params: Any, backend: Backend) -> Any:
    """Return a tree of arrays that share no memory with the given ones."""
    return tree.map(lambda leaf: backend.xp.asarray(leaf, copy=True), params)
