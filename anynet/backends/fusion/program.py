"""Programs of array operations, and their division into kernels.

A program is a list of instructions, each an operation of earlier ones. Elementwise operations,
views and gathers are computed where they are used; stored is only what is wanted, and every
reduction, because many elements use its result. What depends on a reduction is stored in a later
stage. Stores that depend on each other form a group:

- A group of one stage is computed by as many blocks as its elements need.
- The stages of a small group follow each other in one block, with a barrier between them; so do
  those of a large group whose leading axis can be divided, in several blocks: the rows of a
  softmax, or the members of a population.
- Any other group needs a kernel for each of its stages.

All groups share these kernels, in which each has blocks of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

THREADS = 512  # per block
MOST_BLOCKS = 1024  # of a segment
COALESCED = 32  # adjacent columns that a block reads together
ONE_BLOCK = 2**15  # elements that one block visits about as fast as several kernels
FEW = 2**11  # elements a block, below which more blocks gain nothing
MOST_ARGUMENTS = 240  # of a kernel, of 8 bytes each; CUDA allows 4 KiB


class Instruction(NamedTuple):
    """One operation of a program.

    Attributes
    ----------
    operation : str
        An elementwise operation (see ``anynet.backends.fusion.source``) or one of these, with
        their options:

        - ``"array"`` and ``"number"``, the arguments of the program
        - ``"view"``: the offset of the first element, and a pair of length and stride for each axis
        - ``"take"``: the length of the axis, the number of indices, the number of inner elements
        - ``"concat"``: the lengths along the axis, then the number of inner elements
        - ``"position"``, the index along an axis: its length, the number of inner elements
        - ``"reduce"``: the function, the length of the axis, the number of inner elements
    options : tuple
    dtype : str
        Of the result.
    size : int
        Number of elements of the result.
    inputs : tuple of int
        The positions of its operands in the program.
    """

    operation: str
    options: tuple[Any, ...]
    dtype: str
    size: int
    inputs: tuple[int, ...] = ()


class Store(NamedTuple):
    """The results that one loop stores: one reduction, or elementwise ones of the same size."""

    stage: int
    positions: tuple[int, ...]


class Segment(NamedTuple):
    """The blocks of a kernel that compute some stores one after another.

    Attributes
    ----------
    stores : list of Store
    blocks : int
    divided : bool
        Whether each block computes an equal part of each store, in row order, and so may read what
        it stored before. Else the only store is spread over all threads.
    """

    stores: list[Store]
    blocks: int
    divided: bool


class Program:
    """A list of instructions with what follows from it.

    Parameters
    ----------
    instructions : tuple of Instruction
        Each uses results of earlier ones only.
    """

    def __init__(self, instructions: tuple[Instruction, ...]) -> None:
        self.instructions = instructions
        self.stages: list[int] = []  # the number of reductions on the longest way to a result
        self.operands: list[frozenset[int]] = []  # arguments and reductions it is computed from
        self.divisors: list[int] = []
        for one in instructions:
            ways = (self.stages[at] + self.is_reduction(at) for at in one.inputs)
            self.stages.append(max(ways, default=0))
            reads = (
                {at} if self.is_reduction(at) or self.is_argument(at) else self.operands[at]
                for at in one.inputs
            )
            self.operands.append(frozenset().union(*reads))
            self.divisors.append(self._divisor(one))

    def is_reduction(self, at: int) -> bool:
        """Whether a result is that of a reduction."""
        return self.instructions[at].operation == "reduce"

    def is_argument(self, at: int) -> bool:
        """Whether a result is an argument of the program."""
        return self.instructions[at].operation in ("array", "number")

    def reductions(self, at: int) -> list[int]:
        """Return the reductions that a result is computed from."""
        return [one for one in self.operands[at] if self.is_reduction(one)]

    def used(self, segment: Segment) -> set[int]:
        """Return the positions of what a segment reads and stores."""
        stored = {at for store in segment.stores for at in store.positions}
        return stored.union(*(self.operands[at] for at in stored))

    def kernels(self, wanted: tuple[int, ...]) -> list[list[Segment]]:
        """Divide the computation of some results into kernels, in order.

        Parameters
        ----------
        wanted : tuple of int
            Positions of the results to store. Reductions that they use are stored too.
        """
        kernels: list[list[Segment]] = []
        for group in self._groups(wanted):
            stages = sorted({store.stage for store in group})
            blocks = self._divide(group)
            if len(stages) > 1 and self._visited(group) <= blocks * ONE_BLOCK:
                parts = [[Segment(group, blocks, True)]]
            else:
                parts = [
                    [self._spread(store) for store in group if store.stage == stage]
                    for stage in stages
                ]
            kernels += [[] for _ in range(len(kernels), len(parts))]
            for kernel, segments in zip(kernels, parts, strict=False):
                kernel += segments
        return [part for kernel in kernels for part in self._split(kernel)]

    def _spread(self, store: Store) -> Segment:
        """Return the segment of one store."""
        first = self.instructions[store.positions[0]]
        outputs = THREADS
        if first.operation == "reduce":
            outputs //= lanes(first, first.size, False)
        return Segment([store], min(MOST_BLOCKS, -(-first.size // outputs)), False)

    def _split(self, segments: list[Segment]) -> Iterator[list[Segment]]:
        """Split a kernel that would have too many arguments."""
        part: list[Segment] = []
        arguments: set[int] = set()
        for segment in segments:
            arguments |= self.used(segment)
            if part and len(arguments) > MOST_ARGUMENTS:
                yield part
                part, arguments = [], self.used(segment)
            part.append(segment)
        if part:
            yield part

    def _groups(self, wanted: tuple[int, ...]) -> list[list[Store]]:
        """Return the stores in groups, each in the order of its stages."""
        stored, todo = set(wanted), list(wanted)
        while todo:
            new = set(self.reductions(todo.pop())) - stored
            todo += new
            stored |= new
        joined = _Joined(stored)
        readers: dict[tuple[int, int, int], int] = {}  # by array, size and stage
        for at in sorted(stored):
            for reduction in self.reductions(at):
                joined.join(at, reduction)
            size = self.instructions[at].size
            if size > 1 and self.stages[at] == 0 and not self.is_reduction(at):
                for one in self.operands[at]:  # one loop reads an array once for several results
                    if self.instructions[one].size == size:
                        joined.join(at, readers.setdefault((one, size, 0), at))
        loops: dict[tuple[Any, ...], list[int]] = {}
        for at in sorted(stored):
            kind = ("reduce", at) if self.is_reduction(at) else ("map", self.instructions[at].size)
            loops.setdefault((joined.find(at), self.stages[at], *kind), []).append(at)
        groups: dict[int, list[Store]] = {}
        for (root, stage, *_), positions in loops.items():
            groups.setdefault(root, []).append(Store(stage, tuple(positions)))
        return [sorted(group) for group in groups.values()]

    def _visited(self, group: list[Store]) -> int:
        """Return the number of elements that the loops of a group visit."""
        firsts = [self.instructions[store.positions[0]] for store in group]
        return sum(
            one.size * (one.options[1] if one.operation == "reduce" else 1) for one in firsts
        )

    def _divide(self, group: list[Store]) -> int:
        """Return the number of blocks that can compute equal parts of every store of a group."""
        parts = 0
        for store in group:
            for at in store.positions:
                one = self.instructions[at]
                outer = one.size // one.options[2] if one.operation == "reduce" else one.size
                sources = one.inputs if one.operation == "reduce" else (at,)
                parts = math.gcd(parts, outer, *(self.divisors[source] for source in sources))
        most = min(MOST_BLOCKS, max(1, self._visited(group) // FEW))
        return max(count for count in range(1, most + 1) if parts % count == 0)

    def _divisor(self, one: Instruction) -> int:
        """Return in how many equal parts, each read from the same part, a result can be computed.

        Only reductions count, as they are stored by the same kernel. 0 means any number.
        """
        if one.operation == "reduce":
            return one.size
        below = math.gcd(*(self.divisors[at] for at in one.inputs))
        if below == 0:
            return 0
        repeated = any(
            self.instructions[at].size == 1 < one.size and self.divisors[at] for at in one.inputs
        )
        if one.operation in ("take", "concat") or (repeated and one.operation != "view"):
            return 1
        if one.operation == "view":
            offset, axes = one.options
            base = self.instructions[one.inputs[0]].size
            leading = offset == 0 and axes and axes[0][0] * axes[0][1] == base
            return math.gcd(below, axes[0][0]) if leading else 1
        return below


class _Joined:
    """Sets of numbers that are joined step by step (union-find)."""

    def __init__(self, members: set[int]) -> None:
        self.parent = {one: one for one in members}

    def find(self, one: int) -> int:
        while self.parent[one] != one:
            one = self.parent[one]
        return one

    def join(self, one: int, other: int) -> None:
        self.parent[self.find(one)] = self.find(other)


def lanes(reduction: Instruction, outputs: int, divided: bool) -> int:
    """Return the number of threads, a power of two, that compute one result of a reduction.

    Parameters
    ----------
    reduction : Instruction
    outputs : int
        Number of results that a block computes.
    divided : bool
        See ``Segment``.
    """
    length, inner = int(reduction.options[1]), reduction.options[2]
    if divided:
        most = min(length, THREADS // min(THREADS, outputs))
    else:
        most = min(length // 4, THREADS if inner == 1 else THREADS // COALESCED)
    return 1 << (max(1, most).bit_length() - 1)
