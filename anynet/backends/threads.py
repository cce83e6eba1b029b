"""The number of threads of products on the CPU, and other settings of the whole process.

The libraries read the environment when they are loaded (JAX when it is first used). Their number of
threads can be changed later, except JAX's, which starts its threads once. Child processes inherit
the environment.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anynet.checks import check_whole

#: OpenMP (and with it torch), OpenBLAS, MKL, and the name that XLA looks for.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")


def set_threads(count: int) -> None:
    """Set the maximum number of threads of computations on the CPU.

    It applies to this process and to child processes that it starts later.

    The setting holds for the whole process: for OpenBLAS, OpenMP and torch, and for all other code
    that computes with them. With threadpoolctl installed, which scikit-learn depends on, it reaches
    every such library that is loaded. Results may differ in rounding between numbers of threads.

    Parameters
    ----------
    count : int
        At least 1.

    Raises
    ------
    InvalidArgumentError
        If ``count`` is not a positive integer, or if anynet has already started JAX with another
        number of threads.

    Examples
    --------
    >>> import anynet
    >>> anynet.set_threads(1)  # doctest: +SKIP
    >>> anynet.get_backend("numpy").describe()["threads"]  # doctest: +SKIP
    '1'
    """
    count = check_whole("threads", count)
    for library in ("jax", "numpy", "torch"):  # JAX first, as it may raise
        if library in sys.modules:
            importlib.import_module(f"anynet.backends.{library}").set_threads(count)
    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    if importlib.util.find_spec("threadpoolctl") is not None:
        importlib.import_module("threadpoolctl").threadpool_limits(count)


class SharedSetting:
    """A setting of the process that several threads may hold at the same value.

    The first to hold it saves the value found, which the last one restores.

    Parameters
    ----------
    read, write : callable
        Return the value of the setting, and set it.
    """

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
        self._read = read
        self._write = write
        self._lock = threading.Lock()
        self._holders = 0
        self._saved: Any = None

    def set(self, value: Any) -> None:
        """Change the setting when no thread holds it."""
        with self._lock:
            self._saved = value
            if self._holders == 0:
                self._write(value)

    @contextmanager
    def hold(self, value: Any) -> Iterator[None]:
        """Keep the setting at a value; all who hold it at the same time must give the same."""
        with self._lock:
            if self._holders == 0:
                self._saved = self._read()
                self._write(value)
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0:
                    self._write(self._saved)
