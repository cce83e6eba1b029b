"""Checkpoint files: safetensors, with everything that is no array as JSON in their metadata."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anynet.data.files import one_line, quoted, replacing
from anynet.errors import CheckpointError
from anynet.training.form import completed

FORMAT = 1
KEY = "anynet checkpoint"
DIGEST = "blake2b"
FLOAT = "$float"  # the key under which JSON holds a float that it has no word for


class Checkpoint(NamedTuple):
    """The content of a checkpoint file, on the host.

    Attributes
    ----------
    arrays : dict of str to ndarray
    content : dict
        JSON-able, but that floats may be infinite or NaN; each is kept to the last bit.
    """

    arrays: dict[str, np.ndarray]
    content: dict[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint that is on disk, whole, when this returns; or not there at all.

    Raises
    ------
    OSError
        If it cannot be written; other files are untouched.
    TypeError, ValueError
        If ``content`` is not what JSON can hold.
    """
    from safetensors.numpy import save

    content = {"format": FORMAT} | checkpoint.content
    text = json.dumps(_encoded(content), allow_nan=False)
    arrays = {name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}
    data = save(arrays, {KEY: text, DIGEST: digest_of(text, arrays)})
    with replacing(path) as file:
        file.write(data)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, and check that each bit is the one that was written.

    Raises
    ------
    DamagedCheckpointError
        If it is not whole, or not a checkpoint.
    CheckpointError
        If another version of anynet wrote it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise DamagedCheckpointError(path, one_line(error)) from error
    text = metadata.get(KEY)
    if text is None:
        raise DamagedCheckpointError(path, "it is a safetensors file, but no checkpoint")
    if metadata.get(DIGEST) != digest_of(text, arrays):
        raise DamagedCheckpointError(path, "its checksum is not that of its content")
    try:
        content = json.loads(text, object_hook=_decoded)
        version = content.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedCheckpointError(path, one_line(error)) from error
    if version != FORMAT:
        message = (
            f"{quoted(path)} has checkpoint format {version!r}, this version of anynet reads "
            f"{FORMAT}: go on with the version that wrote it"
        )
        raise CheckpointError(message)
    return Checkpoint(arrays, completed(content))


class DamagedCheckpointError(CheckpointError):
    """A checkpoint file is not what was written."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{quoted(path)} is damaged or no checkpoint: {why}")


def digest_of(text: str, arrays: dict[str, np.ndarray]) -> str:
    """Return the checksum of a checkpoint's content."""
    code = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        code.update(f"{name} {array.dtype} {array.shape}".encode())
        code.update(array.reshape(-1).view(np.uint8).data)
    return code.hexdigest()


def _encoded(value: Any) -> Any:
    """Put into words what JSON's numbers leave out, and NumPy's scalars into Python's."""
    if isinstance(value, dict):
        return {name: _encoded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    if isinstance(value, np.generic):
        return _encoded(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: repr(value)}
    return value


def _decoded(table: dict[str, Any]) -> Any:
    if table.keys() == {FLOAT} and isinstance(table[FLOAT], str):
        return float(table[FLOAT])
    return table
