"""A thread that prepares what comes next while the step runs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


def read_ahead(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """Run an iterator in a thread of its own, at most ``ahead`` items before their use.

    An item is in use until the next is asked for. Only ``ahead`` items exist at a time, the one in
    use included: with as many buffers, taken in turn, none is written to while it is read.

    The thread ends with the iterator, with its first exception, which is raised here, or when this
    generator is closed; use ``contextlib.closing``, so that this happens at once.
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
        except BaseException as error:  # whatever it is, it is the caller's
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
