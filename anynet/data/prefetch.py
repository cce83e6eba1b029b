"""A thread that reads the next block while the training step runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_END: Any = object()


def read_ahead(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """Run an iterator in a separate thread, at most ``ahead`` items before their use.

    An item is in use until the next one is requested. At most ``ahead`` items exist at a time,
    including the one in use: with as many buffers, used in turn, no buffer is written to while it
    is read.

    The thread ends with the iterator, with its first exception, which is raised here, or when this
    generator is closed; use ``contextlib.closing`` to close it immediately.

    Parameters
    ----------
    items : iterator
        Run in the thread.
    ahead : int
        Maximum number of items at a time.

    Yields
    ------
    object
        The items in their order.
    """
    reader = ThreadPoolExecutor(1, thread_name_prefix="anynet-reader")
    try:
        reading = deque(reader.submit(next, items, _END) for _ in range(ahead))
        while (item := reading.popleft().result()) is not _END:
            yield item
            reading.append(reader.submit(next, items, _END))
    finally:
        reader.shutdown(cancel_futures=True)
