"""Clipping of gradients."""

from __future__ import annotations

from anynet import tree
from anynet.backends import Backend
from anynet.members import per_member
from anynet.nn.gradients import form_gradients
from anynet.typing import Array, Grads


def clip_by_global_norm(
    grads: Grads, max_norm: float | Array, population_ndim: int, *, backend: Backend
) -> Grads:
    """Scale all gradients of a member by one factor, so that their joint norm is at most a bound.

    Pascanu, Mikolov and Bengio 2013, algorithm 1; ε and the order of operations are torch's
    ``clip_grad_norm_``.

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
        All of them formed.
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
