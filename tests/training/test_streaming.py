"""Streaming from the host and from disk: bitwise equal to resident data; failures."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from conftest import make_backend

import anynet
from anynet import InvalidArgumentError, tree
from anynet.backends import Backend, Memory
from anynet.backends.numpy import NumPyBackend
from anynet.data.batches import HostBatches, ResidentBatches
from anynet.data.sources.arrays import InMemory
from anynet.optim import Adam
from anynet.training.placement import has_room

NETWORK = anynet.mlp([20, 16, 4])
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 24, "target_accuracy": None}


@pytest.fixture
def data(rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((1003, 20)).astype(np.float32), rng.integers(4, size=1003)


@pytest.fixture
def folder(tmp_path, data) -> Path:
    np.save(tmp_path / "x.npy", data[0])
    np.save(tmp_path / "y.npy", data[1])
    return tmp_path


def same(one: anynet.Model, other: anynet.Model) -> bool:
    assert one.history is not None
    assert other.history is not None
    pairs = zip(tree.leaves(one.params), tree.leaves(other.params), strict=True)
    losses = [[r.train_loss for r in model.history.records] for model in (one, other)]
    equal = [np.array_equal(*map(one.backend.to_host, pair)) for pair in pairs]
    return all(equal) and losses[0] == losses[1]


@pytest.mark.skip_backend("readonly", reason="has NumPy's loop, which is tested")
@pytest.mark.skip_backend("strict", reason="slow, with no additional coverage")
def test_streams_with_the_exact_shuffle_equal_resident_runs(backend: Backend, folder, data) -> None:
    options = OPTIONS | {"validation": 0.1, "backend": backend}
    expected = anynet.fit(NETWORK, data, **options, resident=True)
    sources = {
        "host": data,
        "disk": anynet.open_source(folder, shuffle="exact", window=9_000),
        "map": (np.load(folder / "x.npy", mmap_mode="r"), data[1]),
    }
    for name, source in sources.items():
        assert same(anynet.fit(NETWORK, source, **options, resident=False), expected), name
    assert same(anynet.fit(NETWORK, sources["disk"], **options), expected)


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("numpy", {}),
        ("numpy", {"validation": 100}),
        ("numpy", {"shuffle": False}),
        ("torch", {"validation": 100}),
        ("jax", {}),
    ],
)
def test_blockwise_streams_equal_resident_runs_of_the_same_order(folder, case, options) -> None:
    source = anynet.open_source(folder, window=9_000)
    source.block_rows = 10
    source.starts = np.arange(0, 1003, 10)
    options = OPTIONS | options | {"backend": make_backend(case), "optimizer": Adam()}
    streamed, resident = (
        anynet.fit(NETWORK, source, **options, resident=resident) for resident in (False, True)
    )
    assert same(streamed, resident)
    exact = anynet.fit(NETWORK, anynet.open_source(folder, shuffle="exact"), **options)
    assert same(streamed, exact) == (not options.get("shuffle", True))


def test_sample_weights_and_64_bit_numbers_are_streamed(rng) -> None:
    x, y = rng.standard_normal((300, 20)), rng.standard_normal((300, 4))
    weight = rng.uniform(size=300)
    models = [
        anynet.fit(NETWORK, (x, y, weight), **OPTIONS, resident=resident, backend="numpy")
        for resident in (True, False)
    ]
    assert same(*models)


def test_models_score_and_predict_on_sources(folder, data) -> None:
    source = anynet.open_source(folder)
    model = anynet.fit(NETWORK, source, validation=source[:200], **OPTIONS, backend="numpy")
    assert model.evaluate(source) == model.evaluate(*data)
    assert model.score(source) == model.score(*data)
    np.testing.assert_array_equal(model.predict(source), model.predict(data[0]))
    np.testing.assert_array_equal(
        model.predict_proba(np.load(folder / "x.npy", mmap_mode="r")), model.predict_proba(data[0])
    )
    weight = np.linspace(0, 1, 1003)
    assert model.score(source, data[1], weight) == model.score(*data, weight)


def test_repeated_samples_are_read_once(data, folder) -> None:
    x, y = data
    index = np.array([5, 5, 7, 900, 8, 8, 8, 3] * 20)
    chosen = anynet.open_source(folder)[index]
    np.testing.assert_array_equal(chosen.read(np.arange(len(index))), x[index])
    configs = [{"samples": index, "seed": seed} for seed in (0, 1)]
    source = anynet.open_source(folder, shuffle="exact")
    options = OPTIONS | {"backend": "numpy"}
    streamed = anynet.fit_population(NETWORK, source, configs, resident=False, **options)
    resident = anynet.fit_population(NETWORK, (x, y), configs, **options)
    assert all(map(same, streamed, resident))


@pytest.mark.parametrize("shuffle", ["exact", "blocks"])
def test_resumed_streams_equal_uninterrupted_ones(folder, tmp_path, shuffle) -> None:
    def open_it(window: int = 9_000) -> anynet.Source:
        source = anynet.open_source(folder, shuffle=shuffle, window=window)
        if shuffle == "blocks":
            source.starts = np.arange(0, 1003, 10)
        return source

    options = OPTIONS | {"validation": 100, "backend": "numpy", "resident": False}
    straight = anynet.fit(NETWORK, open_it(), **options)

    def interrupt(now: anynet.Progress) -> None:
        if now.epoch == 2 and now.samples > 400:
            raise KeyboardInterrupt

    with pytest.raises(anynet.TrainingInterrupted):
        anynet.fit(
            NETWORK, open_it(), **options, progress=interrupt, checkpoint=tmp_path / "checkpoints"
        )
    if shuffle == "blocks":
        with pytest.raises(anynet.AnynetError, match="data"):  # another order
            anynet.resume(tmp_path / "checkpoints", open_it(20_000))
    resumed = anynet.resume(tmp_path / "checkpoints", open_it())
    assert same(resumed, straight)


def test_a_validation_source_is_scored_and_progress_is_reported(folder, data) -> None:
    source = anynet.open_source(folder, shuffle="exact", window=20_000)
    index = np.arange(1003)
    kept, held_out = index[index % 5 > 0], index[index % 5 == 0]
    seen: list[anynet.Progress] = []
    streamed = anynet.fit(
        NETWORK,
        source[kept],
        validation=source[held_out],
        **OPTIONS,
        backend="numpy",
        resident=False,
        progress=seen.append,
    )
    x, y = data
    resident = anynet.fit(
        NETWORK,
        (x[kept], y[kept]),
        validation=(x[held_out], y[held_out]),
        **OPTIONS,
        backend="numpy",
    )
    assert same(streamed, resident)
    assert 15 <= len(seen) / 3 <= 22
    assert [each.samples for each in seen[: len(seen) // 3]][-1] == len(kept)


@pytest.mark.parametrize("case", ["numpy", "torch"])
@pytest.mark.parametrize("shared_order", [True, False])
def test_populations_train_from_streams(folder, data, case, shared_order) -> None:
    configs = [{"seed": seed, "learning_rate": rate} for seed in (0, 1) for rate in (0.1, 0.2)]
    options = OPTIONS | {"backend": make_backend(case), "shared_order": shared_order}
    source = anynet.open_source(folder, shuffle="exact", window=30_000)
    streamed = anynet.fit_population(NETWORK, source, configs, resident=False, **options)
    resident = anynet.fit_population(NETWORK, data, configs, resident=True, **options)
    assert all(map(same, streamed, resident))


class Doubled(anynet.Source):
    """A user-defined store that computes its numbers on request."""

    def __init__(self, n_samples: int) -> None:
        self.shape = (n_samples, 20)
        self.dtype = np.dtype(np.float32)
        self.y = np.arange(n_samples) % 4
        self.window = 4_000
        self.threads: set[str] = set()

    def read(self, rows: np.ndarray) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        assert np.all(np.diff(rows) > 0)
        return np.cos(rows[:, None] * np.arange(20)).astype(np.float32)


def test_user_defined_stores_are_sources() -> None:
    source = Doubled(500)
    streamed = anynet.fit(NETWORK, source, **OPTIONS, backend="numpy", resident=False)
    assert source.threads == {"anynet-reader"}
    arrays = (source.read(np.arange(500)), source.y)
    assert same(streamed, anynet.fit(NETWORK, arrays, **OPTIONS, backend="numpy"))


class Broken(Doubled):
    """A store that fails on some rows."""

    error: BaseException = OSError("the disk is gone")

    def read(self, rows: np.ndarray) -> np.ndarray:
        if 333 in rows:
            raise self.error
        return super().read(rows)


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "anynet-reader"]


def test_errors_of_the_reader_are_raised() -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        anynet.fit(NETWORK, Broken(500), **OPTIONS, backend="numpy", resident=False)
    assert not readers()


def test_ctrl_c_stops_the_reader_and_keeps_the_best_model() -> None:
    def interrupt(now: anynet.Progress) -> None:
        if now.epoch == 2 and now.samples > 200:
            raise KeyboardInterrupt

    with pytest.raises(anynet.TrainingInterrupted) as caught:
        anynet.fit(
            NETWORK, Doubled(500), **OPTIONS, backend="numpy", resident=False, progress=interrupt
        )
    assert not readers()
    assert len(caught.value.model.history.records) == 1


def test_nonfinite_numbers_raise_with_their_row_and_column(folder, data) -> None:
    data[0][500, 7] = np.nan
    np.save(folder / "x.npy", data[0])
    for resident in (True, False):
        with pytest.raises(InvalidArgumentError, match="row 500, column 7"):
            anynet.fit(NETWORK, anynet.open_source(folder), **OPTIONS, resident=resident)
    with pytest.raises(InvalidArgumentError, match="row 500, column 7"):
        anynet.fit(NETWORK, (np.load(folder / "x.npy", mmap_mode="r"), data[1]), **OPTIONS)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda folder: anynet.open_source(folder / "x.npy"), "no targets"),
        (lambda folder: anynet.open_source(folder)[:0], "no rows"),
        (lambda folder: (anynet.open_source(folder), np.arange(3)), "1003 rows and y has 3"),
        (lambda folder: anynet.open_source(folder / "y.npy"), "a row for each sample"),
    ],
)
def test_incompatible_sources_raise(folder, source, message) -> None:
    with pytest.raises((InvalidArgumentError, anynet.DataError), match=message):
        anynet.fit(NETWORK, source(folder), **OPTIONS)
    with pytest.raises(InvalidArgumentError, match="3 inputs, data's x has 20"):
        anynet.fit(anynet.mlp([3, 4]), anynet.open_source(folder), **OPTIONS)


@dataclass(frozen=True)
class SmallDevice(NumPyBackend):
    """NumPy with little memory, which is reported beforehand or detected by failure."""

    name: ClassVar[str] = "small"
    free: int | None = None
    largest: int = 2**40

    def memory(self) -> Memory | None:
        return None if self.free is None else Memory(self.free, self.free)

    def to_device(self, array: Any) -> Any:
        if array.nbytes > self.largest:
            raise MemoryError
        return super().to_device(array)


def small(**limits: int) -> SmallDevice:
    numpy = anynet.get_backend("numpy")
    return SmallDevice(numpy.xp, "cpu", **limits)


def test_data_larger_than_the_device_are_streamed(data, monkeypatch) -> None:
    made = []
    for kind in (HostBatches, ResidentBatches):

        def note(self: Any, *given: Any, kind: Any = kind, init: Any = kind.__init__) -> None:
            made.append(kind)
            init(self, *given)

        monkeypatch.setattr(kind, "__init__", note)
    models = [
        anynet.fit(NETWORK, data, **OPTIONS, backend=small(free=free))
        for free in (data[0].nbytes, 2 * data[0].nbytes)
    ]
    assert made == [HostBatches, ResidentBatches]
    assert same(*models)


def test_running_out_of_device_memory_falls_back_with_a_warning(data, monkeypatch) -> None:
    expected = anynet.fit(NETWORK, data, **OPTIONS, backend="numpy")
    monkeypatch.setattr(InMemory, "window", 10_000)
    backend = small(largest=data[0].nbytes - 1)
    with pytest.warns(RuntimeWarning, match=r"out of memory .*blocks"):
        model = anynet.fit(NETWORK, data, **OPTIONS, backend=backend)
    assert same(model, expected)
    with pytest.raises(MemoryError):
        anynet.fit(NETWORK, data, **OPTIONS, backend=backend, resident=True)


def test_sources_are_loaded_only_if_host_memory_suffices(folder, monkeypatch) -> None:
    rows = anynet.training.inputs.check_rows(
        anynet.open_source(folder), NETWORK, anynet.nn.CrossEntropy(), anynet.get_backend("numpy")
    )
    for available, fits in [(10**9, True), (rows.nbytes, False), (None, False)]:
        monkeypatch.setattr(
            "anynet.training.placement.available_memory", lambda free=available: free
        )
        assert has_room(rows, anynet.get_backend("numpy")) == fits
