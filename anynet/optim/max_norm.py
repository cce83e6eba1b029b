"""A bound on the length of each unit's incoming weights."""

from __future__ import annotations

from anynet.backends import Backend
from anynet.members import per_member
from anynet.typing import Array, Params


def limit_weight_norms(
    params: Params, max_norm: float | Array, population_ndim: int, *, backend: Backend
) -> Params:
    """Shorten the incoming weights of every unit to at most a bound, keeping their direction.

    The max-norm constraint of Srebro and Shraibman 2005, as Srivastava et al. 2014, section 5.1,
    use it with dropout: ‖w‖₂ ≤ c for each column w of each dense layer, after every update.

    Parameters
    ----------
    params : Params
        Leaves called ``weight`` are (*P, I, O); others are left as they are.
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
        # A column of zeros has no direction to keep: the bound of 1e-12 leaves it as it is.
        norms = xp.sqrt(xp.maximum(squares, 1e-24))
        shortened: Array = weight * xp.minimum(per_member(max_norm, norms, xp) / norms, 1.0)
        return shortened

    return tuple(
        {name: shorten(leaf) if name == "weight" else leaf for name, leaf in layer.items()}
        for layer in params
    )
