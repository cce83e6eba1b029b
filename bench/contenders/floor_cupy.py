"""The floor in CuPy: ``cupy.matmul`` call by call."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from bench.contenders.floor import Products


class CuPyProducts(Products):
    """Products on the current CUDA device."""

    matmul = staticmethod(cupy.matmul)

    def place(self, array: np.ndarray) -> Any:
        return cupy.asarray(array)

    def synchronize(self) -> None:
        cupy.cuda.Device().synchronize()
