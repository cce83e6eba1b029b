"""Groups of processes: the share of a batch, and one exchange for many arrays."""

import numpy as np
import pytest

from anynet.backends import Group, Share, find_group, get_backend, parallel
from anynet.backends.groups import ALONE, LAUNCHERS, own_device
from anynet.backends.numpy import xp
from anynet.data.batches import HostBatches, Rows
from anynet.data.sources.source import Filling
from anynet.errors import BackendError, InvalidArgumentError


class Doubling(Group):
    """A group of two processes that always hold the same numbers."""

    size = 2

    def __init__(self) -> None:
        self.reduced = []

    def all_reduce(self, array):
        self.reduced.append(array.size)
        array *= 2


class Ranked(Doubling):
    """One of two processes."""

    def __init__(self, rank):
        super().__init__()
        self.rank = rank


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 8, 13, 100])
@pytest.mark.parametrize("members", [1, 3])
def test_shares_hold_every_row_once(size, processes, members):
    rows = np.arange(size * members)
    shares = [Share.of(size * members, rank, processes, members) for rank in range(processes)]
    held = [share.take(rows, xp) for share in shares]
    own = [part for part, share in zip(held, shares, strict=True) if not share.is_empty]
    assert np.array_equal(np.sort(np.concatenate(own)), rows)
    assert [part.size for part in held] == [share.n_rows for share in shares]
    assert sum(share.fraction for share in shares) == pytest.approx(1)


@pytest.mark.parametrize("processes", [2, 3, 4])
@pytest.mark.parametrize("size", [8, 13])
def test_the_partner_in_mixup_is_in_the_same_process(size, processes):
    rows = np.arange(size)
    for rank in range(processes):
        own = Share.of(size, rank, processes).take(rows, xp)
        assert np.array_equal(own[::-1], size - 1 - own)


def test_a_share_of_the_rows_of_a_matrix():
    x = np.arange(24).reshape(2, 6, 2)
    assert np.array_equal(Share.of(6, 2, 3).take(x, xp, axis=-2), x[:, [2, 3]])
    assert np.array_equal(Share.of(6, 1, 3).take(x, xp, axis=-2), x[:, [1, 4]])


def test_a_tree_is_reduced_in_one_exchange_for_each_dtype():
    group = Doubling()
    backend = get_backend("numpy").joined(group)
    arrays = {
        "a": (np.ones((2, 3), np.float32), np.full((), 3.0, np.float32)),
        "b": np.arange(4, dtype=np.float64),
        "none": None,
    }
    sums = backend.all_reduce(arrays)
    assert group.reduced == [7, 4]
    assert np.array_equal(sums["a"][0], np.full((2, 3), 2.0))
    assert sums["a"][1].shape == ()
    assert np.array_equal(sums["b"], [0, 2, 4, 6])
    assert np.array_equal(arrays["b"], np.arange(4))


def test_alone_nothing_is_reduced_or_divided():
    backend, arrays = get_backend("numpy"), {"a": np.ones(3)}
    assert backend.group is ALONE
    assert backend.all_reduce(arrays) is arrays
    assert backend.share(100) is None


def test_a_backend_of_a_group_differs_from_others_and_is_not_pickled_with_it():
    import pickle

    backend = get_backend("numpy")
    joined = backend.joined(Doubling())
    assert joined != backend
    assert hash(joined) != hash(backend)
    assert pickle.loads(pickle.dumps(joined)) == backend


def test_recorded_steps_replay_the_exchange():
    group = Doubling()
    backend = get_backend("numpy", dtype="float64").joined(group)

    def step(state, rows, data):
        total = backend.xp.sum(backend.xp.take(data, rows, axis=0), axis=-1)
        return state + backend.all_reduce(total)

    data, order = np.arange(10.0), np.arange(200, dtype=np.int32).reshape(100, 2) % 10
    loop = backend.loop(step)
    state = loop.run(np.zeros(()), order, data)
    assert loop.report.captured == 1
    assert len(group.reduced) == 100  # recording itself exchanges nothing
    assert float(state) == 2 * data[order].sum()
    assert float(loop.run(state, order, data)) == 4 * data[order].sum()


