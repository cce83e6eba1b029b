"""The BLAS that NumPy itself calls, reached for its α and β, which ``numpy.matmul`` does not take.

It must be the very library that NumPy multiplies with: a second copy would bring a second pool of
threads, and the two wait for each other. Where it cannot be found, ``find_gemm`` returns None.
"""

from __future__ import annotations

import ctypes
import functools
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112
SYMBOLS = (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", ""))
LONG_ENOUGH = 1.0  # seconds over which CPU time and wall time can be compared
CPU_SHARE = 0.8
LETTERS = {"float32": ("s", ctypes.c_float), "float64": ("d", ctypes.c_double)}


def unused_vectors(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """Return how to get at AVX-512 where the processor has it and OpenBLAS does not use it.

    OpenBLAS knows processors by their model; one that is newer than it gets the kernels of an old
    one. Empty where nothing is amiss, or nothing can be told.
    """
    library = _load_openblas()
    if library is None:
        return ""
    for prefix, suffix in SYMBOLS:
        name = getattr(library, f"{prefix}openblas_get_corename{suffix}", None)
        if name is not None:
            break
    else:
        return ""
    name.restype = ctypes.c_char_p
    kernels = name().decode()
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
    """Return how many threads a product may take: the cores, or what the user allows."""
    count = _find("openblas_get_num_threads")
    return 1 if count is None else max(1, int(count()))


def set_max_threads(count: int) -> None:
    """Let a product take so many threads, as soon as nobody keeps products to one."""
    global _width
    set_count = _find("openblas_set_num_threads")
    if set_count is None:
        return
    with _lock:
        _width = count
        if _narrowed == 0:
            set_count(count)


@contextmanager
def one_thread_a_product() -> Iterator[None]:
    """Keep products to the thread that asks for them; several threads may, at the same time.

    OpenBLAS has one setting for the whole process, which the last one to leave restores.
    """
    global _narrowed, _width
    set_count = _find("openblas_set_num_threads")
    assert set_count is not None  # max_threads has found the library
    with _lock:
        if _narrowed == 0:
            _width = max_threads()
            set_count(1)
        _narrowed += 1
    try:
        yield
    finally:
        with _lock:
            _narrowed -= 1
            if _narrowed == 0:
                set_count(_width)


@contextmanager
def warn_if_threads_wait() -> Iterator[None]:
    """Warn if the threads of products have waited for cores that other processes use.

    Several threads that have a core each take at least the time of one; where they take clearly
    less, each waits for the one that has no core, and a product can take many times as long as on
    one thread.
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


_lock = threading.Lock()
_narrowed = 0  # how many have asked for it and not left
_width = 1


@functools.cache
def _find(name: str) -> Any:
    """Return a function of OpenBLAS's own, under whatever name this build gives it."""
    library = _load_openblas()
    for prefix, suffix in SYMBOLS:
        found = getattr(library, f"{prefix}{name}{suffix}", None)
        if found is not None:
            return found
    return None


@functools.cache
def find_gemm(dtype: str) -> Callable[..., None] | None:
    """Return ``cblas_sgemm`` or ``cblas_dgemm`` of NumPy's OpenBLAS, its types declared."""
    library = _load_openblas()
    letter, real = LETTERS[dtype]
    for prefix, suffix in SYMBOLS:
        gemm = getattr(library, f"{prefix}cblas_{letter}gemm{suffix}", None)
        if gemm is not None:
            size = ctypes.c_int64 if suffix else ctypes.c_int
            flag, address = ctypes.c_int, ctypes.c_void_p
            gemm.argtypes = [flag, flag, flag, size, size, size, real]
            gemm.argtypes += [address, size, address, size, real, address, size]
            gemm.restype = None
            found: Callable[..., None] = gemm
            return found
    return None


@functools.cache
def _load_openblas() -> ctypes.CDLL | None:
    """Return the copy that NumPy has loaded, not another, where there is one.

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

    The matrices are C-contiguous and of one dtype. Looking their addresses up here takes a fifth of
    a small product's time, which repeated calls save.
    """
    (m, n), k = c.shape, a.shape[0] if transpose_a else a.shape[1]
    flags = (TRANSPOSED if transpose_a else AS_IS, TRANSPOSED if transpose_b else AS_IS)
    operands = (a.ctypes.data, a.shape[1], b.ctypes.data, b.shape[1])
    result = (c.ctypes.data, n)

    def multiply(alive: Any = (a, b, c)) -> None:  # noqa: ARG001
        gemm(ROW_MAJOR, *flags, m, n, k, alpha, *operands, beta, *result)

    return multiply


def add_product(*operands: Any) -> None:
    """Do at once what ``bind_product`` binds."""
    bind_product(*operands)()
