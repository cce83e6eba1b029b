"""Batches of a population, and concurrent computations."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import anynet
from anynet.backends import Backend, blas


def test_batch_sizes_add_up(backend: Backend) -> None:
    for members in (1, 2, 7, 32, 128):
        for nbytes in (0, 1000, 2**19, 2**30):
            sizes = backend.batch_sizes(members, nbytes)
            assert sum(sizes) == members
            assert min(sizes) >= 1


def test_results_keep_the_order_of_the_tasks(backend: Backend) -> None:
    tasks = [lambda number=number: number * number for number in range(5)]
    assert backend.together(tasks) == [0, 1, 4, 9, 16]
    assert backend.together([]) == []


@pytest.mark.skipif(blas._load_openblas() is None, reason="NumPy's BLAS is not OpenBLAS")
def test_numpy_balances_batches_over_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = anynet.get_backend("numpy")
    monkeypatch.setattr("anynet.backends.numpy.max_threads", lambda: 2)
    assert backend.batch_sizes(32, 2**19) == [4] * 8  # 2 MiB per batch
    assert backend.batch_sizes(32, 100) == [16, 16]
    assert backend.batch_sizes(5, 2**30) == [1] * 5
    together = threading.Barrier(2, timeout=60)

    def product() -> tuple[int, int]:
        together.wait()  # passes only if both run at the same time
        return threading.get_ident(), blas.max_threads()

    before = blas.max_threads()
    (one, threads), (other, _) = backend.together([product, product])
    assert one != other
    assert threads == 1
    assert blas.max_threads() == before


@pytest.mark.skipif(blas._load_openblas() is None, reason="NumPy's BLAS is not OpenBLAS")
def test_a_failure_is_raised_and_threads_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = anynet.get_backend("numpy")
    monkeypatch.setattr("anynet.backends.numpy.max_threads", lambda: 2)
    before = blas.max_threads()

    def fail() -> float:
        return float(np.linalg.inv(np.zeros((2, 2)))[0, 0])

    with pytest.raises(np.linalg.LinAlgError):
        backend.together([fail, fail])
    assert blas.max_threads() == before


@pytest.mark.skipif(blas._load_openblas() is None, reason="NumPy's BLAS is not OpenBLAS")
def test_tasks_that_have_not_started_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = anynet.get_backend("numpy")
    monkeypatch.setattr("anynet.backends.numpy.max_threads", lambda: 2)
    begun = []
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise KeyboardInterrupt

    def wait() -> None:
        begun.append(1)
        failed.wait(60)
        time.sleep(0.2)

    with pytest.raises(KeyboardInterrupt):
        backend.together([fail, *[wait] * 200])
    assert len(begun) < 100