class Host(Group):
    """A process of a group, with what each process passes to ``gather``."""

    def __init__(self, rank, found):
        self.rank, self.found = rank, found

    def gather(self, value):
        assert value == self.found[self.rank]
        return self.found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["a", "a", "a"], [0, 1, 2]),  # all asked for the same one: one each
        (["c", "a", "b"], [2, 0, 1]),  # each asked for its own
    ],
)
def test_each_process_of_a_host_has_a_gpu_of_its_own(asked, expected, monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "here")
    known, found = ["a", "b", "c"], [("here", one, 3) for one in asked]
    chosen = [
        own_device(Host(rank, found), known.index(one), known) for rank, one in enumerate(asked)
    ]
    assert chosen == expected


def test_processes_that_each_see_one_gpu_only_keep_it(monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "here")
    found = [("here", "a", 1), ("here", "b", 1), ("there", "c", 1)]
    assert own_device(Host(1, found), 0, ["b"]) == 0


def test_fewer_gpus_than_processes_on_a_host_are_an_error_in_every_process(monkeypatch):
    found = [("here", "a", 2), ("here", "a", 2), ("there", "c", 1), ("there", "c", 1)]
    for rank, (host, one, count) in enumerate(found):
        monkeypatch.setattr("platform.node", lambda host=host: host)
        with pytest.raises(BackendError, match=r"2 .*there.* 1 "):
            own_device(Host(rank, found), 0, [one, "b"][:count])


@pytest.mark.parametrize(
    ("parallel", "backend", "advice"),
    [("jax", "numpy", "parallel='mpi'"), ("mpi", "torch", "'torch'"), ("torch", "jax", "'jax'")],
)
def test_an_engine_of_another_library_is_an_error_that_names_the_right_one(
    parallel, backend, advice
):
    class Other(Group):
        engine = parallel

    pytest.importorskip(backend)
    with pytest.raises(InvalidArgumentError, match=rf"{parallel}.*{backend}.*{advice}"):
        get_backend(backend, "cpu").joined(Other())


def test_auto_chooses_by_backend_and_launcher_and_reports_why(monkeypatch):
    for rank, size in LAUNCHERS:
        monkeypatch.delenv(rank, raising=False)
        monkeypatch.delenv(size, raising=False)
    monkeypatch.delenv("ANYNET_BACKEND", raising=False)
    alone = find_group("auto", "numpy")
    assert alone.size == 1
    assert "mpiexec" in get_backend("numpy").joined(alone).reason
    started = []
    monkeypatch.setattr(parallel, "_started", started.append)
    find_group("auto", "jax")
    monkeypatch.setenv("ANYNET_BACKEND", "jax")
    find_group("auto")
    for rank, size in LAUNCHERS:
        with monkeypatch.context() as patch:
            patch.setenv(rank, "1")
            patch.setenv(size, "2")
            find_group("auto", "numpy")
    assert started == ["jax", "jax", *["mpi"] * (len(LAUNCHERS) - 1), "torch"]


class Reading(Filling):
    """A source that records the rows which are read."""

    def __init__(self, x):
        self.x, self.shape, self.dtype = x, x.shape, x.dtype
        self.rows = []

    def read_into(self, rows, out):
        self.rows += rows.tolist()
        out[...] = self.x[rows]


@pytest.mark.parametrize("members", [1, 2])
def test_only_the_own_rows_of_a_source_are_read(members):
    x, y = np.arange(60.0).reshape(20, 3), np.arange(20)
    order = np.random.default_rng(0).permutation(20).astype(np.int32).reshape(2, 10)
    read = []
    for rank in range(2):
        backend = get_backend("numpy", dtype="float64").joined(Ranked(rank))
        source, share = Reading(x), Share.of(10, rank, 2, members)
        batches = HostBatches(Rows(source, y), backend, block_bytes=1)
        for part, (local, rows) in zip(
            order[:, None], batches.blocks(order, members=members), strict=True
        ):
            found = rows.gather(share.take(local[0], xp), backend)
            assert np.array_equal(found.x, x[share.take(part[0], xp)])
            assert np.array_equal(found.y, share.take(part[0], xp))
        read += source.rows
    assert sorted(read) == list(range(20))
