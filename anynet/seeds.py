"""Host randomness: a NumPy generator for each use of a seed, all independent of one another.

Initial weights, batch orders and splits are drawn on the host, so they are the same on
every backend. Randomness inside a step is counter-based instead: see ``Backend.random_bits``.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from anynet.checks import check_whole


class Purpose(IntEnum):
    """The use of a stream of numbers. Seeded results depend on the values: do not change them."""

    WEIGHTS = 0
    ORDER = 1
    SPLIT = 2
    DEVICE = 3
    OPTIONS = 4


def host_generator(seed: int, purpose: Purpose, epoch: int = 0) -> np.random.Generator:
    """Return the generator of ``SeedSequence((seed, purpose, epoch))``.

    Raises
    ------
    InvalidArgumentError
        If ``seed`` is not a non-negative integer.
    """
    return np.random.default_rng(_sequence(seed, purpose, epoch))


def device_seed(seed: int) -> int:
    """Return the word that keys ``Backend.random_bits``: 31 bits, which fit into int32."""
    return int(_sequence(seed, Purpose.DEVICE, 0).generate_state(1)[0] >> 1)


def _sequence(seed: int, purpose: Purpose, epoch: int) -> np.random.SeedSequence:
    whole = check_whole("seed", seed, 0, math.inf)
    return np.random.SeedSequence((whole, int(purpose), epoch))
