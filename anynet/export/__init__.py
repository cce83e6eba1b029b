"""Exports: a model as an ONNX file, a web page, or a part of scikit-learn or torch, and back.

Each function imports its package when it is called; importing this module imports none of them.
"""

from anynet.export.html import to_html
from anynet.export.onnx import to_onnx
from anynet.export.sklearn import from_sklearn, to_sklearn
from anynet.export.torch import from_torch, save_torch, to_torch, torch_state_dict

__all__ = [
    "from_sklearn",
    "from_torch",
    "save_torch",
    "to_html",
    "to_onnx",
    "to_sklearn",
    "to_torch",
    "torch_state_dict",
]
