"""Threefry-2x32: random bits as a pure function of a key and a counter.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC '11), section 4.2
and table 2. Thirteen rounds pass the Crush batteries; the published reference uses twenty.
"""

from __future__ import annotations

from collections.abc import Callable

from anynet.typing import Array

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA


def rotate_left(word: Array, distance: int) -> Array:
    """Rotate the bits of unsigned 32-bit words."""
    return (word << distance) | (word >> (32 - distance))


def threefry_2x32(
    key: tuple[Array, Array],
    counter: tuple[Array, Array],
    rounds: int = 13,
    rotate: Callable[[Array, int], Array] = rotate_left,
) -> tuple[Array, Array]:
    """Encrypt counters of two 32-bit words under a key of two 32-bit words.

    Parameters
    ----------
    key, counter : pair of Array
        32-bit words; the four shapes broadcast. Additions must wrap around at 2**32.
    rounds : int
        Rounds of mixing; the key is injected after every fourth.
    rotate : callable
        Rotates words left; libraries without unsigned integers bring their own.

    Returns
    -------
    pair of Array
        The 64 random bits of each counter.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    x0 = counter[0] + keys[0]
    x1 = counter[1] + keys[1]
    for index in range(rounds):
        x0 = x0 + x1
        x1 = rotate(x1, ROTATIONS[index % 8]) ^ x0
        if index % 4 == 3:
            injection = index // 4 + 1
            x0 = x0 + keys[injection % 3]
            x1 = x1 + keys[(injection + 1) % 3] + injection
    return x0, x1
