"""The reading thread: in order, one ahead, its errors told, and gone with its user."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from anynet.data.prefetch import read_ahead


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("anynet-reader")]


def test_items_come_in_order_and_the_thread_ends() -> None:
    assert list(read_ahead(iter(range(100)), 2)) == list(range(100))
    assert list(read_ahead(iter([]), 2)) == []
    assert not readers()


def test_it_is_ahead_of_its_use_but_never_by_more() -> None:
    """The next item is made while one is in use, and none in the place of the one in use."""
    made: list[int] = []
    new = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for index in range(10):
            made.append(index)
            new.release()
            yield index

    with closing(read_ahead(items(), 2)) as ahead:
        for index in ahead:
            while len(made) < min(index + 2, 10):  # the next is made while this is in use
                assert new.acquire(timeout=60)
            assert made[-1] <= index + 1
    assert not readers()


def test_an_error_reaches_the_user_after_what_came_before() -> None:
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
def test_the_thread_ends_with_its_user(error: type[BaseException]) -> None:
    endless = iter(int, 1)
    with pytest.raises(error), closing(read_ahead(endless, 2)) as ahead:  # noqa: PT012
        next(ahead)
        raise error
    assert not readers()


def test_an_unused_one_starts_nothing() -> None:
    read_ahead(iter([1]), 2).close()
    assert not readers()
