"""Functions of the array API as expressions of lazy arrays: ``(fuser, *arguments) -> Lazy``.

Each raises ``NoExpressionError`` for arguments that it does not cover.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anynet.backends.fusion.fuser import Fuser
from anynet.backends.fusion.lazy import Lazy, NoExpressionError
from anynet.backends.fusion.source import ELEMENTWISE

PREDICATES = (
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
    *("isnan", "isfinite", "logical_not"),
)
KINDS = {
    **dict.fromkeys(("divide", "pow", "logaddexp", "abs", "sign", "isnan", "isfinite"), "f"),
    **dict.fromkeys(("round", "floor", "sqrt", "exp", "expm1", "log", "tanh", "cos", "sin"), "f"),
    **dict.fromkeys(("floor_divide", "bitwise_left_shift", "bitwise_right_shift"), "iu"),
    **dict.fromkeys(("add", "subtract", "multiply", "negative"), "iuf"),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), "biu"),
}
"""The kinds of types, as ``numpy.dtype.kind``, of which an elementwise function is an expression;
all by default."""

Expression = Callable[..., Lazy]


def _elementwise(name: str) -> Expression:
    def express(fuser: Fuser, *values: Any) -> Lazy:
        inputs, dtype = fuser.operands(*values)
        if dtype.kind not in KINDS.get(name, "biuf"):
            raise NoExpressionError
        return fuser.elementwise(name, inputs, np.bool_ if name in PREDICATES else dtype)

    return express


def _where(fuser: Fuser, condition: Any, x1: Any, x2: Any) -> Lazy:
    condition = _operand(fuser, condition)
    inputs, dtype = fuser.operands(x1, x2)
    return fuser.elementwise("where", (condition, *inputs), dtype)


def _clip(fuser: Fuser, x: Any, low: Any = None, high: Any = None, **bounds: Any) -> Lazy:
    low, high = bounds.get("min", low), bounds.get("max", high)
    result = _operand(fuser, x)
    if low is not None:
        result = EXPRESSIONS["maximum"](fuser, result, low)
    return result if high is None else EXPRESSIONS["minimum"](fuser, result, high)


def _astype(fuser: Fuser, x: Any, dtype: Any, *, copy: bool = True) -> Lazy:  # noqa: ARG001
    return fuser.cast(_operand(fuser, x), np.dtype(dtype))


def _sum(
    fuser: Fuser, x: Any, *, axis: Any = None, dtype: Any = None, keepdims: bool = False
) -> Lazy:
    x = _operand(fuser, x)
    wide = {"b": np.int64, "i": np.int64, "u": np.uint64, "f": x.dtype}[x.dtype.kind]
    dtype = np.dtype(wide if dtype is None else dtype)
    return fuser.reduce("sum", fuser.cast(x, dtype), axis, keepdims, dtype)


def _mean(fuser: Fuser, x: Any, *, axis: Any = None, keepdims: bool = False) -> Lazy:
    x = _floating(fuser, x)
    total = fuser.reduce("sum", x, axis, keepdims, x.dtype)
    return EXPRESSIONS["divide"](fuser, total, x.size // max(1, total.size))


def _extreme(name: str) -> Expression:
    def express(fuser: Fuser, x: Any, *, axis: Any = None, keepdims: bool = False) -> Lazy:
        x = _floating(fuser, x)
        return fuser.reduce(name, x, axis, keepdims, x.dtype)

    return express


def _logical(name: str) -> Expression:
    def express(fuser: Fuser, x: Any, *, axis: Any = None, keepdims: bool = False) -> Lazy:
        x = fuser.cast(_operand(fuser, x), np.dtype(np.bool_))
        return fuser.reduce(name, x, axis, keepdims, x.dtype)

    return express


def _argmax(fuser: Fuser, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Lazy:
    """Return the first position of the maximum, or of a NaN."""
    x = _floating(fuser, x)
    if axis is None:
        raise NoExpressionError
    axis, length = axis % x.ndim, x.shape[axis]
    inner = int(np.prod(x.shape[axis + 1 :]))
    largest = fuser.reduce("max", x, axis, True, x.dtype)
    position = fuser.node("position", (length, inner), (), x.shape, np.int32)
    found = EXPRESSIONS["equal"](fuser, x, largest)
    found = EXPRESSIONS["bitwise_or"](fuser, found, EXPRESSIONS["isnan"](fuser, x))
    first = EXPRESSIONS["where"](fuser, found, position, length)
    return fuser.cast(fuser.reduce("min", first, axis, keepdims, np.int32), np.dtype(np.int64))


def _take(fuser: Fuser, x: Any, indices: Any, *, axis: int) -> Lazy:
    x, indices = _operand(fuser, x), _operand(fuser, indices)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise NoExpressionError
    if x.cost > 1:  # elements may be taken several times
        x.compute()
    axis %= x.ndim
    shape = (*x.shape[:axis], indices.size, *x.shape[axis + 1 :])
    options = (x.shape[axis], indices.size, int(np.prod(x.shape[axis + 1 :])))
    return fuser.node("take", options, (x, indices), shape, x.dtype)


def _concat(fuser: Fuser, arrays: Sequence[Any], *, axis: int = 0) -> Lazy:
    parts, dtype = fuser.operands(*arrays)
    axis %= parts[0].ndim
    inner = int(np.prod(parts[0].shape[axis + 1 :]))
    lengths = [part.shape[axis] for part in parts]
    shape = (*parts[0].shape[:axis], sum(lengths), *parts[0].shape[axis + 1 :])
    if 0 in shape:
        raise NoExpressionError
    return fuser.node("concat", (*lengths, inner), parts, shape, dtype)


def _stack(fuser: Fuser, arrays: Sequence[Any], *, axis: int = 0) -> Lazy:
    parts = [_operand(fuser, one) for one in arrays]
    axis %= parts[0].ndim + 1
    apart = [fuser.view(one, lambda base: np.expand_dims(base, axis)) for one in parts]
    return _concat(fuser, apart, axis=axis)


def _view(change: Callable[..., np.ndarray]) -> Expression:
    def express(fuser: Fuser, x: Any, *arguments: Any, **options: Any) -> Lazy:
        return fuser.view(_operand(fuser, x), lambda base: change(base, *arguments, **options))

    return express


def _constant(value: float) -> Expression:
    def express(fuser: Fuser, x: Any, **options: Any) -> Lazy:
        return _full_like(fuser, x, value, **options)

    return express


def _full_like(fuser: Fuser, x: Any, value: Any, *, dtype: Any = None, device: Any = None) -> Lazy:  # noqa: ARG001
    x = _operand(fuser, x)
    number = fuser.number(value, x.dtype if dtype is None else dtype)
    if number.operation != "number":
        raise NoExpressionError
    return fuser.node("view", (0, ()), (number,), x.shape, number.dtype)


def _arange(
    fuser: Fuser, start: Any, /, *stop_and_step: Any, dtype: Any = None, **options: Any
) -> Lazy:
    dtype = np.dtype(np.int64 if dtype is None else dtype)
    plain = type(start) is int and start > 0 and dtype.kind in "iu"
    if not plain or stop_and_step or options.keys() - {"device"}:
        raise NoExpressionError
    return fuser.node("position", (start, 1), (), (start,), dtype)


def _operand(fuser: Fuser, x: Any) -> Lazy:
    lifted = fuser.lift(x)
    if not isinstance(lifted, Lazy):
        raise NoExpressionError
    return lifted


def _floating(fuser: Fuser, x: Any) -> Lazy:
    operand = _operand(fuser, x)
    if operand.dtype.kind != "f":
        raise NoExpressionError
    return operand


EXPRESSIONS: dict[str, Expression] = {
    **{name: _elementwise(name) for name in ELEMENTWISE if name not in ("where", "cast")},
    "where": _where,
    "clip": _clip,
    "astype": _astype,
    "sum": _sum,
    "mean": _mean,
    "max": _extreme("max"),
    "min": _extreme("min"),
    "all": _logical("all"),
    "any": _logical("any"),
    "argmax": _argmax,
    "take": _take,
    "concat": _concat,
    "stack": _stack,
    "reshape": _view(lambda base, shape: base.reshape(shape)),
    "flip": _view(lambda base, *, axis=None: np.flip(base, axis)),
    "matrix_transpose": _view(lambda base: base.swapaxes(-1, -2)),
    "expand_dims": _view(lambda base, *, axis=0: np.expand_dims(base, axis)),
    "broadcast_to": _view(np.broadcast_to),
    "zeros_like": _constant(0),
    "ones_like": _constant(1),
    "full_like": _full_like,
    "arange": _arange,
}
"""The functions that have expressions."""
