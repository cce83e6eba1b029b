"""The file format of models and checkpoints: safetensors, with JSON in its metadata. No pickle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anynet.data.files import one_line, quoted, replacing
from anynet.errors import AnynetError, InvalidArgumentError

FORMAT = 1
DIGEST = "blake2b"
LONGEST_JSON = 90_000_000  # bytes; readers of safetensors accept a header of 100 MB
FLOAT = "$float"  # how earlier checkpoints wrote an infinite float or NaN


class Container(NamedTuple):
    """The content of a file, on the host.

    Attributes
    ----------
    arrays : dict of str to ndarray
    content : dict
        Values that JSON can represent; NumPy scalars are read as Python numbers.
    """

    arrays: dict[str, np.ndarray]
    content: dict[str, Any]


class ContainerError(AnynetError):
    """A file is damaged, or has other content than expected."""


class VersionError(AnynetError):
    """A file was written by a version of anynet with another format."""


def to_json(content: dict[str, Any]) -> str:
    """Convert the content of a file to JSON.

    Raises
    ------
    InvalidArgumentError
        If JSON cannot represent the content, or it is too long for a safetensors file.
    """
    try:
        text = json.dumps(content, default=_of_numpy)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"metadata must be what JSON can hold: {error}"
        raise InvalidArgumentError(message) from error
    if len(text) > LONGEST_JSON:
        message = (
            f"metadata takes {len(text)} bytes as JSON: expected at most {LONGEST_JSON}, which "
            f"readers of safetensors accept"
        )
        raise InvalidArgumentError(message)
    return text


def _of_numpy(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    message = f"{type(value).__name__} {value!r}"
    raise TypeError(message)


def to_bytes(key: str, container: Container, *, checksum: bool = False) -> bytes:
    """Return the bytes of a file; without a checksum the same content gives the same bytes.

    Parameters
    ----------
    key : str
        Name of the JSON among the metadata of the file.
    container : Container
    checksum : bool
        Whether to add one beside the JSON; safetensors orders several entries at random.

    Raises
    ------
    InvalidArgumentError
        See ``to_json``.
    """
    from safetensors.numpy import save

    text = to_json({"format": FORMAT} | container.content)
    arrays = {name: np.asarray(array, order="C") for name, array in container.arrays.items()}
    digest = {DIGEST: digest_of(text, arrays)} if checksum else {}
    data: bytes = save(arrays, {key: text, **digest})
    return data


def write_container(path: Path, key: str, container: Container, *, checksum: bool = False) -> None:
    """Write a file under a temporary name, and rename it.

    Raises
    ------
    InvalidArgumentError
        See ``to_json``.
    OSError
        If it cannot be written.
    """
    data = to_bytes(key, container, checksum=checksum)
    with replacing(path) as file:
        file.write(data)


def read_container(path: Path, key: str, what: str, *, checksum: bool = False) -> Container:
    """Read a file, and check its content against its checksum, if it has one.

    Parameters
    ----------
    path : Path
    key : str
        See ``to_bytes``.
    what : str
        What the file should be, for messages.
    checksum : bool
        Whether a file without a checksum is refused.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ContainerError
        If it is damaged or another kind of file.
    VersionError
        If it has the format of another version of anynet.
    """
    from safetensors import SafetensorError, safe_open

    def refused(why: str) -> ContainerError:
        return ContainerError(f"{quoted(path)} cannot be read as a {what}: {why}")

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if key not in metadata:
                why = f"it is a safetensors file, but not a {what} that anynet saved"
                raise refused(why)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise refused(one_line(error)) from error
    expected = metadata.get(DIGEST)
    if (checksum or expected) and expected != digest_of(metadata[key], arrays):
        why = "its checksum does not match its content"
        raise refused(why)
    try:
        content = json.loads(metadata[key], object_hook=_decoded)
        version = content.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"its JSON cannot be read: {one_line(error)}"
        raise refused(why) from error
    if version != FORMAT:
        message = (
            f"{quoted(path)} has {what} format {version!r}, this version of anynet reads {FORMAT}: "
            f"use the version that wrote it"
        )
        raise VersionError(message)
    return Container(arrays, content)


def _decoded(table: dict[str, Any]) -> Any:
    if table.keys() == {FLOAT} and isinstance(table[FLOAT], str):
        return float(table[FLOAT])
    return table


def digest_of(text: str, arrays: dict[str, np.ndarray]) -> str:
    """Return the checksum of the JSON and the arrays of a file."""
    code = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        code.update(f"{name} {array.dtype} {array.shape}".encode())
        code.update(array.reshape(-1).view(np.uint8).data)
    return code.hexdigest()
