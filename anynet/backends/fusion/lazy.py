"""Arrays of a step whose operations are recorded, and computed together when a value is needed.

A step that is captured as a CUDA graph runs on ``Lazy`` arrays. An operation of the array API
returns the next expression; ``Fuser.compute`` turns the expressions of some results into a program
and runs its kernels. For an operation without expression, the operands are computed and the library
is called, so a step may contain anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anynet.backends.fusion.fuser import Fuser


class NoExpressionError(TypeError):
    """Raised for an operation that has no expression: the library computes it."""


class Lazy:
    """An array that is not computed yet, or one that is, as operand of others.

    Parameters
    ----------
    fuser : Fuser
    operation, options
        See ``fusion.program.Instruction``.
    inputs : tuple of Lazy
        The operands.
    shape : tuple of int
    dtype : numpy.dtype
    """

    __array_priority__ = 1000  # CuPy's operators leave mixed operands to this class,
    __array_ufunc__ = None  # and so do NumPy's
    __hash__ = object.__hash__

    def __init__(
        self,
        fuser: Fuser,
        operation: str,
        options: tuple[Any, ...],
        inputs: tuple[Lazy, ...],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.fuser = fuser
        self.operation = operation
        self.options = options
        self.inputs = inputs
        self.shape = shape
        self.dtype = dtype
        self.number = next(fuser.numbers)
        self.size = math.prod(shape)
        self.array: Any = None  # the value, once it is computed
        costs = (1 if one.operation == "reduce" else one.cost for one in inputs)
        self.cost: int = 1 + sum(costs) if operation != "array" else 0

    ndim = property(lambda self: len(self.shape))
    nbytes = property(lambda self: self.size * self.dtype.itemsize)

    def compute(self) -> Any:
        """Return the library's array."""
        if self.array is None:
            self.fuser.compute([self])
        return self.array

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.compute(), name)

    def __bool__(self) -> bool:
        return bool(self.compute())

    def __float__(self) -> float:
        return float(self.compute())

    def __int__(self) -> int:
        return int(self.compute())

    def __index__(self) -> int:
        return int(self.compute())

    def __neg__(self) -> Any:
        return self.fuser.call("negative", self)

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.fuser.index(self, key)
        except NoExpressionError:
            return self.fuser.plain(lambda x, k: x[k], self, key)


def _operator(name: str, reflected: bool = False) -> Callable[[Lazy, Any], Any]:
    def operate(self: Lazy, other: Any) -> Any:
        operands = (other, self) if reflected else (self, other)
        return self.fuser.call(name, *operands)

    return operate


for _name, _function in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "pow": "pow",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}.items():
    setattr(Lazy, f"__{_name}__", _operator(_function))
    setattr(Lazy, f"__r{_name}__", _operator(_function, reflected=True))
for _name, _function in {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}.items():
    setattr(Lazy, f"__{_name}__", _operator(_function))


def value_of(one: Any) -> Any:
    """Return the library's array of a lazy one; other values are unchanged."""
    return one.compute() if isinstance(one, Lazy) else one
