"""A thread that reads the next block while the training step runs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


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
    free = threading.Semaphore(ahead)
    ready: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    closed = threading.Event()

    def work() -> None:
        try:
            while True:
                free.acquire()
                if closed.is_set():
                    return
                ready.put((next(items, _END), None))
        except BaseException as error:  # raised in the caller's thread
            ready.put((_END, error))

    thread = threading.Thread(target=work, name="anynet-reader", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
            free.release()
    finally:
        closed.set()
        free.release()
        thread.join()
