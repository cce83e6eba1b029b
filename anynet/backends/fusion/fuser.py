"""The fuser: from the operations of a step on lazy arrays to programs, and to kernels that run."""

from __future__ import annotations

import functools
import itertools
import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np

from anynet import tree
from anynet.backends.fusion.lazy import Lazy, NoExpressionError
from anynet.backends.fusion.program import THREADS, Instruction
from anynet.backends.fusion.source import C_TYPES, compile_program

NAMES = {np.dtype(name): name for name in C_TYPES}  # the name of a type is slow to look up
MOST_OPERATIONS = 256  # of an expression that is not computed yet
LARGEST = 2**31 - 2**20  # elements that a loop of the kernels can count in an int
LONG = 2**13  # elements of a sum that is split into parts, summed first
PARTS = 256

_fuser: ContextVar[Fuser | None] = ContextVar("fuser", default=None)


class Library(Protocol):
    """The calls of an array library that computing needs."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Return an uninitialized array."""

    def is_array(self, value: Any) -> bool:
        """Whether a value is an array of the library."""

    def launch(self, source: str, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """Run the kernel ``fused`` of a source."""


class Fuser:
    """Records the operations of a step on ``Lazy`` arrays, and computes them.

    Equal operations of the same operands are one expression.

    Parameters
    ----------
    library : Library
    namespace : module
        The library's functions, for operations that have no expression.
    expressions : mapping
        The functions that have one, by name, see ``anynet.backends.fusion.expressions``.
    """

    def __init__(
        self, library: Library, namespace: Any, expressions: Mapping[str, Callable[..., Lazy]]
    ) -> None:
        self.library = library
        self.namespace = namespace
        self.expressions = expressions
        self.numbers = itertools.count()
        self._known: weakref.WeakValueDictionary[Any, Lazy] = weakref.WeakValueDictionary()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Record also what is created without an operand, such as ``arange``."""
        token = _fuser.set(self)
        try:
            yield
        finally:
            _fuser.reset(token)

    def lift(self, value: Any) -> Any:
        """Return an array of the library as an operand; other values are unchanged."""
        if not self.library.is_array(value):
            return value
        if value.dtype not in NAMES or value.size > LARGEST:
            return value
        lifted = Lazy(self, "array", (), (), tuple(value.shape), value.dtype)
        lifted.array = value
        if value.flags.c_contiguous:
            return lifted
        strides = (stride // value.itemsize for stride in value.strides)
        axes = tuple(zip(value.shape, strides, strict=True))
        return self.node("view", (0, axes), (lifted,), lifted.shape, value.dtype)

    def compute(self, wanted: Sequence[Any]) -> None:
        """Compute the values of some expressions together."""
        missing = {one.number: one for one in wanted if isinstance(one, Lazy) and one.array is None}
        if not missing:
            return
        nodes: list[Lazy] = []
        positions: dict[int, int] = {}
        program: list[Instruction] = []
        for node in _in_order(list(missing.values())):
            positions[node.number] = len(nodes)
            nodes.append(node)
            known = node.array is not None
            inputs = () if known else tuple(positions[one.number] for one in node.inputs)
            operation = "array" if known else node.operation
            options = () if operation in ("array", "number") else node.options
            program.append(Instruction(operation, options, NAMES[node.dtype], node.size, inputs))
        places = tuple(sorted(positions[number] for number in missing))
        made: dict[int, Any] = {}
        for launch in compile_program(tuple(program), places):
            for at in launch.stored:
                made[at] = self.library.empty(nodes[at].shape, nodes[at].dtype)
            arguments = [self._argument(nodes[at], made.get(at)) for at in launch.arguments]
            self._launch(launch, arguments)
        for at, array in made.items():
            nodes[at].array = array
            nodes[at].operation, nodes[at].options, nodes[at].inputs = "array", (), ()
            nodes[at].cost = 0

    def _launch(self, launch: Any, arguments: list[Any]) -> None:
        if launch.blocks:
            self.library.launch(launch.source, launch.blocks, THREADS, arguments)

    def _argument(self, node: Lazy, made: Any) -> Any:
        """Return a kernel's argument: a number, an array, or the memory of a new result."""
        if node.operation == "number":
            return node.dtype.type(node.options[0])
        return node.array if made is None else made

    def copy_into(self, targets: Sequence[Any], values: Sequence[Any]) -> None:
        """Write values into arrays of the library that share no memory with them, in one kernel."""
        program: list[Instruction] = []
        arguments: dict[int, Any] = {}
        places = []
        for target, value in zip(targets, values, strict=True):
            at, kind, size = len(program), NAMES[target.dtype], int(target.size)
            program.append(Instruction("array", (), kind, size))
            program.append(Instruction("view", (0, ((size, 1),)), kind, size, (at,)))
            arguments |= {at: value.compute() if isinstance(value, Lazy) else value, at + 1: target}
            places.append(at + 1)
        for launch in compile_program(tuple(program), tuple(places)):
            self._launch(launch, [arguments[at] for at in launch.arguments])

    def before_overwriting(self, array: Any) -> None:
        """Compute all expressions that read an array, and forget the one whose value it is."""
        reads: dict[int, bool] = {}
        pending = [one for one in list(self._known.values()) if one.array is None]
        for node in _in_order(pending):
            reads[node.number] = (
                node.array is array
                if node.array is not None
                else any(reads[one.number] for one in node.inputs)
            )
        self.compute([node for node in pending if reads[node.number]])
        for key, node in list(self._known.items()):
            if node.array is array:
                del self._known[key]

    def node(
        self,
        operation: str,
        options: tuple[Any, ...],
        inputs: tuple[Lazy, ...],
        shape: tuple[int, ...],
        dtype: Any,
    ) -> Lazy:
        """Return the expression of an operation; operands that are too long are computed first."""
        dtype = np.dtype(dtype)
        if math.prod(shape) > LARGEST or dtype not in NAMES:
            raise NoExpressionError
        if sum(one.cost for one in inputs) > MOST_OPERATIONS:
            self.compute([one for one in inputs if one.operation != "number"])
        key = (operation, options, shape, dtype, *(one.number for one in inputs))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Lazy(self, operation, options, inputs, shape, dtype)
        return known

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Return the expression of a function of the array API, or the library's own result."""
        try:
            if name in self.expressions:
                return self.expressions[name](self, *arguments, **options)
        except (NoExpressionError, TypeError):  # or arguments that the expression does not take
            pass
        return self.plain(getattr(self.namespace, name), *arguments, **options)

    def plain(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function of the library with the values of lazy arguments."""
        values = tree.leaves([arguments, options])
        self.compute([one for one in values if isinstance(one, Lazy)])
        arguments, options = tree.map(
            lambda one: one.array if isinstance(one, Lazy) else one, (arguments, options)
        )
        return tree.map(self.lift, function(*arguments, **options))

    def operands(self, *values: Any) -> tuple[tuple[Lazy, ...], Any]:
        """Return operands of one type, numbers included, and that type."""
        lifted = [self.lift(value) for value in values]
        if not all(isinstance(one, (Lazy, bool, int, float)) for one in lifted):
            raise NoExpressionError
        kinds = [one.dtype if isinstance(one, Lazy) else one for one in lifted]
        dtype = np.result_type(*kinds)
        return tuple(self.cast(self.number(one, dtype), dtype) for one in lifted), dtype

    def number(self, value: Any, dtype: Any) -> Lazy:
        """Return a number of the host as an operand."""
        if isinstance(value, Lazy):
            return value
        return self.node("number", (np.dtype(dtype).type(value).item(),), (), (), dtype)

    def cast(self, x: Lazy, dtype: Any) -> Lazy:
        """Return the elements in another type."""
        if x.dtype == dtype:
            return x
        return self.node("cast", (), (x,), x.shape, dtype)

    def elementwise(self, name: str, inputs: Sequence[Lazy], dtype: Any) -> Lazy:
        """Return an elementwise operation of operands, which are broadcast."""
        shape = np.broadcast_shapes(*(one.shape for one in inputs))
        spread = tuple(self.broadcast(one, shape) for one in inputs)
        return self.node(name, (), spread, shape, dtype)

    def broadcast(self, x: Lazy, shape: tuple[int, ...]) -> Lazy:
        """Return the elements repeated along axes; numbers need no repetition."""
        if x.shape == shape or (x.size == 1 and math.prod(shape) != 0 and x.ndim <= len(shape)):
            return x
        key = (None,) * (len(shape) - x.ndim)
        return self.view(x, lambda base: np.broadcast_to(base[key], shape))

    def view(self, x: Lazy, change: Callable[[np.ndarray], np.ndarray]) -> Lazy:
        """Return the view that a function makes of an array like ``x``."""
        strides = np.cumprod((1, *x.shape[:0:-1]), dtype=np.int64)[::-1][: x.ndim]
        base = np.lib.stride_tricks.as_strided(np.empty(1, np.int8), x.shape, strides)
        changed = change(base)
        offset = changed.ctypes.data - base.ctypes.data if changed.size else 0
        axes: list[tuple[int, int]] = []
        for length, stride in zip(changed.shape, changed.strides, strict=True):
            if length == 1:
                continue
            if axes and axes[-1][1] == length * stride:
                axes[-1] = (axes[-1][0] * length, stride)
            else:
                axes.append((length, stride))
        if changed.shape == x.shape and axes in ([], [(x.size, 1)]) and offset == 0:
            return x
        return self.node("view", (offset, tuple(axes)), (x,), changed.shape, x.dtype)

    def index(self, x: Lazy, key: Any) -> Lazy:
        """Return ``x[key]`` for slices, whole numbers, ``None`` and ``...``."""
        parts = key if isinstance(key, tuple) else (key,)
        if not all(one is None or one is ... or type(one) in (int, slice) for one in parts):
            raise NoExpressionError
        return self.view(x, lambda base: base[(*parts, ...)] if ... not in parts else base[key])

    def reduce(self, name: str, x: Lazy, axis: Any, keepdims: bool, dtype: Any) -> Lazy:
        """Return a reduction over adjacent axes."""
        chosen = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = sorted(one % x.ndim for one in chosen)
        if not axes or len(axes) != axes[-1] + 1 - axes[0] or x.size == 0:
            raise NoExpressionError
        first, last = axes[0], axes[-1] + 1
        outer, length, inner = (
            math.prod(part) for part in (x.shape[:first], x.shape[first:last], x.shape[last:])
        )
        shape = (*x.shape[:first], *((1,) * (last - first) if keepdims else ()), *x.shape[last:])
        parts = math.gcd(length, PARTS)
        if length >= LONG and inner == 1 and outer * parts < length and parts > 1:
            split = self.view(x, lambda base: base.reshape(outer, parts, length // parts))
            x, length = self.reduce(name, split, -1, False, dtype), parts
        return self.node("reduce", (name, length, inner), (x,), shape, dtype)


def _in_order(wanted: list[Lazy]) -> list[Lazy]:
    """Return expressions with all that they depend on, operands first."""
    found: dict[int, Lazy] = {}
    todo = [(one, False) for one in reversed(wanted)]
    while todo:
        node, ready = todo.pop()
        if node.number in found:
            continue
        if ready or node.array is not None or not node.inputs:
            found[node.number] = node
        else:
            todo.append((node, True))
            todo += [(one, False) for one in reversed(node.inputs)]
    return list(found.values())


def active_fuser() -> Fuser | None:
    """Return what records the operations of the present thread, if anything does."""
    return _fuser.get()


def recording(namespace: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions of a namespace, by name, such that an active ``Fuser`` records them."""

    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            fuser = _fuser.get()
            if fuser is None:
                return function(*arguments, **options)
            return fuser.call(name, *arguments, **options)

        return call

    return {
        name: wrapped(name, function)
        for name, function in vars(namespace).items()
        if callable(function) and not isinstance(function, type) and name[:1] != "_"
    }
