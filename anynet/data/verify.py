"""Whether the files of a published data set are there, whole, and those that were published."""

import hashlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy.typing as npt

from anynet.data.catalogue import CATALOGUE, Source
from anynet.data.files import CHUNK
from anynet.data.idx import encode_idx, read_idx
from anynet.data.locate import find
from anynet.errors import DataError


class FileState(NamedTuple):
    """What is known of one file of a data set.

    Attributes
    ----------
    file : str
        Its path where it was found, else its published name.
    state : str
        ``ok``, ``absent`` or ``damaged``.
    detail : str
        One line for people: how that is known, or what is wrong.
    """

    file: str
    state: Literal["ok", "absent", "damaged"]
    detail: str


def check_file(source: Source, index: int, folder: Path) -> FileState:
    """Check one file of a data set.

    The published checksum settles it. A file that was compressed anew, or not at all, is judged by
    the checksum of its content where that is known, else by whether it can be read whole.

    Parameters
    ----------
    source : Source
        The data set.
    index : int
        Which of its four files.
    folder : Path
        Where to look for it.

    Returns
    -------
    FileState
        The verdict.
    """
    path = find(folder, source.files[index])
    if path is None:
        return FileState(source.files[index], "absent", "not found")
    try:
        if source.archive is None and md5_of(path) == source.md5[index]:
            return FileState(str(path), "ok", "has the published checksum")
        content = read_idx(path)
    except (DataError, OSError) as error:
        return FileState(str(path), "damaged", str(error))
    shape = f"{content.dtype.name} of shape {content.shape}"
    if source.content_sha256 is None:
        return FileState(str(path), "ok", f"can be read whole: {shape}; no checksum to compare")
    if content_sha256(content) == source.content_sha256[index]:
        return FileState(str(path), "ok", f"has the published content, {shape}")
    return FileState(str(path), "damaged", f"differs from the published content, holds {shape}")


def true_owner(path: Path, labels: npt.NDArray[Any]) -> str | None:
    """Tell which published data set a file of training labels belongs to.

    Three data sets give their files the same names; this is how a mix-up is noticed.

    Parameters
    ----------
    path : Path
        The file.
    labels : ndarray
        Its content.

    Returns
    -------
    str or None
        The name of the data set, None when the checksums know none.
    """
    compressed, content = md5_of(path), content_sha256(labels)
    for source in CATALOGUE.values():
        if source.archive is None and compressed == source.md5[1]:
            return source.name
        if source.content_sha256 is not None and content == source.content_sha256[1]:
            return source.name
    return None


def md5_of(path: Path) -> str:
    """Return the md5 of a file's bytes in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def content_sha256(array: npt.NDArray[Any]) -> str:
    """Return the sha256, in hexadecimal, of the uncompressed IDX file that holds an array."""
    return hashlib.sha256(encode_idx(array)).hexdigest()
