"""CuPy's array API namespace, without what a CUDA graph cannot hold.

array_api_compat writes ``clip`` and ``sign`` with boolean masks, which make the host wait for the
device, and turns bounds into arrays, which copies them there.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import array_api_compat.cupy as compat
import cupy


def _clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    return cupy.clip(x, min, max)


def _sign(x: Any, /) -> Any:
    return cupy.where(cupy.isnan(x), x, cupy.sign(x))  # cupy.sign alone makes 0 of NaN


xp = ModuleType("anynet.backends.cupy_namespace.xp", "CuPy's array API namespace.")
vars(xp).update({name: value for name, value in vars(compat).items() if name[:1] != "_"})
vars(xp).update(clip=_clip, sign=_sign, __version__=cupy.__version__, isdtype=compat.isdtype)
