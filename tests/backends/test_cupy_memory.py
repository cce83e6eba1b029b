"""The memory, threads and probes of CuPy's graphs on a CUDA device."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import make_backend

import anynet
from anynet import tree
from anynet.backends import backend_of
from anynet.optim import Adam

pytestmark = pytest.mark.cuda


@pytest.fixture
def cupy() -> Any:
    make_backend("cupy")  # skips without a device
    return pytest.importorskip("cupy")


def used(cupy: Any) -> int:
    """Return the bytes of the device that are not free, after the free blocks of CuPy's pool."""
    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    free, total = cupy.cuda.Device().mem_info
    return int(total - free)


def fit(backend: Any, seed: int = 0, **options: Any) -> anynet.training.Model:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(300, 12)).astype(np.float32), rng.integers(0, 3, 300)
    arguments: dict[str, Any] = {"validation": 60, "epochs": 2, "batch_size": 16, "seed": seed}
    network = anynet.mlp([12, 40, 3], dropout=0.2, layer_norm=True)
    return anynet.fit(network, (x, y), backend=backend, **arguments | options)


def weights(model: anynet.training.Model) -> list[np.ndarray]:
    return [model.backend.to_host(leaf) for leaf in tree.leaves(model.params)]


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": Adam(), "average": 0.9}, {"resident": False}, {"validation": None}],
    ids=["sgd", "adam", "streamed", "no validation"],
)
def test_fits_return_their_memory_to_the_device(cupy: Any, options: dict[str, Any]) -> None:
    fit(make_backend("cupy"), **options)
    before = used(cupy)
    for seed in range(3):
        backend = make_backend("cupy")
        fit(backend, seed, **options)
        assert backend.graphs.captured > 0
    assert used(cupy) == before


