"""Fusion: the operations of a step as few CUDA kernels.

While a step is captured it runs on ``Lazy`` arrays (``lazy``), whose operations are expressions
(``expressions``). When a value is needed, its expression becomes a program (``fuser``), which is
divided into kernels (``program``), which are written as CUDA sources (``source``). No part of a
step names a fused function: any layer, loss, optimizer or schedule in the array API is fused.
"""

from anynet.backends.fusion.expressions import EXPRESSIONS
from anynet.backends.fusion.fuser import Fuser, Library, active_fuser, recording
from anynet.backends.fusion.lazy import Lazy, value_of

__all__ = ["EXPRESSIONS", "Fuser", "Lazy", "Library", "active_fuser", "recording", "value_of"]
