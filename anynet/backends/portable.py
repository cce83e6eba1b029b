"""Every capability of a backend, written in the array API alone: this file is the specification.

A library's file overrides a method only where the library is faster or needs other calls; each
override passes the tests of the body here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import numpy as np

from anynet import tree
from anynet.backends.groups import ALONE, ENGINES, Group, Share
from anynet.backends.threefry import threefry_2x32
from anynet.errors import InvalidArgumentError
from anynet.typing import Array, Namespace

State = TypeVar("State")
Result = TypeVar("Result")
Block = TypeVar("Block")
Tree = TypeVar("Tree")
Step = Callable[[State, Array, Any], State]

CPU_ROWS = 1024  # a slice of this length fits into a processor's cache
DEVICE_ROWS = 2**15  # a GPU computes small slices faster than they are launched
DEVICE_BYTES = 2**30
DEVICE_SHARE = 1 / 4  # of the free memory


class Loop(Generic[State]):
    """A training loop: one step, applied once for each row of an order.

    The loop owns the recordings of its step, so keep it for a whole run.

    Parameters
    ----------
    step : callable
        ``(state, rows, data) -> state``, pure, with static shapes and no host reads.
    """

    def __init__(self, step: Step[State]) -> None:
        self.step = step

    def run(self, state: State, order: Array, data: Any) -> State:
        """Apply the step once for each row of ``order``.

        Parameters
        ----------
        state : tree of Array
            Consumed: the loop may write into its memory.
        order : Array of shape (steps, …), int32
            The rows of the samples of each step.
        data : tree of Array
            Read by the steps, and not changed.

        Returns
        -------
        tree of Array
            The state after the last step. The next run of the loop may write into its memory:
            copy what must be kept.
        """
        for index in range(order.shape[0]):
            state = self.step(state, order[index, ...], data)
        return state


class Memory(NamedTuple):
    """Memory of a device in bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class Backend:
    """Array library and device: creation, products, random bits and loops.

    A backend is an immutable value: two with the same library, device, dtype and precision are
    equal.

    Parameters
    ----------
    xp : Namespace
        The array API namespace.
    device : object
        The library's own device object; every array is made there.
    dtype : str
        The floating-point type of parameters and activations, ``"float32"`` or ``"float64"``.
    reason : str
        Why this backend was chosen, as text.
    precision : {"tf32", "bfloat16", "float16"}, optional
        Type to which the factors of products are rounded, see ``get_backend``; None does not
        round.
    group : Group
        The processes that train together, see ``joined``. It is not pickled.

    Examples
    --------
    >>> import anynet
    >>> backend = anynet.get_backend("numpy")
    >>> x = backend.to_device([[1.0, 2.0], [3.0, 4.0]])
    >>> backend.gemm(x, x, transpose_b=True)
    array([[ 5., 11.],
           [11., 25.]])
    >>> backend.name, backend.device_name(), backend.dtype
    ('numpy', 'cpu', 'float32')
    """

    name: ClassVar[str] = "portable"

    xp: Namespace
    device: Any = None
    dtype: str = "float32"
    reason: str = field(default="", compare=False)
    precision: str | None = None
    group: Group = field(default=ALONE, kw_only=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments of ``get_backend``: modules and devices belong to a process."""
        return _restore, (self.name, self.device_name(), self.dtype, self.precision)

    def __copy__(self) -> Backend:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        return self

    @property
    def float_dtype(self) -> Any:
        """The namespace's object for ``dtype``."""
        return getattr(self.xp, self.dtype)

    def to_device(self, array: Any) -> Array:
        """Place an array on the device, in its own dtype.

        Parameters
        ----------
        array : ndarray, or array of this library

        Returns
        -------
        Array
            May share memory with the argument: treat it as read-only.
        """
        return self.xp.asarray(array, device=self.device)  # type: ignore[no-any-return]

    def to_host(self, array: Array) -> np.ndarray:
        """Return a NumPy array with the same content; waits for the device."""
        return np.asarray(array)

    def host_empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return an uninitialized NumPy array in memory from which ``stream`` copies quickly."""
        return np.empty(shape, dtype=dtype)

    def stream(self, blocks: Iterator[Block]) -> Generator[Block, None, None]:
        """Copy trees of NumPy arrays to the device, one after another.

        Copies may run beside earlier work of the device. When the next block is requested, the
        memory of the one before may be written again, both on the host and on the device.

        Parameters
        ----------
        blocks : iterator of trees of ndarray

        Yields
        ------
        tree of Array
        """
        for block in blocks:
            yield tree.map(self.to_device, block)

    def gemm(
        self,
        a: Array,
        b: Array,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
        accumulate: Array | None = None,
        alpha: float | Array = 1,
        beta: float = 0,
    ) -> Array:
        """Return ``alpha · op(a) · op(b) + beta · accumulate``: the only matrix product of anynet.

        Parameters
        ----------
        a : Array of shape (*P, M, K), or (*P, K, M) if ``transpose_a``
        b : Array of shape (*P, K, N), or (*P, N, K) if ``transpose_b``
            An operand without leading axes is shared by all members of the population.
        accumulate : Array of shape (*P, M, N), optional
            Consumed: a backend may write the result into its memory.
        alpha, beta : float
            Factors, as in BLAS; ``alpha`` may be an array that broadcasts against the result.

        Returns
        -------
        Array of shape (*P, M, N)
        """
        return self._gemm(a, b, transpose_a, transpose_b, accumulate, alpha, beta)  # type: ignore[no-any-return]

    def _gemm(self, a: Any, b: Any, *options: Any) -> Any:
        """Compute ``gemm``; libraries override this body."""
        transpose_a, transpose_b, accumulate, alpha, beta = options
        if transpose_a:
            a = self.xp.matrix_transpose(a)
        if transpose_b:
            b = self.xp.matrix_transpose(b)
        product: Any = self._multiply(a, b)
        if not isinstance(alpha, (int, float)) or alpha != 1:
            product = product * alpha
        if accumulate is not None and beta != 0:
            product = product + (accumulate if beta == 1 else accumulate * beta)
        return product

    def _multiply(self, a: Any, b: Any) -> Any:
        """Return the matrix product in this backend's precision."""
        return self.xp.matmul(a, b)

    def random_bits(
        self, seed: Array, counters: tuple[Array | int, int], shape: tuple[int, ...]
    ) -> Array:
        """Draw 32 random bits per element, a pure function of the arguments.

        Threefry-2x32 with 13 rounds, key ``(seed, purpose)`` and counter ``(step, index)``; its
        first output words fill the first half of the elements, the second words the rest.

        Parameters
        ----------
        seed : Array of shape (*P,), int32
            One non-negative word per member.
        counters : (step, purpose)
            The number of updates made so far (int32, on the device), and a small integer that
            differs between the draws of one step.
        shape : tuple of int
            The shape of one member's draw, with a maximum of 2**32 elements.

        Returns
        -------
        Array of shape (*P, *shape)
            Values in [0, 2**32), in an integer dtype that holds them; the same bits everywhere.
        """
        step, purpose = counters
        count = math.prod(shape)
        words = self._random_words(seed[..., None], step, purpose, (count + 1) // 2)
        bits: Array = self.xp.concat(words, axis=-1)
        return self.xp.reshape(bits[..., :count], (*seed.shape, *shape))  # type: ignore[no-any-return]

    def random_halves(
        self, seed: Array, counters: tuple[Array | int, int], shape: tuple[int, ...]
    ) -> Array:
        """Draw 16 random bits per element: both halves of half as many words of ``random_bits``.

        The low halves are those of the first elements.

        Parameters
        ----------
        seed, counters, shape
            See ``random_bits``.

        Returns
        -------
        Array of shape (*P, *shape)
            Values in [0, 2**16).
        """
        count = math.prod(shape)
        words = self.random_bits(seed, counters, ((count + 1) // 2,))
        halves: Array = self.xp.concat([words & 0xFFFF, words >> 16], axis=-1)
        return self.xp.reshape(halves[..., :count], (*seed.shape, *shape))  # type: ignore[no-any-return]

    def _random_words(
        self, seed: Array, step: Array | int, purpose: int, pairs: int
    ) -> tuple[Array, Array]:
        """Return both output words for ``pairs`` counters, each of shape (*P, pairs)."""
        xp = self.xp
        seed = xp.astype(seed, xp.uint32)
        index = xp.arange(pairs, dtype=xp.uint32, device=self.device)
        second_key = xp.full_like(seed, purpose)
        step = xp.astype(step, xp.uint32) if not isinstance(step, int) else step
        return threefry_2x32((seed, second_key), (xp.zeros_like(seed) + step, index))

    def joined(self, group: Group) -> Self:
        """Return this backend bound to a group of processes.

        Raises
        ------
        InvalidArgumentError
            If the group does not train with this library.
        """
        if group is self.group:
            return self
        libraries = ENGINES.get(group.engine, (self.name,))
        if self.name not in libraries:
            other = next((name for name, known in ENGINES.items() if self.name in known), None)
            message = (
                f"parallel={group.engine!r} needs the backend {' or '.join(libraries)}, got "
                f"{self.name!r}: choose another backend, or parallel={other!r}"
            )
            raise InvalidArgumentError(message)
        joined = self._joined(group)
        return replace(joined, reason="; ".join(filter(None, [self.reason, group.reason])))

    def _joined(self, group: Group) -> Self:
        """Bind to a group that trains with this library, on devices that suit it."""
        return replace(self.beside(group), group=group)

    def beside(self, group: Group) -> Self:  # noqa: ARG002  (libraries with several devices)
        """Return this backend on devices that no other process of a group uses.

        It computes by itself, such as the members of a population that are divided among processes.
        """
        return self

    def divide_members(self, arrays: Tree) -> Tree:
        """Return the arrays of a population, (P, …) or (), divided among the devices if several."""
        return arrays

    @property
    def parts(self) -> int:
        """The number of processes or devices that divide a batch among themselves."""
        return self.group.size

    def share(self, size: int, members: int = 1) -> Share | None:
        """Return the rows of a batch that this process computes.

        Parameters
        ----------
        size : int
            The number of rows of the whole batch.
        members : int
            See ``Share.of``.

        Returns
        -------
        Share or None
            None if this process computes the whole batch. This is so without a group, and for
            libraries that divide the work themselves.
        """
        group = self.group
        return None if group.size == 1 else Share.of(size, group.rank, group.size, members)

    def all_reduce(self, arrays: Tree) -> Tree:
        """Add up arrays over the processes of the group, in one exchange for each dtype.

        Parameters
        ----------
        arrays : tree of Array

        Returns
        -------
        tree of Array
            The sums; the arrays themselves, unchanged, if this process computes whole batches.
        """
        if self.group.size == 1:
            return arrays
        xp, sums = self.xp, dict(tree.flatten(arrays))
        for dtype in dict.fromkeys(leaf.dtype for leaf in sums.values()):
            paths = [path for path, leaf in sums.items() if leaf.dtype == dtype]
            flat = xp.concat([xp.reshape(sums[path], (-1,)) for path in paths])
            self._all_reduce(flat)
            start = 0
            for path in paths:
                shape = sums[path].shape
                stop = start + math.prod(shape)
                sums[path] = xp.reshape(flat[start:stop], shape)
                start = stop
        return tree.rebuild(arrays, sums)

    def _all_reduce(self, flat: Any) -> None:
        """Replace a flat array by its sum over the processes; libraries may record the call."""
        self.group.all_reduce(flat)

    def loop(self, step: Step[State]) -> Loop[State]:
        """Return the loop of a step, in the form that this library runs fastest.

        Parameters
        ----------
        step : callable
            See ``Loop``. JAX also needs it to be hashable: loops of equal steps share what is
            compiled.

        Returns
        -------
        Loop
        """
        return Loop(step)

    def batch_sizes(self, members: int, nbytes: int) -> list[int]:
        """Return the sizes of the batches in which a population is computed fastest.

        Parameters
        ----------
        members : int
        nbytes : int
            Size of the parameters of one member, in bytes.

        Returns
        -------
        list of int
            They add up to ``members``.
        """
        del nbytes
        return [members]

    def slice_rows(self, row_bytes: int) -> int:
        """Return the number of samples that a network without gradients computes fastest at once.

        Parameters
        ----------
        row_bytes : int
            Memory of the arrays of one sample.

        Returns
        -------
        int
            On a CPU 1,024. On a device with memory of its own 32,768, or the largest power of two
            whose arrays take at most 1 GiB and a quarter of the free memory.
        """
        memory = self.memory()
        if memory is None:
            return CPU_ROWS
        most = int(min(DEVICE_BYTES, DEVICE_SHARE * memory.free) // max(1, row_bytes))
        return 1 << max(0, min(most, DEVICE_ROWS).bit_length() - 1)

    def together(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Run independent computations; return their results in order."""
        return [task() for task in tasks]

    def context(self) -> AbstractContextManager[Any]:
        """Return the context in which this library's operations must run."""
        return nullcontext()

    def synchronize(self) -> None:
        """Wait until the device has finished all submitted work."""

    def memory(self) -> Memory | None:
        """Return the device's free and total memory, or None if it is unknown."""
        return None

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether an exception of this library means that memory is exhausted."""
        return isinstance(error, MemoryError)

    def describe(self) -> dict[str, str]:
        """Return what this backend is, as text.

        Returns
        -------
        dict
            ``name``, ``version`` of the library, ``device``, ``dtype``, ``precision`` (``"full"``
            or the type that products are reduced to), ``reason`` for the choice, and how a
            ``loop`` runs: ``"eager"``, ``"recorded"`` (NumPy), ``"compiled"`` (JAX), or
            ``"graph: …"`` with the numbers of captures and replays so far, or ``"eager: …"`` with
            the reason why a capture failed. On the CPU also ``threads``, the maximum number of
            threads of a product; and ``advice`` if a setting would make it faster.
        """
        threads = self._threads()
        return {
            "name": self.name,
            "version": str(getattr(self.xp, "__version__", "unknown")),
            "device": self.device_name(),
            "dtype": self.dtype,
            "precision": self.precision or "full",
            "loop": "eager",
            "reason": self.reason,
        } | ({} if threads is None else {"threads": str(threads)})

    def _threads(self) -> int | None:
        """Return the maximum number of threads of a product, None if not on the CPU."""
        return None

    def device_name(self) -> str:
        """Return the name of the device: ``cpu``, ``cuda:1``, ``mps``."""
        return "cpu" if self.device is None else str(self.device)


@dataclass(frozen=True)
class StandardBackend(Backend):
    """Any other library of the array API standard, with the portable bodies only.

    Its arrays name their namespace by ``__array_namespace__``.
    """

    name: ClassVar[str] = "standard"

    def to_host(self, array: Array) -> np.ndarray:
        """Return a NumPy array with the same content; waits for the device."""
        return np.from_dlpack(array, device="cpu", copy=True)  # type: ignore[arg-type]


def device_index(device: str | None) -> int:
    """Return N of ``cuda:N``, or 0 without a number."""
    return int((device or "").partition(":")[2] or 0)


def extend(namespace: Any, name: str, **functions: Any) -> ModuleType:
    """Return a copy of an array API namespace with some functions replaced.

    Parameters
    ----------
    namespace : module
        One of array_api_compat's.
    name : str
        The name of the copy.
    **functions
        The replacements, and ``__version__``.
    """
    copy = ModuleType(name, namespace.__doc__)
    public = {key: value for key, value in vars(namespace).items() if key[:1] != "_"}
    vars(copy).update({**public, "isdtype": namespace.isdtype, **functions})
    return copy


def _restore(name: str, device: str, dtype: str, precision: str | None) -> Backend:
    """Make an unpickled backend: on the library's CPU if the device is missing, else NumPy's."""
    from anynet.backends.select import find_backend, get_backend

    found = find_backend(name, device, dtype, precision)
    return get_backend("numpy", dtype=dtype) if found is None else found
