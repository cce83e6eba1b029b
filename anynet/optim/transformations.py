"""Transformations around an update: clipping of gradients, averages and bounds of weights."""

from __future__ import annotations

from anynet import tree
from anynet.backends import Backend
from anynet.members import per_member
from anynet.nn.layers.dense import form_gradients
from anynet.typing import Array, Grads, Params


def clip_by_global_norm(
    grads: Grads, max_norm: float | Array, population_ndim: int, *, backend: Backend
) -> Grads:
    """Scale all gradients of a member by one factor, so that their joint norm is at most a bound.

    Pascanu, Mikolov and Bengio 2013, algorithm 1; ε and the order of operations are those of
    torch's ``clip_grad_norm_``.

    Parameters
    ----------
    grads : Grads
    max_norm : float or Array of shape (*P,)
        The bound, in the units of the gradient.
    population_ndim : int
        The number of population axes P in front of each leaf.
    backend : Backend

    Returns
    -------
    Grads
        All of them as arrays.
    """
    xp = backend.xp
    grads = form_gradients(grads, backend)

    def square(leaf: Array) -> Array:
        axes = tuple(range(population_ndim, leaf.ndim))
        total: Array = xp.sum(leaf * leaf, axis=axes)
        return total

    squares = [square(leaf) for leaf in tree.leaves(grads)]
    norm = xp.sqrt(sum(squares[1:], start=squares[0]))
    factor = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    return tree.map(lambda leaf: leaf * per_member(factor, leaf, xp), grads)


def update_average(
    average: Params, params: Params, decay: float | Array, step: Array, *, backend: Backend
) -> Params:
    """Mix new parameters into their exponential moving average.

    Polyak and Juditsky 1992, in TensorFlow's variant: the decay is min(decay, (1 + t) / (10 + t))
    at update t, so that the average forgets the initial weights.

    Parameters
    ----------
    average, params : Params
    decay : float or Array of shape (*P,)
        In [0, 1); 0.999 averages over about the last 1,000 updates.
    step : Array of shape (), int32
        The number t of updates made before this one.
    backend : Backend

    Returns
    -------
    Params
    """
    time = backend.xp.astype(step, backend.float_dtype)
    xp = backend.xp
    share = 1 - xp.minimum((time + 1.0) / (time + 10.0), decay)
    return tree.map(lambda a, p: a + per_member(share, a, xp) * (p - a), average, params)


def limit_weight_norms(
    params: Params, max_norm: float | Array, population_ndim: int, *, backend: Backend
) -> Params:
    """Shorten the incoming weights of every unit to at most a bound, keeping their direction.

    The max-norm constraint of Srebro and Shraibman 2005, as Srivastava et al. 2014, section 5.1,
    use it with dropout: ‖w‖₂ ≤ c for each column w of each dense layer, after every update.

    Parameters
    ----------
    params : Params
        Leaves called ``weight`` are (*P, I, O); others are not changed.
    max_norm : float or Array of shape (*P,)
        The bound c, above 0.
    population_ndim : int
        The number of population axes P in front of each leaf.
    backend : Backend

    Returns
    -------
    Params
    """
    xp = backend.xp

    def shorten(weight: Array) -> Array:
        squares = xp.sum(weight * weight, axis=population_ndim, keepdims=True)
        # A column of zeros has no direction to keep: the bound of 1e-12 leaves it unchanged.
        norms = xp.sqrt(xp.maximum(squares, 1e-24))
        shortened: Array = weight * xp.minimum(per_member(max_norm, norms, xp) / norms, 1.0)
        return shortened

    return tuple(
        {name: shorten(leaf) if name == "weight" else leaf for name, leaf in layer.items()}
        for layer in params
    )
