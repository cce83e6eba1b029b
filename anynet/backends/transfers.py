"""Blocks on their way to a CUDA device: one is copied while the step runs on the other."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from anynet import tree

Block = TypeVar("Block")

SLOTS = 2


class Copier(Protocol):
    """What a library brings: memory, copies on a stream of their own, and marks in time."""

    def empty(self, array: np.ndarray) -> Any:
        """Return memory of the device for such an array."""

    def mark(self) -> Any:
        """Return a mark that is reached when all that was asked of the device so far is done."""

    def copy(self, targets: Sequence[Any], arrays: Sequence[np.ndarray], after: Any) -> None:
        """Copy once a mark is reached, beside what was asked later; return when it is done."""


def double_buffered(blocks: Iterator[Block], copier: Copier) -> Generator[Block, None, None]:
    """Send blocks, all of the same shapes, by turns into two places on the device.

    The device is asked for the steps on a block before the next one is copied, so it works while
    this waits for that copy. A block's place is written again only after the steps on it: a mark
    that was set when they had been asked for is waited for on the device.
    """
    slots: list[Any] = []
    marks: list[Any] = []
    for turn, block in enumerate(blocks):
        if turn == 0:
            slots = [tree.map(copier.empty, block) for _ in range(SLOTS)]
            marks = [copier.mark()] * SLOTS  # this memory may have been another's a moment ago
        slot = slots[turn % SLOTS]
        copier.copy(tree.leaves(slot), tree.leaves(block), marks[turn % SLOTS])
        yield slot
        marks[turn % SLOTS] = copier.mark()
