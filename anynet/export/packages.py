"""Packages that only a bridge needs: imported when it is crossed."""

from __future__ import annotations

import importlib
from typing import Any

from anynet.errors import BackendError

INSTALL = {"onnx": "onnx", "sklearn": "scikit-learn", "torch": "torch"}


def require(module: str) -> Any:
    """Import a module of a package that may be missing.

    Raises
    ------
    BackendError
        If it is missing or does not import; the message names the command that installs it.
    """
    package = module.partition(".")[0]
    mend = f"pip install {INSTALL[package]}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        message = f"this needs {INSTALL[package]}, which is not installed: {mend}"
        raise BackendError(message) from error
    except Exception as error:  # a broken installation can raise anything on import
        message = f"{INSTALL[package]} is installed but does not import ({error}): {mend}"
        raise BackendError(message) from error
