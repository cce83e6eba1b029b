"""Direct calls of NumPy's BLAS, for α and β, which ``numpy.matmul`` lacks.

It must be the library that NumPy has loaded: a second copy would have a second pool of threads, and
the two would wait for each other. Where it is not found, ``find_gemm`` returns None.
"""

from __future__ import annotations

import ctypes
import functools
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from anynet.backends.threads import SharedSetting

ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112
SYMBOLS = (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", ""))
LONG_ENOUGH = 1.0  # seconds over which CPU time and wall time can be compared
CPU_SHARE = 0.8
LETTERS = {"float32": ("s", ctypes.c_float), "float64": ("d", ctypes.c_double)}


def unused_vectors(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """Return advice if the processor has AVX-512 and OpenBLAS does not use it, otherwise "".

    OpenBLAS selects kernels by the model of the processor; a processor that is newer than OpenBLAS
    gets the kernels of an old one.
    """
    corename = _find("openblas_get_corename")
    if corename is None:
        return ""
    corename.restype = ctypes.c_char_p
    kernels = corename().decode()
    try:
        has_avx512 = "avx512bw" in cpu_info.read_text().split()
    except OSError:
        return ""
    if not has_avx512 or kernels not in ("Haswell", "Zen"):
        return ""
    return (
        f"OpenBLAS runs its {kernels} kernels although this processor has AVX-512: "
        f"OPENBLAS_CORETYPE=SkylakeX in the environment may be faster"
    )


def max_threads() -> int:
    """Return the maximum number of threads of a product: the cores, or the user's setting."""
    count = _find("openblas_get_num_threads")
    return 1 if count is None else max(1, int(count()))


def _write_threads(count: int) -> None:
    write = _find("openblas_set_num_threads")
    if write is not None:
        write(count)


_threads = SharedSetting(max_threads, _write_threads)
set_max_threads = _threads.set


def one_thread_a_product() -> AbstractContextManager[None]:
    """Return a context in which each product runs on the thread that calls it."""
    return _threads.hold(1)


@contextmanager
def warn_if_threads_wait() -> Iterator[None]:
    """Warn if the threads of products have waited for cores that other processes use.

    Threads with a core each receive at least the CPU time of one thread. If they receive clearly
    less, each waits for one without a core, and a product can take many times as long as on one
    thread.
    """
    if (threads := max_threads()) < 2:
        yield
        return
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if wall > LONG_ENOUGH and cpu < CPU_SHARE * wall:
        message = (
            f"training took {wall:.1f} s and received {cpu:.1f} s of CPU time for {threads} "
            f"threads: other processes use the cores, and the threads wait for each other. "
            f"One thread may be many times faster: anynet.set_threads(1) or OMP_NUM_THREADS=1"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=2)


@functools.cache
def _find(name: str) -> Any:
    """Return a function of NumPy's OpenBLAS, whose builds give it different names, or None."""
    library = _load_openblas()
    symbols = (f"{prefix}{name}{suffix}" for prefix, suffix in SYMBOLS)
    return next((getattr(library, symbol) for symbol in symbols if hasattr(library, symbol)), None)


@functools.cache
def find_gemm(dtype: str) -> Callable[..., None] | None:
    """Return ``cblas_sgemm`` or ``cblas_dgemm`` of NumPy's OpenBLAS, with its types declared."""
    letter, real = LETTERS[dtype]
    gemm: Any = _find(f"cblas_{letter}gemm")
    if gemm is not None:
        size = ctypes.c_int64 if gemm.__name__.endswith("64_") else ctypes.c_int
        flag, address = ctypes.c_int, ctypes.c_void_p
        gemm.argtypes = [flag, flag, flag, size, size, size, real]
        gemm.argtypes += [address, size, address, size, real, address, size]
        gemm.restype = None
    return gemm  # type: ignore[no-any-return]


@functools.cache
def _load_openblas() -> ctypes.CDLL | None:
    """Return the copy that NumPy has loaded, or None.

    NumPy's wheels carry it beside the package, in ``numpy.libs`` (on macOS ``.dylibs``).
    """
    package = Path(np.__file__).parent
    places = (package.parent / "numpy.libs", package / ".dylibs")
    for path in (path for place in places for path in place.glob("*openblas*")):
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            continue
    return None


def bind_product(
    c: np.ndarray,
    alpha: float,
    a: np.ndarray,
    b: np.ndarray,
    gemm: Callable[..., None],
    beta: float,
    transpose_a: bool,
    transpose_b: bool,
) -> Callable[[], None]:
    """Return ``c ← alpha · op(a) · op(b) + beta · c`` in place as a call without arguments.

    The matrices are C-contiguous and of one dtype. Looking up their addresses takes a fifth of the
    time of a small product, which repeated calls save.
    """
    (m, n), k = c.shape, a.shape[0] if transpose_a else a.shape[1]
    flags = (TRANSPOSED if transpose_a else AS_IS, TRANSPOSED if transpose_b else AS_IS)
    operands = (a.ctypes.data, a.shape[1], b.ctypes.data, b.shape[1])
    result = (c.ctypes.data, n)

    def multiply(alive: Any = (a, b, c)) -> None:  # noqa: ARG001
        gemm(ROW_MAJOR, *flags, m, n, k, alpha, *operands, beta, *result)

    return multiply


def add_product(*operands: Any) -> None:
    """Run what ``bind_product`` binds."""
    bind_product(*operands)()
