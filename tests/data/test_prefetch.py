"""The reading thread: order, read-ahead of one item, errors, termination."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from anynet.data.prefetch import read_ahead


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("anynet-reader")]


def test_items_keep_their_order_and_the_thread_ends() -> None:
    assert list(read_ahead(iter(range(100)), 2)) == list(range(100))
    assert list(read_ahead(iter([]), 2)) == []
    assert not readers()


def test_the_thread_reads_exactly_one_item_ahead() -> None:
    """The next item is made while one is in use, but its memory is not reused before."""
    made: list[int] = []
    new = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for index in range(10):
            made.append(index)
            new.release()
            yield index

    with closing(read_ahead(items(), 2)) as ahead:
        for index in ahead:
            while len(made) < min(index + 2, 10):  # the next item is made while this one is in use
                assert new.acquire(timeout=60)
            assert made[-1] <= index + 1
    assert not readers()


def test_an_error_is_raised_after_the_preceding_items() -> None:
    def items() -> Iterator[int]:
        yield 1
        message = "the disk is gone"
        raise OSError(message)

    got = []
    with pytest.raises(OSError, match="the disk is gone"):  # noqa: PT012
        for item in read_ahead(items(), 2):
            got.append(item)
    assert got == [1]
    assert not readers()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_thread_ends_when_its_consumer_stops(error: type[BaseException]) -> None:
    endless = iter(int, 1)
    with pytest.raises(error), closing(read_ahead(endless, 2)) as ahead:  # noqa: PT012
        next(ahead)
        raise error
    assert not readers()


def test_an_unused_iterator_starts_no_thread() -> None:
    read_ahead(iter([1]), 2).close()
    assert not readers()
