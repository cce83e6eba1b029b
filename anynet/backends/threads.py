"""How many threads products on the CPU take: the libraries have it as a setting of the process.

They read the environment when they are loaded (JAX when it is first used) and can be told later,
but for JAX, whose threads are started once. Child processes inherit the environment.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from anynet.errors import InvalidArgumentError

#: OpenMP (and with it torch), OpenBLAS, MKL, and the name that XLA looks for.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
LIBRARIES = ("jax", "numpy", "torch")  # those that compute on the CPU; the first may refuse


def set_threads(count: int) -> None:
    """Let computations on the CPU take so many threads at most, here and in new child processes.

    The libraries know no narrower setting than the whole process: it is that of OpenBLAS, OpenMP
    and torch, and of whatever else computes with them. With threadpoolctl installed, which comes
    with scikit-learn, it reaches every such library that is loaded. Results of different numbers of
    threads may differ in rounding.

    Parameters
    ----------
    count : int
        At least 1.

    Raises
    ------
    InvalidArgumentError
        If it is no such number, or JAX, through anynet, has already started another number.

    Examples
    --------
    >>> import anynet
    >>> anynet.set_threads(1)
    >>> anynet.get_backend("numpy").describe()["threads"]
    '1'
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        message = f"threads must be a whole number of at least 1, got {count!r}"
        raise InvalidArgumentError(message)
    for library in LIBRARIES:
        if library in sys.modules:
            importlib.import_module(f"anynet.backends.{library}").set_threads(count)
    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    if importlib.util.find_spec("threadpoolctl") is not None:
        importlib.import_module("threadpoolctl").threadpool_limits(count)
