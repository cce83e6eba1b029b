"""Fuse chains of array operations into CUDA kernels: from a program to its sources, as text.

A program is a list of instructions, each an operation of earlier ones. Elementwise operations,
views and gathers are inlined where they are used; what is stored is what is wanted, and every
reduction, since many elements use its result. A store may depend on reductions, so stores have
stages. Stores that depend on each other form a group. A small group is computed by one block, stage
after stage, with a barrier in between; a large one by many blocks, with a kernel for each stage.
All groups share these kernels, each with blocks of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

THREADS = 512  # per block
MOST_BLOCKS = 1024  # of one store
ONE_BLOCK = 2**15  # elements that one block visits about as fast as several kernels
MOST_ARGUMENTS = 240  # of a kernel, of 8 bytes each; CUDA allows 4 KiB
COALESCED = 32  # adjacent columns that a block reads together

C_TYPES = {
    "bool": "bool",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
    "float32": "float",
    "float64": "double",
}

ELEMENTWISE = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "floor_divide": "floor_divide({0}, {1})",
    "pow": "pow({0}, {1})",
    "maximum": "maximum({0}, {1})",
    "minimum": "minimum({0}, {1})",
    "logaddexp": "logaddexp({0}, {1})",
    "bitwise_and": "{0} & {1}",
    "bitwise_or": "{0} | {1}",
    "bitwise_xor": "{0} ^ {1}",
    "bitwise_left_shift": "{0} << {1}",
    "bitwise_right_shift": "{0} >> {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "where": "{0} ? {1} : {2}",
    "negative": "-{0}",
    "logical_not": "!{0}",
    "abs": "fabs({0})",
    "sign": "{0} > 0 ? 1 : {0} < 0 ? -1 : {0}",
    "isnan": "{0} != {0}",
    "isfinite": "{0} - {0} == 0",
    "round": "rint({0})",
    "floor": "floor({0})",
    "sqrt": "sqrt({0})",
    "exp": "exp({0})",
    "expm1": "expm1({0})",
    "log": "log({0})",
    "tanh": "tanh({0})",
    "cos": "cos({0})",
    "sin": "sin({0})",
    "cast": "{0}",
}
"""Elementwise operations of arguments of one type, as C expressions."""

REDUCTIONS = {
    "sum": ("0", "{0} + {1}"),
    "max": ("least<{type}>()", "maximum({0}, {1})"),
    "min": ("greatest<{type}>()", "minimum({0}, {1})"),
    "all": ("true", "{0} && {1}"),
    "any": ("false", "{0} || {1}"),
}
"""The neutral element of a reduction, and how it combines two values."""

HELPERS = """
template <class T> __device__ inline T maximum(T a, T b) { return a > b || a != a ? a : b; }
template <class T> __device__ inline T minimum(T a, T b) { return a < b || a != a ? a : b; }
template <class T> __device__ inline T floor_divide(T a, T b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
template <class T> __device__ inline T logaddexp(T a, T b) {
    if (a == b) return a + (T)0.6931471805599453;
    return maximum(a, b) + log1p(exp(-fabs(a - b)));
}
template <class T> __device__ inline T greatest();
template <> __device__ inline float greatest() { return __int_as_float(0x7f800000); }
template <> __device__ inline double greatest() {
    return __longlong_as_double(0x7ff0000000000000LL);
}
template <> __device__ inline int greatest() { return 0x7fffffff; }
template <class T> __device__ inline T least() { return -greatest<T>(); }
"""
"""Functions of the kernels, without headers; NaN is propagated."""


class Instruction(NamedTuple):
    """One operation of a program.

    Attributes
    ----------
    operation : str
        A key of ``ELEMENTWISE``, or one of ``"array"`` and ``"number"`` (arguments of the
        program), ``"view"``, ``"take"``, ``"concat"``, ``"position"`` and ``"reduce"``.
    options : tuple
        What else defines it, see ``Scope.index_of``.
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


Program = tuple[Instruction, ...]


class Launch(NamedTuple):
    """A kernel, and the positions in the program of its arguments."""

    source: str
    blocks: int
    arguments: tuple[int, ...]
    stored: tuple[int, ...]


class Store(NamedTuple):
    """The results that one loop stores: one reduction, or elementwise ones of the same size."""

    stage: int
    positions: tuple[int, ...]


@functools.lru_cache(maxsize=4096)
def compile_program(program: Program, wanted: tuple[int, ...]) -> tuple[Launch, ...]:
    """Return the kernels that compute some results of a program, in order.

    Parameters
    ----------
    program : tuple of Instruction
        Each uses results of earlier ones only.
    wanted : tuple of int
        Positions of the results to store. Reductions that they use are stored too.

    Returns
    -------
    tuple of Launch
    """
    kernels: list[list[list[Store]]] = []  # the segments of each kernel
    for group in _groups(program, wanted):
        stages = sorted({store.stage for store in group})
        work = sum(_visited(program, store) for store in group)
        if len(stages) > 1 and work <= ONE_BLOCK:
            _add(kernels, 0, [group])
        else:
            for at, stage in enumerate(stages):
                _add(kernels, at, [[store] for store in group if store.stage == stage])
    launches = []
    for segments in kernels:
        for part in _split(program, segments):
            launches.append(_kernel(program, part))
    return tuple(launches)


def _add(kernels: list[list[list[Store]]], at: int, segments: list[list[Store]]) -> None:
    while len(kernels) <= at:
        kernels.append([])
    kernels[at] += segments


def _split(program: Program, segments: list[list[Store]]) -> Iterable[list[list[Store]]]:
    """Split the segments of a kernel that would have too many arguments."""
    part: list[list[Store]] = []
    for segment in segments:
        used = {at for one in [*part, segment] for at in _used(program, one)}
        if part and len(used) > MOST_ARGUMENTS:
            yield part
            part = []
        part.append(segment)
    if part:
        yield part


def _used(program: Program, segment: list[Store]) -> set[int]:
    """Return the positions of what a segment reads and stores."""
    used: set[int] = set()
    for store in segment:
        used.update(store.positions)
        for position in store.positions:
            used.update(_operands(program, position))
    return used


def _is_reduction(program: Program, position: int) -> bool:
    return program[position].operation == "reduce"


@functools.lru_cache(maxsize=8192)
def _operands(program: Program, position: int) -> tuple[int, ...]:
    """Return the arguments and reductions that are read where a result is computed inline."""
    found, seen, todo = [], {position}, list(program[position].inputs)
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        if _is_reduction(program, at) or program[at].operation in ("array", "number"):
            found.append(at)
        else:
            todo += program[at].inputs
    return tuple(sorted(found))


def _groups(program: Program, wanted: tuple[int, ...]) -> list[list[Store]]:
    """Return the stores, in groups that depend on each other, in the order of their stages."""
    stages = [0] * len(program)  # the number of reductions on the longest way to a result
    for at, instruction in enumerate(program):
        ways = (stages[one] + _is_reduction(program, one) for one in instruction.inputs)
        stages[at] = max(ways, default=0)
    stored = set(wanted)
    todo = list(wanted)
    while todo:
        operands = {at for at in _operands(program, todo.pop()) if _is_reduction(program, at)}
        todo += operands - stored
        stored |= operands
    group = {at: at for at in stored}

    def find(at: int) -> int:
        while group[at] != at:
            at = group[at]
        return at

    for at in sorted(stored):
        for operand in _operands(program, at):
            if _is_reduction(program, operand):
                group[find(at)] = find(operand)
    parts: dict[int, list[Store]] = {}
    loops: dict[Any, list[int]] = {}
    for at in sorted(stored):
        key = at if _is_reduction(program, at) else _loop_key(program, at)
        loops.setdefault((find(at), stages[at], key), []).append(at)
    for (root, stage, _), positions in loops.items():
        parts.setdefault(root, []).append(Store(stage, tuple(positions)))
    return [sorted(part) for part in _merged(program, list(parts.values()))]


def _loop_key(program: Program, position: int) -> tuple[int, ...]:
    return (-1, program[position].size)


def _merged(program: Program, parts: list[list[Store]]) -> list[list[Store]]:
    """Join elementwise stores of one size that read a common array: one loop reads it once."""
    joined: list[list[Store]] = []
    by_array: dict[Any, int] = {}
    for part in parts:
        (store, *others) = part
        size = program[store.positions[0]].size
        if others or _is_reduction(program, store.positions[0]) or size == 1:
            joined.append(part)
            continue
        arrays = [
            (at, size, store.stage)
            for position in store.positions
            for at in _operands(program, position)
            if program[at].size == size
        ]
        home = next((by_array[key] for key in arrays if key in by_array), len(joined))
        if home == len(joined):
            joined.append(part)
        else:
            positions = joined[home][0].positions + store.positions
            joined[home] = [Store(store.stage, positions)]
        by_array.update(dict.fromkeys(arrays, home))
    return joined


def _visited(program: Program, store: Store) -> int:
    """Return the number of elements that a store visits."""
    first = program[store.positions[0]]
    return first.size * (first.options[1] if first.operation == "reduce" else 1)


def _kernel(program: Program, segments: list[list[Store]]) -> Launch:
    """Return the kernel of some segments: one of several stages has one block, others many."""
    arguments = sorted({at for segment in segments for at in _used(program, segment)})
    stored = tuple(
        sorted(at for segment in segments for store in segment for at in store.positions)
    )
    shared: set[str] = set()
    body: list[str] = []
    first = 0
    for segment in segments:
        blocks = 1 if len(segment) > 1 else _blocks(program, segment[0])
        where = f"blockIdx.x < {first + blocks}"
        body.append(f"    {'if' if first == 0 else '} else if'} ({where}) {{")
        body.append(f"        const int block = blockIdx.x - {first};")
        for store in segment:
            body += _loop(program, store, blocks, shared)
            if len(segment) > 1:
                body.append("        __syncthreads();")
        first += blocks
    body.append("    }")
    parameters = ",\n    ".join(_parameter(program[at], at, at in stored) for at in arguments)
    memory = [f"    __shared__ {C_TYPES[t]} shared_{t}[{THREADS}];" for t in sorted(shared)]
    lines = [
        HELPERS,
        f'extern "C" __global__ __launch_bounds__({THREADS}) void fused(\n    {parameters})',
        "{",
        *memory,
        *body,
        "}",
    ]
    return Launch("\n".join(lines) + "\n", first, tuple(arguments), stored)


def _parameter(instruction: Instruction, at: int, stored: bool) -> str:
    kind = C_TYPES[instruction.dtype]
    if instruction.operation == "number":
        return f"const {kind} n{at}"
    return f"{kind}* a{at}" if stored else f"const {kind}* __restrict__ a{at}"


def _blocks(program: Program, store: Store) -> int:
    first = program[store.positions[0]]
    at_once = THREADS
    if first.operation == "reduce":
        at_once = THREADS // _lanes(first, one_block=False)
    return min(MOST_BLOCKS, -(-first.size // at_once))


def _lanes(reduction: Instruction, *, one_block: bool) -> int:
    """Return the number of threads, a power of two, that compute one result of a reduction."""
    length, inner = int(reduction.options[1]), reduction.options[2]
    if one_block:
        most = min(length, THREADS // min(THREADS, reduction.size))
    else:
        most = min(max(1, length // 4), THREADS if inner == 1 else THREADS // COALESCED)
    return 1 << (max(1, most).bit_length() - 1)


def _loop(program: Program, store: Store, blocks: int, shared: set[str]) -> list[str]:
    """Return the lines of the loop that computes a store with a number of blocks."""
    first = program[store.positions[0]]
    if first.operation == "reduce":
        shared.add(first.dtype)
        return _reduction(program, store.positions[0], blocks)
    scope = Scope(program)
    for at in store.positions:
        value = scope.value(at, "i")
        scope.lines.append(f"a{at}[i] = {value};")
    start, stride = f"block * {THREADS} + threadIdx.x", blocks * THREADS
    return [
        f"        for (int i = {start}; i < {first.size}; i += {stride}) {{",
        *(f"            {line}" for line in scope.lines),
        "        }",
    ]


def _reduction(program: Program, position: int, blocks: int) -> list[str]:
    """Return the lines of a reduction: ``lanes`` threads share a result and then combine."""
    instruction = program[position]
    name, length, inner = instruction.options
    kind, size = C_TYPES[instruction.dtype], instruction.size
    lanes = _lanes(instruction, one_block=blocks == 1)
    outputs = THREADS // lanes
    across = (f"threadIdx.x / {lanes}", f"threadIdx.x % {lanes}", 1)
    along = (f"threadIdx.x % {outputs}", f"threadIdx.x / {outputs}", outputs)
    slot, lane, step = across if inner == 1 else along
    neutral, combine = (text.replace("{type}", kind) for text in REDUCTIONS[name])
    memory = f"shared_{instruction.dtype}"
    scope = Scope(program)
    value = scope.value(instruction.inputs[0], "i")
    lines = [
        f"for (int base = block * {outputs}; base < {size}; base += {blocks * outputs}) {{",
        f"    const int o = base + {slot}, lane = {lane};",
        f"    {kind} total = {neutral};",
        f"    if (o < {size}) for (int r = lane; r < {length}; r += {lanes}) {{",
        f"        const int i = (o / {inner} * {length} + r) * {inner} + o % {inner};",
        *(f"        {line}" for line in scope.lines),
        f"        total = {combine.format('total', value)};",
        "    }",
    ]
    if lanes > 1:
        mine, other = f"{memory}[threadIdx.x]", f"{memory}[threadIdx.x + s * {step}]"
        lines += [
            f"    {mine} = total;",
            "    __syncthreads();",
            f"    for (int s = {lanes // 2}; s > 0; s /= 2) {{",
            f"        if (lane < s) {mine} = total = {combine.format('total', other)};",
            "        __syncthreads();",
            "    }",
        ]
    lines += [f"    if (lane == 0 && o < {size}) a{position}[o] = total;", "}"]
    return [f"        {line}" for line in lines]


class Scope:
    """The body of a loop: lines of C that compute values, each once.

    Parameters
    ----------
    program : tuple of Instruction
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self._names: dict[Any, str] = {}

    def value(self, at: int, index: str) -> str:
        """Return the C expression of an element of a result, after adding lines for it."""
        instruction = self.program[at]
        operation, inputs = instruction.operation, instruction.inputs
        if operation == "number":
            return f"n{at}"
        if instruction.size == 1:
            index = "0"
        if (at, index) in self._names:
            return self._names[at, index]
        if operation in ("array", "reduce"):
            value = f"a{at}[{index}]"
        elif operation == "view":
            return self.value(inputs[0], self._name_index(view_index(instruction.options, index)))
        elif operation == "take":
            value = self._take(instruction, index)
        elif operation == "concat":
            value = self._concat(instruction, index)
        elif operation == "position":
            length, inner = instruction.options
            value = f"{index} / {inner} % {length}"
        else:
            values = [self.value(one, index) for one in inputs]
            value = ELEMENTWISE[operation].format(*values)
        name = f"v{len(self._names)}"
        self._names[at, index] = name
        self.lines.append(f"const {C_TYPES[instruction.dtype]} {name} = {value};")
        return name

    def _name_index(self, index: str) -> str:
        """Return the name of an index, which is computed once."""
        if index.isalnum():
            return index
        if index not in self._names:
            self._names[index] = f"j{len(self._names)}"
            self.lines.append(f"const int {self._names[index]} = {index};")
        return self._names[index]

    def _take(self, instruction: Instruction, index: str) -> str:
        """Return an element of ``take``: along an axis of ``length``, before ``inner`` elements."""
        length, count, inner = instruction.options
        array, indices = instruction.inputs
        row = self.value(indices, self._name_index(f"{index} / {inner} % {count}"))
        outer = f"{index} / {inner * count} * {length}"
        place = self._name_index(f"({outer} + (int){row}) * {inner} + {index} % {inner}")
        return self.value(array, place)

    def _concat(self, instruction: Instruction, index: str) -> str:
        """Return an element of ``concat``: each part is read at an index that it has."""
        *lengths, inner = instruction.options
        place = self._name_index(f"{index} / {inner} % {sum(lengths)}")
        chosen, start = "", 0
        for array, length in zip(instruction.inputs, lengths, strict=True):
            end = start + length
            own = f"({place} >= {start} && {place} < {end} ? {place} - {start} : 0)"
            outer = f"{index} / {inner * sum(lengths)} * {length}"
            at = self._name_index(f"({outer} + {own}) * {inner} + {index} % {inner}")
            value = self.value(array, at)
            chosen += value if end == sum(lengths) else f"{place} < {end} ? {value} : "
            start = end
        return chosen


def view_index(options: tuple[Any, ...], index: str) -> str:
    """Return where an element of a view lies in its base.

    Parameters
    ----------
    options : tuple
        The offset, and a pair of length and stride for each axis.
    index : str
        The index of the element of the view, in row order.
    """
    offset, axes = options
    terms, inner = [], 1
    for place, (length, stride) in reversed(list(enumerate(axes))):
        if stride:
            at = index if inner == 1 else f"{index} / {inner}"
            if place:
                at = f"{at} % {length}"
            terms.append(at if stride == 1 else f"{at} * {stride}")
        inner *= length
    if offset or not terms:
        terms.append(str(offset))
    return " + ".join(terms)
