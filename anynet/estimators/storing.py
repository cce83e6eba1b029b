"""Parameters and figures of an estimator as JSON, and back: exactly, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from anynet.config import from_config, is_registered, registered, to_config
from anynet.errors import InvalidArgumentError

FAMILIES = ("loss", "optimizer", "schedule", "preset", "encoding")

#: Names of the numeric types that classes in a file may have.
NUMBERS = ("bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
NUMBERS += ("float16", "float32", "float64")


def encode_classes(classes: np.ndarray) -> dict[str, Any]:
    """Return the classes of a classifier as JSON can hold them.

    Raises
    ------
    InvalidArgumentError
        If they are neither numbers nor strings.
    """
    try:
        return {"classes": encode(classes), "dtype": str(classes.dtype)}
    except InvalidArgumentError as error:
        message = (
            f"a model file or another library has numbers and strings as labels, y has "
            f"{classes.dtype}: pickle the estimator, or fit it on y.astype(str)"
        )
        raise InvalidArgumentError(message) from error


def decode_classes(about: Any) -> np.ndarray:
    """Return the classes that ``encode_classes`` was called with."""
    # NumPy would convert a mixture of integer types to float64
    dtype = about["dtype"] if about.get("dtype") in NUMBERS else None
    return np.asarray(about["classes"], dtype=dtype)


def encode(value: Any) -> Any:
    """Return a value as JSON can hold it; NumPy's numbers and arrays as Python's.

    Parameters
    ----------
    value : object
        Plain values, containers of them, or registered losses, optimizers and schedules.

    Raises
    ------
    InvalidArgumentError
        If it is, or contains, something else, such as a function.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        return encode(value.tolist())
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [encode(one) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(one) for one in value]}
    if isinstance(value, dict):  # JSON's keys would all be strings
        return {"dict": [[encode(key), encode(one)] for key, one in value.items()]}
    family = next((family for family in FAMILIES if is_registered(family, value)), None)
    if family is None:
        message = f"a file without code cannot hold {value!r}"
        raise InvalidArgumentError(message)
    return {"part": to_config(value), "family": family}


def decode(stored: Any) -> Any:
    """Return the value that ``encode`` was called with.

    Raises
    ------
    InvalidArgumentError
        If a part is not registered.
    """
    if isinstance(stored, list):
        return [decode(one) for one in stored]
    if not isinstance(stored, dict):
        return stored
    if "tuple" in stored:
        return tuple(decode(stored["tuple"]))
    if "dict" in stored:
        return {decode(key): decode(one) for key, one in stored["dict"]}
    if "part" in stored:
        return from_config(stored["family"], stored["part"])
    family = next(each for each in FAMILIES if stored["kind"] in registered(each))
    return from_config(family, _as_config(stored))


def _as_config(stored: Any) -> Any:
    """Return the configuration of a part in a file of an earlier version."""
    if not isinstance(stored, dict):
        return stored
    fields = {name: _as_config(value) for name, value in stored["fields"].items()}
    return {"kind": stored["kind"], **fields}
