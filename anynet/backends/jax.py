"""JAX: immutable arrays, and an epoch compiled as one ``lax.scan``, on one device or on several."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from anynet import tree
from anynet.backends.groups import Group
from anynet.backends.jax_group import LOCAL
from anynet.backends.portable import (
    Backend,
    Block,
    Loop,
    Memory,
    State,
    Step,
    Tree,
    device_index,
)
from anynet.errors import BackendError, InvalidArgumentError
from anynet.typing import Array

AXIS = "devices"  # of a mesh: along it batches or the members of a population are divided


@dataclass(frozen=True)
class JaxBackend(Backend):
    """JAX arrays on one device, or with equal copies on several.

    On several devices, ``device`` is the sharding of arrays that are copied to each of them. A loop
    then divides each batch among the devices, and XLA inserts the sums over them. If the members
    of a population are divided, see ``divide_members``, each device computes whole batches.
    """

    name: ClassVar[str] = "jax"

    @property
    def devices(self) -> tuple[jax.Device, ...]:
        """The devices, of all processes."""
        if isinstance(self.device, NamedSharding):
            return tuple(self.device.mesh.devices.flat)
        return (self.device,)

    @property
    def parts(self) -> int:
        """The number of devices that divide a batch among themselves."""
        return len(self.devices)

    @property
    def first(self) -> jax.Device:
        """The first of the devices that this process addresses."""
        if len(self.devices) == 1:
            return self.devices[0]
        return next(one for one in self.devices if one.process_index == jax.process_index())

    def to_device(self, array: Any) -> Any:
        """Copy an array to the device, or share its memory on the CPU."""
        _refuse_after_fork()
        if isinstance(array, jax.Array) and not array.is_fully_addressable:
            array = array.addressable_data(0)  # the copy of this process
        if self.group.size > 1:  # jax.device_put would compare the arrays of the processes
            array = np.asarray(array)
            return jax.make_array_from_callback(array.shape, self.device, array.__getitem__)
        return jax.device_put(array, self.device)

    def _joined(self, group: Group) -> JaxBackend:
        """Use all devices of all processes, or the first one without a group of JAX."""
        if group.engine != "jax":
            return replace(self, group=group, device=self.first)
        known = jax.local_devices if group is LOCAL else jax.devices
        mesh = Mesh(np.array(known(backend=self.first.platform)), (AXIS,))
        return replace(self, group=group, device=NamedSharding(mesh, PartitionSpec()))

    def beside(self, group: Group) -> JaxBackend:
        """Return this backend on all devices of this process."""
        return self._joined(LOCAL) if group.engine == "jax" else self

    def divide_members(self, arrays: Tree) -> Tree:
        """Divide the leading axis, if the number of members is a multiple of that of devices."""
        sizes = {leaf.shape[0] for leaf in tree.leaves(arrays) if leaf.ndim}
        if len(self.devices) == 1 or any(size % len(self.devices) for size in sizes):
            return arrays
        own = NamedSharding(self.device.mesh, PartitionSpec(AXIS))
        return tree.map(lambda leaf: jax.device_put(leaf, own) if leaf.ndim else leaf, arrays)

    def share(self, size: int, members: int = 1) -> None:
        """Return None: a loop divides the batches among the devices by itself."""

    def all_reduce(self, arrays: Tree) -> Tree:
        """Return the arrays, which are sums over the devices already."""
        return arrays

    def _multiply(self, a: Any, b: Any) -> Any:
        """Multiply float32 in full precision on GPUs too, where JAX's default is TF32."""
        if self.precision in ("bfloat16", "float16"):
            a, b = (x.astype(getattr(jnp, self.precision)) for x in (a, b))
            return jnp.matmul(a, b, preferred_element_type=self.float_dtype)
        precision: Any = None if self.first.platform == "cpu" else jax.lax.Precision.HIGHEST
        if self.precision == "tf32":
            precision = jax.lax.DotAlgorithmPreset.TF32_TF32_F32
        return jnp.matmul(a, b, precision=precision)

    def random_bits(self, seed: Array, *how: Any) -> Array:
        """Draw all bits of a batch on each device, as to exchange their parts takes longer."""
        return self._on_each(super().random_bits(seed, *how), seed)

    def random_halves(self, seed: Array, *how: Any) -> Array:
        """Draw all bits of a batch on each device, as to exchange their parts takes longer."""
        return self._on_each(super().random_halves(seed, *how), seed)

    def _on_each(self, bits: Array, seed: Array) -> Array:
        if seed.ndim > 0 or not isinstance(self.device, NamedSharding):
            return bits
        return jax.lax.with_sharding_constraint(bits, self.device)  # type: ignore[no-any-return]

    def loop(self, step: Step[State]) -> Loop[State]:
        """Return a loop that is compiled as a whole."""
        return CompiledLoop(step, self.device)

    def synchronize(self) -> None:
        """Wait for the device."""
        jax.device_put(0, self.first).block_until_ready()

    def memory(self) -> Memory | None:
        """Return the device's free and total memory, or None if JAX does not report it."""
        statistics = self.first.memory_stats()
        if not statistics or "bytes_limit" not in statistics:
            return None
        total = statistics["bytes_limit"]
        return Memory(total - statistics.get("bytes_in_use", 0), total)

    def stream(self, blocks: Iterator[Block]) -> Generator[Block, None, None]:
        """Copy each block on the host first: JAX may share that memory, and computes later."""
        for block in blocks:
            yield tree.map(lambda leaf: self.to_device(leaf.copy()), block)

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether JAX reports that the device has no memory left."""
        return super().is_out_of_memory(error) or "RESOURCE_EXHAUSTED" in str(error)

    def describe(self) -> dict[str, str]:
        """Return the properties of this backend as text."""
        return super().describe() | {"version": jax.__version__, "loop": "compiled"}

    def _threads(self) -> int | None:
        return _started()[1] if self.first.platform == "cpu" else None

    def device_name(self) -> str:
        """Return ``cpu``, ``cuda:N``, or the platform and number of another device."""
        if self.first.platform == "cpu":
            return "cpu"
        kind = "cuda" if self.first.platform == "gpu" else self.first.platform
        return f"{kind}:{self.first.id}"


class CompiledLoop(Loop[State]):
    """The whole loop as one program, which loops of equal steps share.

    Parameters
    ----------
    step : callable
        See ``Loop``.
    device : jax.Device or NamedSharding
        See ``JaxBackend``.
    """

    def __init__(self, step: Step[State], device: Any) -> None:
        super().__init__(step)
        self.mesh: Mesh | None = device.mesh if isinstance(device, NamedSharding) else None

    def run(self, state: State, order: Array, data: Any) -> Any:
        """Apply the step once for each row; the memory of ``state`` is donated."""
        _refuse_after_fork()
        if self.mesh is None:
            return _scan(self.step, state, order, data)
        members = not all(leaf.is_fully_replicated for leaf in tree.leaves((state, data)))
        return _scan(self.step, state, order, data, self.mesh, members)


@functools.partial(jax.jit, static_argnums=(0, 4, 5), donate_argnums=1)
def _scan(
    step: Step[Any],
    state: Any,
    order: Any,
    data: Any,
    mesh: Mesh | None = None,
    members: bool = False,
) -> Any:
    """Run a step for each row of an order, on one device or a mesh of them.

    The last axis of the order, the samples of a batch, is divided among the devices. XLA pads a
    batch that does not divide, and leaves the padding out of sums. With ``members``, the members of
    the population are divided instead.
    """

    def placed(array: Any, *axes: str | None) -> Any:
        own = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.lax.with_sharding_constraint(array, own)

    def body(carry: Any, rows: Any) -> tuple[Any, None]:
        following = step(carry, rows, data)
        if mesh is not None:
            following = tree.map(
                lambda leaf: placed(leaf, AXIS) if members and leaf.ndim else placed(leaf),
                following,
            )
        return following, None

    if mesh is not None:
        own_orders = (AXIS, None) if order.ndim == 3 else (None,)
        shared = (None,) * (order.ndim - 2)
        order = placed(order, None, *(own_orders if members else (*shared, AXIS)))
    return jax.lax.scan(body, state, order)[0]


@functools.cache
def _started() -> tuple[int, int]:
    """Return the process and the number of threads of JAX.

    The first call comes before JAX starts its threads, which it does once. XLA starts NPROC of
    them, by default one per core; it ignores OMP_NUM_THREADS, which the other libraries use.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        os.environ.setdefault("NPROC", asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return os.getpid(), int(os.environ.get("NPROC") or cores or 1)


def _refuse_after_fork() -> None:
    """Raise in a forked child, where JAX would wait forever for threads of its parent.

    Raises
    ------
    BackendError
        In a forked child of a process that has used JAX.
    """
    if _started()[0] != os.getpid():
        message = (
            "JAX cannot compute in a forked child of a process that has used it: start new "
            "processes (joblib's backend 'loky', multiprocessing.get_context('spawn')), or use JAX "
            "in the children only"
        )
        raise BackendError(message)


def create(device: Any, dtype: str, reason: str, precision: str | None = None) -> JaxBackend:
    """Make the backend.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:N"}, jax.Device or None
        None is JAX's default device.
    dtype, reason, precision : str
        See ``Backend``.

    Raises
    ------
    BackendError
        If JAX does not see that device, 64-bit types are not enabled for float64, or the device
        lacks the precision.
    """
    _refuse_after_fork()
    chosen = jax.local_devices()[0] if device is None else device
    if isinstance(device, str):
        kind, index = device.partition(":")[0], device_index(device)
        try:
            found = jax.local_devices(backend=kind)
        except RuntimeError:
            found = []
        if index >= len(found):
            message = (
                f"JAX has no device {device!r} here (it sees {', '.join(devices())}): for CUDA "
                f"run pip install 'jax[cuda13]', or choose device='cpu'"
            )
            raise BackendError(message)
        chosen = found[index]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns if it truncates
        lacks_dtype = jnp.zeros(1, dtype=dtype).dtype != dtype
    if lacks_dtype:
        message = (
            "JAX computes in float64 only when 64-bit types are enabled: set the environment "
            "variable JAX_ENABLE_X64=1, or call jax.config.update('jax_enable_x64', True) first"
        )
        raise BackendError(message)
    if precision == "tf32" and chosen.platform != "gpu":
        message = f"precision 'tf32' needs a CUDA device, got {chosen.platform}: choose 'bfloat16'"
        raise BackendError(message)
    return JaxBackend(jnp, chosen, dtype, reason, precision)


def devices() -> tuple[str, ...]:
    """Return the names of the devices that JAX can use here."""
    names = [JaxBackend(jnp, device).device_name() for device in jax.local_devices()]
    return tuple(dict.fromkeys([*names, "cpu"]))


def set_threads(count: int) -> None:
    """Set the number of JAX's threads, which is possible before it starts.

    Raises
    ------
    InvalidArgumentError
        If it has started with another number.
    """
    if _started.cache_info().currsize and _started()[1] != count:
        message = (
            f"JAX has started {_started()[1]} threads and cannot change that: set threads before "
            f"its first use, or OMP_NUM_THREADS={count} in the environment"
        )
        raise InvalidArgumentError(message)
