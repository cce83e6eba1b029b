"""The CUDA sources of programs: see ``anynet.backends.fusion.program`` for what they compute."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from anynet.backends.fusion.program import THREADS, Instruction, Program, Segment, Store, lanes

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


class Launch(NamedTuple):
    """A kernel called ``fused``, its number of blocks, and the positions of its arguments.

    Attributes
    ----------
    source : str
    blocks : int
    arguments : tuple of int
        In their order.
    stored : tuple of int
        Those that it writes.
    """

    source: str
    blocks: int
    arguments: tuple[int, ...]
    stored: tuple[int, ...]


@functools.lru_cache(maxsize=4096)
def compile_program(
    instructions: tuple[Instruction, ...], wanted: tuple[int, ...]
) -> tuple[Launch, ...]:
    """Return the kernels that compute some results of a program, in order."""
    program = Program(instructions)
    return tuple(_kernel(program, segments) for segments in program.kernels(wanted))


def _kernel(program: Program, segments: list[Segment]) -> Launch:
    """Return the kernel of some segments, each with blocks of its own."""
    arguments = sorted(set().union(*(program.used(segment) for segment in segments)))
    stored = {at for segment in segments for store in segment.stores for at in store.positions}
    shared: set[str] = set()
    body: list[str] = []
    first = 0
    for segment in segments:
        end = first + segment.blocks
        body += [
            f"    {'} else ' if body else ''}if (blockIdx.x < {end}) {{",
            f"        const int block = blockIdx.x - {first};",
        ]
        for number, store in enumerate(segment.stores):
            if number:
                body.append("        __syncthreads();")
            body += [f"        {line}" for line in _loop(program, store, segment, shared)]
        first = end
    kinds = [program.instructions[at] for at in arguments]
    parameters = [
        _parameter(one, at, at in stored) for at, one in zip(arguments, kinds, strict=True)
    ]
    lines = [
        HELPERS,
        f'extern "C" __global__ __launch_bounds__({THREADS}) void fused(',
        ",\n".join(f"    {parameter}" for parameter in parameters) + ")",
        "{",
        *(f"    __shared__ {C_TYPES[name]} shared_{name}[{THREADS}];" for name in sorted(shared)),
        *body,
        "    }",
        "}",
        "",
    ]
    return Launch("\n".join(lines), first, tuple(arguments), tuple(sorted(stored)))


def _parameter(instruction: Instruction, at: int, stored: bool) -> str:
    kind = C_TYPES[instruction.dtype]
    if instruction.operation == "number":
        return f"const {kind} n{at}"
    return f"{kind}* a{at}" if stored else f"const {kind}* __restrict__ a{at}"


def _loop(program: Program, store: Store, segment: Segment, shared: set[str]) -> list[str]:
    """Return the lines of the loop that computes a store."""
    first = program.instructions[store.positions[0]]
    if first.operation == "reduce":
        shared.add(first.dtype)
        return _reduction(program, store.positions[0], segment)
    scope = Scope(program.instructions)
    for at in store.positions:
        value = scope.value(at, "i")
        scope.lines.append(f"a{at}[i] = {value};")
    start, end, step = _range(first.size, THREADS, segment)
    return [
        f"for (int i = {start} + threadIdx.x; i < {end}; i += {step}) {{",
        *(f"    {line}" for line in scope.lines),
        "}",
    ]


def _range(size: int, at_once: int, segment: Segment) -> tuple[str, str, int]:
    """Return start, end and step of a block that computes ``at_once`` results at a time."""
    if not segment.divided:
        return f"block * {at_once}", f"{size}", segment.blocks * at_once
    part = size // segment.blocks
    return f"block * {part}", f"(block + 1) * {part}", at_once


def _reduction(program: Program, at: int, segment: Segment) -> list[str]:
    """Return the lines of a reduction: some threads, the lanes, share a result, then combine."""
    instruction = program.instructions[at]
    name, length, inner = instruction.options
    kind = C_TYPES[instruction.dtype]
    count = lanes(instruction, instruction.size // segment.blocks, segment.divided)
    outputs = THREADS // count
    if inner == 1:
        slot, lane, apart = f"threadIdx.x / {count}", f"threadIdx.x % {count}", 1
    else:
        slot, lane, apart = f"threadIdx.x % {outputs}", f"threadIdx.x / {outputs}", outputs
    start, end, step = _range(instruction.size, outputs, segment)
    neutral, combine = (text.replace("{type}", kind) for text in REDUCTIONS[name])
    scope = Scope(program.instructions)
    value = scope.value(instruction.inputs[0], "i")
    element = f"o * {length} + r"
    if inner > 1:
        element = f"(o / {inner} * {length} + r) * {inner} + o % {inner}"
    lines = [
        f"for (int base = {start}; base < {end}; base += {step}) {{",
        f"    const int o = base + {slot}, lane = {lane};",
        f"    {kind} total = {neutral};",
        f"    if (o < {end}) for (int r = lane; r < {length}; r += {count}) {{",
        f"        const int i = {element};",
        *(f"        {line}" for line in scope.lines),
        f"        total = {combine.format('total', value)};",
        "    }",
    ]
    if count > 1:
        mine = f"shared_{instruction.dtype}[threadIdx.x]"
        other = f"shared_{instruction.dtype}[threadIdx.x + s * {apart}]"
        lines += [
            f"    {mine} = total;",
            "    __syncthreads();",
            f"    for (int s = {count // 2}; s > 0; s /= 2) {{",
            f"        if (lane < s) {mine} = total = {combine.format('total', other)};",
            "        __syncthreads();",
            "    }",
        ]
    return [*lines, f"    if (lane == 0 && o < {end}) a{at}[o] = total;", "}"]


class Scope:
    """The body of a loop: lines of C that compute values, each once.

    Parameters
    ----------
    program : tuple of Instruction
    """

    def __init__(self, program: tuple[Instruction, ...]) -> None:
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
