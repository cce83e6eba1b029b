"""JAX: immutable arrays, and an epoch compiled as one ``lax.scan``."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from anynet import tree
from anynet.backends.devices import device_index
from anynet.backends.portable import Backend, Block, Loop, Memory, State, Step
from anynet.errors import BackendError, InvalidArgumentError
from anynet.typing import Array


@dataclass(frozen=True)
class JaxBackend(Backend):
    """JAX arrays on one device."""

    name: ClassVar[str] = "jax"

    def to_device(self, array: Any) -> Array:
        _refuse_after_fork()
        result: Array = jax.device_put(array, self.device)
        return result

    def _multiply(self, a: Any, b: Any) -> Array:
        """Keep float32 on GPUs unless asked otherwise: JAX's own default there is TF32."""
        product: Array
        if self.precision in ("bfloat16", "float16"):
            narrow = getattr(jnp, self.precision)
            product = jnp.matmul(
                a.astype(narrow), b.astype(narrow), preferred_element_type=self.float_dtype
            )
        elif self.precision == "tf32":
            product = jnp.matmul(a, b, precision=jax.lax.DotAlgorithmPreset.TF32_TF32_F32)
        elif self.device.platform == "cpu":
            product = jnp.matmul(a, b)
        else:
            product = jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
        return product

    def loop(self, step: Step[State]) -> Loop[State]:
        return CompiledLoop(step)

    def synchronize(self) -> None:
        jax.device_put(0, self.device).block_until_ready()

    def memory(self) -> Memory | None:
        statistics = self.device.memory_stats()
        if not statistics or "bytes_limit" not in statistics:
            return None
        total = statistics["bytes_limit"]
        return Memory(total - statistics.get("bytes_in_use", 0), total)

    def stream(self, blocks: Iterator[Block]) -> Generator[Block, None, None]:
        """Copy each block first: JAX shares aligned memory of the host, and computes later."""
        for block in blocks:
            yield tree.map(lambda leaf: self.to_device(leaf.copy()), block)

    def is_out_of_memory(self, error: Exception) -> bool:
        return super().is_out_of_memory(error) or "RESOURCE_EXHAUSTED" in str(error)

    def describe(self) -> dict[str, str]:
        description = super().describe() | {"version": jax.__version__, "loop": "compiled"}
        cpu = self.device.platform == "cpu"
        return description | ({"threads": str(_started().threads)} if cpu else {})

    def device_name(self) -> str:
        if self.device.platform == "cpu":
            return "cpu"
        kind = "cuda" if self.device.platform == "gpu" else self.device.platform
        return f"{kind}:{self.device.id}"


class CompiledLoop(Loop[State]):
    """The whole loop as one program, which loops of equal steps share."""

    def run(self, state: State, order: Array, data: Any) -> State:
        """Apply the step once for each row; ``state`` is donated: its buffers are reused."""
        _refuse_after_fork()
        result: State = _scan(self.step, state, order, data)
        return result


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _scan(step: Step[Any], state: Any, order: Any, data: Any) -> Any:
    def body(carry: Any, rows: Any) -> tuple[Any, None]:
        return step(carry, rows, data), None

    return jax.lax.scan(body, state, order)[0]


class Start(NamedTuple):
    """Where and how JAX started to compute."""

    process: int
    threads: int  # of the CPU


@functools.cache
def _started() -> Start:
    """Note the start; the first call is made before JAX makes its threads, which it does once.

    XLA takes as many as NPROC says, else one a core. OMP_NUM_THREADS, which all others follow, it
    does not know.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        os.environ.setdefault("NPROC", asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Start(os.getpid(), int(os.environ.get("NPROC") or cores or 1))


def _refuse_after_fork() -> None:
    """JAX's threads do not survive a fork; without them it waits forever.

    Raises
    ------
    BackendError
        In a child of a process that used JAX, where that forked and did not start it anew.
    """
    if _started().process != os.getpid():
        message = (
            "JAX cannot compute in a forked child of a process that has used it: start workers "
            "anew (joblib's backend 'loky', multiprocessing.get_context('spawn')), or use JAX in "
            "the children alone"
        )
        raise BackendError(message)


def create(device: str | None, dtype: str, reason: str, precision: str | None = None) -> JaxBackend:
    """Make the backend; ``device`` may be ``cpu``, ``cuda`` or ``cuda:N``; None is JAX's default.

    Raises
    ------
    BackendError
        If JAX does not see that device, 64-bit types are asked for and not enabled, or the device
        lacks the precision.
    """
    _refuse_after_fork()
    if device is None:
        chosen = jax.local_devices()[0]
    else:
        kind, *_ = device.split(":")
        try:
            found = jax.local_devices(backend=kind)
        except RuntimeError:
            found = []
        index = device_index(device)
        if index >= len(found):
            message = (
                f"JAX has no device {device!r} here (it sees {', '.join(devices())}): for CUDA "
                f"run pip install 'jax[cuda13]', or choose --device cpu"
            )
            raise BackendError(message)
        chosen = found[index]
    if dtype == "float64" and not _has_float64():
        message = (
            "JAX computes in float64 only when 64-bit types are enabled: set the environment "
            "variable JAX_ENABLE_X64=1, or call jax.config.update('jax_enable_x64', True) first"
        )
        raise BackendError(message)
    if precision == "tf32" and chosen.platform != "gpu":
        message = f"precision 'tf32' is of CUDA devices, got {chosen.platform}: choose bfloat16"
        raise BackendError(message)
    return JaxBackend(jnp, chosen, dtype, reason, precision)


def _has_float64() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns that it truncates: the answer asked for here
        return bool(jnp.zeros(1, dtype=np.float64).dtype == np.float64)


def devices() -> tuple[str, ...]:
    """Return the devices that this library can use here."""
    names = [JaxBackend(jnp, device).device_name() for device in jax.local_devices()]
    return tuple(dict.fromkeys([*names, "cpu"]))


def set_threads(count: int) -> None:
    """Let JAX take so many threads, which is possible before it starts.

    Raises
    ------
    InvalidArgumentError
        If it has started with another number.
    """
    started = _started() if _started.cache_info().currsize else None
    if started is not None and started.threads != count:
        message = (
            f"JAX runs with {started.threads} threads, which it cannot change any more: set "
            f"threads before its first use, or OMP_NUM_THREADS={count} in the environment"
        )
        raise InvalidArgumentError(message)