def test_populations_and_predictions_return_their_memory(cupy: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 8)).astype(np.float32), rng.integers(0, 3, 200)

    def run() -> None:
        backend = make_backend("cupy")
        configs = [{"seed": seed, "learning_rate": 0.1 * (seed + 1)} for seed in range(3)]
        network = anynet.mlp([8, 16, 3])
        models = anynet.fit_population(network, (x, y), configs=configs, epochs=2, backend=backend)
        assert backend.graphs.captured == 2  # of all members at once: 6 steps, the short batch
        models[0].predict(cupy.asarray(x))

    run()
    before = used(cupy)
    run()
    assert used(cupy) == before


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": Adam(), "average": 0.9, "clip_norm": 1.0}, {"resident": False}],
    ids=["sgd", "adam, clipped, averaged", "streamed"],
)
def test_captures_use_the_memory_of_the_warm_up(
    cupy: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """A few blocks may be missing where the pool has split larger ones; not some for each step."""
    from anynet.backends import cupy_memory

    allocate, captures = cupy_memory._allocate, []

    def noted(blocks: list[Any], size: int) -> Any:
        captures.append(cupy.cuda.get_current_stream().is_capturing())
        return allocate(blocks, size)

    monkeypatch.setattr(cupy_memory, "_allocate", noted)
    fit(make_backend("cupy"), **options)
    assert 10 * sum(captures) <= len(captures)


@pytest.mark.usefixtures("cupy")
def test_steps_on_large_blocks_of_a_stream_are_captured_once_for_each_buffer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from anynet.backends import cupy as file

    monkeypatch.setattr(file.CuPyRecorder, "largest_copy", 0)
    backend = make_backend("cupy")
    blocks = [np.full((4, 3), turn, dtype=np.float32) for turn in range(7)]
    order = backend.to_device(np.arange(4, dtype=np.int32)[:, None])
    loop = backend.loop(
        lambda state, rows, data: (state[0] + backend.xp.take(data, rows, axis=0)[0],)
    )
    state: Any = (backend.to_device(np.zeros(3, dtype=np.float32)),)
    for epoch in range(2):
        for block in backend.stream(iter(blocks)):
            state = loop.run(state, order, block)
        np.testing.assert_array_equal(backend.to_host(state[0]), (epoch + 1) * 4 * sum(range(7)))
        assert backend.graphs.captured <= 2 * (epoch + 1)  # of a later epoch, in other memory


class FailsInACapture:
    """A step that needs memory, and then reads the device, which a capture does not permit."""

    def __init__(self, error: Callable[[Any], Any]) -> None:
        self.error = error

    def __call__(self, state: Any, rows: Any, data: Any) -> Any:  # noqa: ARG002
        more = state[0] * 2
        self.error(more)
        return (more + 1,)


def interrupt(array: Any) -> None:
    import cupy

    if cupy.cuda.get_current_stream().is_capturing():
        raise KeyboardInterrupt(array.shape)


def run_failing(error: Callable[[Any], Any]) -> None:
    backend = make_backend("cupy")
    order = backend.to_device(np.zeros((5, 1), dtype=np.int32))
    state = (backend.to_device(np.zeros(2**20, dtype=np.float32)),)
    backend.loop(FailsInACapture(error)).run(state, order, ())


@pytest.mark.parametrize("read", [lambda array: float(array[0]), lambda array: array.get()])
def test_a_failed_recording_returns_its_memory_to_the_device(cupy: Any, read: Any) -> None:
    before = None
    for _ in range(3):
        with pytest.warns(RuntimeWarning, match="without CUDA graphs"):
            run_failing(read)
        assert used(cupy) == (before or used(cupy))
        before = used(cupy)


def test_an_interrupted_recording_returns_its_memory_to_the_device(cupy: Any) -> None:
    before = None
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_failing(interrupt)
        assert used(cupy) == (before or used(cupy))
        before = used(cupy)


def test_other_loops_free_their_graphs_after_a_failed_recording(cupy: Any) -> None:
    backend = make_backend("cupy")
    order = backend.to_device(np.zeros((5, 1), dtype=np.int32))
    loop = backend.loop(lambda state, rows, data: (state[0] * 2 + 1,))  # noqa: ARG005
    loop.run((backend.to_device(np.zeros(2**20, dtype=np.float32)),), order, ())
    with_graph = used(cupy)
    backend.graphs.failure = "another loop failed"
    (result,) = loop.run((backend.to_device(np.zeros(2, dtype=np.float32)),), order, ())
    np.testing.assert_array_equal(backend.to_host(result), 31)
    assert used(cupy) < with_graph - 2**22


def test_memory_of_a_graph_is_not_freed_when_the_device_is_full(cupy: Any) -> None:
    """CuPy then frees the blocks of the pool that seem free, where the first graph writes."""
    backend = make_backend("cupy")
    loop = backend.loop(lambda state, rows, data: (state[0] * 2 + 1,))  # noqa: ARG005
    orders = [backend.to_device(np.zeros((n, 1), dtype=np.int32)) for n in (5, 3)]
    state = (backend.to_device(np.zeros(2**20, dtype=np.float32)),)
    state = loop.run(state, orders[0], ())
    loop.recorder.memory.pool.free_all_blocks()
    taken = [cupy.zeros(2**20, dtype=cupy.float32) for _ in range(8)]  # would use freed memory
    for order in (orders[0], orders[1], orders[0]):
        state = loop.run(state, order, ())
    np.testing.assert_array_equal(backend.to_host(state[0]), 2.0**18 - 1)
    assert all(not array.any() for array in taken)


def at_once(actions: list[Callable[[], Any]]) -> list[Any]:
    """Run each action in its own thread, all started at the same moment."""
    start = threading.Barrier(len(actions), timeout=120)

    def run(action: Callable[[], Any]) -> Any:
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("shared", [False, True], ids=["own backends", "one backend"])
@pytest.mark.parametrize(
    "options",
    [
        [{"epochs": 4}, {"epochs": 4}],
        [{"epochs": 1}, {"epochs": 8}],  # one records while the other replays
        [{"resident": False}, {"optimizer": Adam()}, {"batch_size": 7}],
    ],
    ids=["alike", "replays beside captures", "a stream, Adam, another batch"],
)
def test_fits_in_threads_have_the_weights_of_single_fits(options: Any, shared: bool) -> None:
    common = make_backend("cupy")

    def run(seed: int) -> list[np.ndarray]:
        backend = common if shared else make_backend("cupy")
        fitted = weights(fit(backend, seed, **options[seed]))
        assert backend.graphs.failure is None
        return fitted

    alone = [run(seed) for seed in range(len(options))]
    for _ in range(2):
        together = at_once([lambda seed=seed: run(seed) for seed in range(len(options))])
        for one, other in zip(alone, together, strict=True):
            for leaf, same in zip(one, other, strict=True):
                np.testing.assert_array_equal(leaf, same)


@pytest.fixture
def counted(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Count the copies between host and device, products and waits."""
    from anynet.backends import cupy as file

    counts = dict.fromkeys(("asarray", "asnumpy", "multiply"), 0)

    def counting(name: str, function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1
            return function(*arguments, **options)

        return call

    for name in ("asarray", "asnumpy"):
        monkeypatch.setattr(cupy, name, counting(name, getattr(cupy, name)))
    multiply = counting("multiply", file.Cublas.multiply)
    monkeypatch.setattr(file.Cublas, "multiply", multiply)
    return counts


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_the_first_backend_of_a_device_makes_a_test_product(
    cupy: Any, counted: dict[str, int], dtype: str
) -> None:
    x = cupy.zeros((4, 3), dtype=dtype)
    backend_of(x, dtype)
    counted.update(dict.fromkeys(counted, 0))
    first, second = backend_of(x, dtype), backend_of(x, dtype)
    assert set(counted.values()) == {0}
    assert first == second
    assert first.graphs is not second.graphs  # what fails in one run leaves the others alone
    assert first != anynet.get_backend("cupy", dtype="float64" if dtype == "float32" else "float32")


def test_a_prediction_of_an_array_on_the_device_copies_nothing(
    cupy: Any, counted: dict[str, int]
) -> None:
    model = fit(make_backend("cupy"), epochs=1)
    x = cupy.ones((50, 12), dtype=cupy.float32)
    model.predict(x)
    counted.update(dict.fromkeys(counted, 0))
    predicted = model.predict(x)
    assert isinstance(predicted, cupy.ndarray)
    assert counted["asnumpy"] == 0
    assert counted["multiply"] == 2  # one for each layer
    plain = replace(model, backend=replace(model.backend, graphs=None)).predict(cupy.asnumpy(x))
    np.testing.assert_array_equal(cupy.asnumpy(predicted), plain)


@pytest.mark.usefixtures("cupy")
def test_backends_are_equal_and_hash_by_device_type_and_precision() -> None:
    """``Device`` of CuPy has no hash; cohorts and caches of compiled steps need one."""
    backends = [anynet.get_backend("cupy", "cuda:0"), anynet.get_backend("cupy")]
    backends += [replace(backends[0], reason="another", graphs=None)]
    assert len(set(backends)) == 1
    others = [anynet.get_backend("cupy", dtype="float64")]
    others += [anynet.get_backend("cupy", precision=one) for one in ("tf32", "float16")]
    assert len({*backends, *others}) == 4


@pytest.mark.usefixtures("cupy")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_train_ensembles_and_searches_as_on_numpy() -> None:
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(120, 6)), rng.integers(0, 3, 120)
    quick: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}
    found = []
    for name in ("numpy", "cupy"):
        network = anynet.MLPClassifier(**quick, backend=name)
        ensemble = anynet.MLPClassifier(**quick, n_ensemble=3, backend=name).fit(x, y)
        grid = {"alpha": [1e-4, 1e-1], "learning_rate_init": [1e-3, 1e-2]}
        search = anynet.PopulationSearchCV(network, grid, cv=3).fit(x, y)
        found.append((ensemble.predict_proba(x), search.cv_results_["mean_test_score"]))
    for numpys, cupys in zip(*found, strict=True):
        np.testing.assert_allclose(cupys, numpys, rtol=1e-4, atol=1e-6)
