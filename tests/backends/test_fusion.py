"""Fused operations on CuPy: equal to the library's own, and few kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import make_backend

from anynet import tree
from anynet.backends.fusion import EXPRESSIONS, Fuser, Lazy
from anynet.backends.fusion.source import ELEMENTWISE
from anynet.nn import ACTIVATIONS, CrossEntropy
from anynet.nn.metrics import ACCURACY

pytestmark = pytest.mark.cuda

DTYPES = ["float32", "float64"]


@pytest.fixture(params=DTYPES, ids=lambda dtype: f"cupy-{dtype}")
def backend(request: pytest.FixtureRequest) -> Any:
    made = make_backend("cupy", request.param)
    with made.context():
        yield made


class Fused:
    """Runs functions on lazy arrays, and counts kernels and operations that are not fused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from anynet.backends import cupy

        self.launched = self.not_fused = 0
        self.fuser = Fuser(cupy.Kernels(), cupy.plain, EXPRESSIONS)
        launch, plain = self.fuser.library.launch, self.fuser.plain

        def counted(*arguments: Any) -> None:
            self.launched += 1
            launch(*arguments)

        def counted_plain(*arguments: Any, **options: Any) -> Any:
            self.not_fused += 1
            return plain(*arguments, **options)

        monkeypatch.setattr(self.fuser.library, "launch", counted, raising=False)
        monkeypatch.setattr(self.fuser, "plain", counted_plain)

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the results of a function, all computed together."""
        with self.fuser.active():
            results = function(*tree.map(self.fuser.lift, arguments))
            self.fuser.compute(tree.leaves(results))
        return tree.map(lambda one: one.array if isinstance(one, Lazy) else one, results)


@pytest.fixture
def fused(backend: Any, monkeypatch: pytest.MonkeyPatch) -> Fused:
    del backend
    return Fused(monkeypatch)


def check(backend: Any, fused: Fused, function: Callable[..., Any], *host: Any) -> None:
    """Compare a function on lazy arrays with the same on arrays of the library."""
    arguments = tree.map(backend.to_device, host)
    expected, got = function(*arguments), fused(function, *arguments)
    rtol = 1e-5 if backend.dtype == "float32" else 1e-12
    for mine, theirs in zip(tree.leaves(got), tree.leaves(expected), strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(
            backend.to_host(mine), backend.to_host(theirs), rtol=rtol, atol=rtol
        )


EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, 80.0, -80.0, np.inf, -np.inf, np.nan]
ARITHMETIC = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "logaddexp", "pow")


@pytest.mark.parametrize("name", sorted(set(ELEMENTWISE) - {"cast"}))
def test_elementwise_functions_equal_those_of_the_library(backend, fused, name) -> None:
    xp = backend.xp
    a, b = (one.ravel() for one in np.meshgrid(EDGES, EDGES))
    a, b = a.astype(backend.dtype), b.astype(backend.dtype)
    whole = np.arange(-6, 6, dtype=np.int32)
    if name == "where":
        check(backend, fused, lambda m, x, y: xp.where(m > 0, x, y), a, a, b)
    elif name in ("floor_divide", "bitwise_left_shift", "bitwise_right_shift"):
        function = getattr(xp, name)
        check(backend, fused, lambda x: function(x, 3), whole + (0 if "floor" in name else 6))
    elif name.startswith("bitwise"):
        check(backend, fused, lambda x, y: getattr(xp, name)(x, y), whole, whole[::-1].copy())
    elif name == "logical_not":
        check(backend, fused, lambda x: xp.logical_not(x > 0), a)
    elif name in ARITHMETIC or "equal" in name or name in ("less", "greater"):
        check(backend, fused, lambda x, y: getattr(xp, name)(x, y), a, b)
    else:
        check(backend, fused, lambda x: getattr(xp, name)(x), a)
    assert (fused.launched, fused.not_fused) == (1, 0)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "bool", "float32"])
def test_operands_have_the_types_of_the_library(backend, fused, dtype) -> None:
    xp, x = backend.xp, np.array([0, 1, 1, 0]).astype(dtype)
    check(
        backend,
        fused,
        lambda x: (
            xp.astype(x, backend.float_dtype) * 0.5,
            xp.sum(x),
            xp.sum(x, axis=0, keepdims=True),
            x == 1,
            xp.where(x == 1, x, x),
        ),
        x,
    )


@pytest.mark.parametrize("shape", [(1, 1), (64, 10), (3, 1), (1, 1000), (700, 3), (8, 33, 17)])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "all", "any", "argmax"])
def test_reductions_equal_those_of_the_library(backend, fused, rng, shape, name) -> None:
    xp = backend.xp
    x = rng.standard_normal(shape).astype(backend.dtype)

    def reduced(x: Any) -> Any:
        function = getattr(xp, name)
        operand = x > -3 if name in ("all", "any") else x
        results = [
            function(operand, axis=axis, keepdims=keepdims)
            for axis in range(-len(shape), len(shape))
            for keepdims in (False, True)
        ]
        return (
            results
            if name == "argmax"
            else [*results, function(operand), function(operand, axis=(-2, -1))]
        )

    check(backend, fused, reduced, x)
    assert fused.not_fused == 0


def test_nan_is_the_largest_element(backend, fused) -> None:
    x = np.array([[1.0, np.nan, 3.0, np.nan], [2.0, 2.0, 1.0, -np.inf]], dtype=backend.dtype)
    xp = backend.xp
    check(backend, fused, lambda x: (xp.argmax(x, axis=-1), xp.max(x, axis=-1)), x)


def test_long_sums_are_split_into_parts(backend, fused, rng) -> None:
    x = rng.standard_normal((256, 512)).astype(backend.dtype)
    check(backend, fused, lambda x: backend.xp.sum(x * x), x)
    assert fused.launched == 2


def test_views_gathers_and_parts(backend, fused, rng) -> None:
    xp = backend.xp
    x, y = rng.standard_normal((2, 5, 6, 4)).astype(backend.dtype)
    rows = np.array([4, 0, 3, 3], dtype=np.int32)

    def views(x: Any, y: Any, rows: Any) -> Any:
        z = x + y
        return [
            *(z[..., 1, :], z[2], z[:, None, 1:-1], z[::-1, ::2], z[..., None], z[-1, ..., -2]),
            *(xp.reshape(z, (-1, 8)), xp.flip(z, axis=-2), xp.matrix_transpose(z)),
            *(xp.take(x, rows, axis=0), xp.take(z, rows, axis=1), xp.take(y, rows[1:3], axis=-1)),
            *(xp.concat([x, z, y], axis=-1), xp.stack([x, z], axis=1), xp.concat([x[:2], z])),
            *(xp.broadcast_to(z[:1], (3, 6, 4)), z + z[:, :1, :] * z[0, :, :1], xp.zeros_like(z)),
            *(xp.full_like(x, 3), xp.astype(xp.arange(4), backend.float_dtype) + z),
            *(
                xp.arange(12, 1101, 121),
                xp.arange(5, 2, -1) + rows[:3],
                xp.arange(2, 6, device=None),
            ),
        ]

    check(backend, fused, views, x, y, rows)
    assert fused.not_fused == 0


def test_arrays_that_are_not_contiguous_are_read_by_their_strides(backend, fused, rng) -> None:
    x = backend.to_device(rng.standard_normal((6, 8)).astype(backend.dtype))
    got = fused(lambda x: x * 2, x[::2, ::-3].T)
    np.testing.assert_array_equal(backend.to_host(got), 2 * backend.to_host(x)[::2, ::-3].T)


def test_other_operations_are_those_of_the_library(backend, fused, rng) -> None:
    x = rng.standard_normal((3, 4)).astype(backend.dtype)
    xp = backend.xp
    check(backend, fused, lambda x: xp.roll(x * 2, 1, axis=1) + 1, x)
    assert fused.not_fused == 1
    check(backend, fused, lambda x: xp.mean(x * 2, axis=1, dtype=x.dtype), x)  # CuPy's option
    assert fused.not_fused == 2


def test_long_expressions_are_computed_in_parts(backend, fused, rng) -> None:
    def chain(x: Any) -> Any:
        for _ in range(300):
            x = (x + x[::-1]) * 0.5
        return x

    check(backend, fused, chain, rng.standard_normal(7).astype(backend.dtype))
    assert 1 < fused.launched < 100


def test_many_results_are_divided_among_kernels(backend, fused, rng) -> None:
    leaves = list(rng.standard_normal((200, 3)).astype(backend.dtype))
    check(backend, fused, lambda leaves: [leaf * (k + 1) for k, leaf in enumerate(leaves)], leaves)
    assert fused.launched == 3  # of at most 240 arguments each


def test_an_array_is_read_before_it_is_overwritten(backend, fused, rng) -> None:
    x, d = (rng.standard_normal((4, 3)).astype(backend.dtype) for _ in range(2))
    w = rng.standard_normal((3, 3)).astype(backend.dtype)

    def update(w: Any, x: Any, d: Any) -> Any:
        penalty = w * w
        new = backend.gemm(x, d, transpose_a=True, accumulate=w, alpha=-0.5, beta=1)
        return penalty, new, new + penalty

    given = backend.to_device(w.copy())
    penalty, new, both = fused(update, given, backend.to_device(x), backend.to_device(d))
    np.testing.assert_allclose(backend.to_host(penalty), w * w, rtol=1e-6)
    np.testing.assert_allclose(backend.to_host(new), w - 0.5 * x.T @ d, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        backend.to_host(both), w * w + w - 0.5 * x.T @ d, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("lead", [(), (3,)])
def test_activations_are_one_kernel_forward_and_one_backward(
    backend, fused, rng, name, lead
) -> None:
    x, dy = rng.standard_normal((2, *lead, 5, 7)).astype(backend.dtype)
    bias = rng.standard_normal((*lead, 7)).astype(backend.dtype)

    def both(x: Any, bias: Any, dy: Any) -> Any:
        y, pullback = ACTIVATIONS[name](x + bias[..., None, :], backend.xp)
        if isinstance(y, Lazy):
            y.compute()
        return y, pullback(dy + 0)

    check(backend, fused, both, x, bias, dy)
    assert (fused.launched, fused.not_fused) == (2, 0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, "members"])
@pytest.mark.parametrize(
    "shape", [(1, 2), (64, 10), (7, 1), (3, 1000), (700, 10), (4, 1, 3), (8, 64, 10), (2, 3, 33, 5)]
)
def test_cross_entropy_with_its_scores(backend, fused, rng, shape, smoothing, weighted) -> None:
    lead = shape[:-2]
    logits = (5 * rng.standard_normal(shape)).astype(backend.dtype)
    target = rng.integers(0, shape[-1], shape[:-1]).astype(np.int32)
    weight = rng.uniform(0, 2, shape[:-1]).astype(backend.dtype) if weighted else None
    if smoothing == "members":
        smoothing = backend.to_device(np.full(lead, 0.2, dtype=backend.dtype))

    def loss(logits: Any, target: Any, weight: Any) -> Any:
        function = CrossEntropy.__new__(CrossEntropy)  # its check accepts one number only
        object.__setattr__(function, "label_smoothing", smoothing)
        value, dlogits = function(logits, target, weight, backend=backend)
        score = ACCURACY.batch_sum(logits, target, weight, backend.xp)
        return value, dlogits, score, backend.xp.sum(dlogits, axis=-2)

    check(backend, fused, loss, logits, target, weight)
    assert fused.not_fused == 0
    assert fused.launched <= (1 if np.prod(shape) < 2000 else 4)


def test_cupy_computes_nothing_in_double_precision_in_float32(monkeypatch) -> None:
    import anynet
    from anynet.backends import cupy

    backend = make_backend("cupy")
    sources: set[str] = set()
    launch = cupy.Kernels.launch

    def kept(self: Any, source: str, *arguments: Any) -> None:
        sources.add(source[source.index('extern "C"') :])
        launch(self, source, *arguments)

    monkeypatch.setattr(cupy.Kernels, "launch", kept)
    network = anynet.mlp([5, 4, 3], activation="gelu", dropout=0.2, layer_norm=True)
    x, y = np.arange(100, dtype=np.uint8).reshape(20, 5), np.arange(20) % 3
    options: dict[str, Any] = {"optimizer": anynet.optim.Adam(), "clip_norm": 1.0, "average": 0.9}
    anynet.fit(network, (x, y), epochs=1, backend=backend, validation=4, **options)
    assert sources
    assert not [source for source in sources if "double" in source]
