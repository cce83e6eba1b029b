"""The contenders: the same job with the functions of each library, one file per library.

Contenders whose library is missing, or that do not support the device, are not listed.
"""

from __future__ import annotations

import importlib.util
from typing import NamedTuple


class Entry(NamedTuple):
    """The location of a contender, the packages that it imports, and its devices."""

    factory: str
    packages: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)


BOTH = ("cpu", "cuda")
FLOOR = "floor"  # prefix of the names of all floors

CONTENDERS = {
    "anynet-numpy": Entry("bench.contenders.anynet_fit:on_numpy"),
    "anynet-cupy": Entry("bench.contenders.anynet_fit:on_cupy", ("cupy",), ("cuda",)),
    "anynet-torch": Entry("bench.contenders.anynet_fit:on_torch", ("torch",), BOTH),
    "anynet-jax": Entry("bench.contenders.anynet_fit:on_jax", ("jax",), BOTH),
    "floor": Entry("bench.contenders.floor:Products"),
    "floor-torch": Entry("bench.contenders.floor_torch:GraphProducts", ("torch",), ("cuda",)),
    "floor-cupy": Entry("bench.contenders.floor_cupy:CuPyProducts", ("cupy",), ("cuda",)),
    "report": Entry("bench.contenders.report:Report"),
    "numpy-loop": Entry("bench.contenders.numpy_loop:Loop"),
    "scikit-learn": Entry("bench.contenders.sklearn_mlp:Classifier", ("sklearn",)),
    "thinc": Entry("bench.contenders.thinc_chain:Chain", ("thinc",)),
    "thinc-blas": Entry("bench.contenders.thinc_chain:without_blis", ("thinc",)),
    "thinc-cupy": Entry("bench.contenders.thinc_chain:Chain", ("thinc", "cupy"), ("cuda",)),
    "skorch": Entry("bench.contenders.skorch_net:Net", ("skorch", "torch"), BOTH),
    "torch": Entry("bench.contenders.torch_loop:Eager", ("torch",), BOTH),
    "torch-compile": Entry("bench.contenders.torch_loop:Compiled", ("torch",), BOTH),
    "torch-graph": Entry("bench.contenders.torch_loop:Graph", ("torch",), ("cuda",)),
    "jax-steps": Entry("bench.contenders.jax_loop:Steps", ("jax",), BOTH),
    "jax-scan": Entry("bench.contenders.jax_loop:Scan", ("jax",), BOTH),
}


def available(device: str) -> list[str]:
    """Return the contenders whose packages are installed and that support the device."""
    return [
        name
        for name, entry in CONTENDERS.items()
        if device in entry.devices
        and all(importlib.util.find_spec(package) is not None for package in entry.packages)
    ]
