"""Downloads: of one file over HTTP, and of published data sets into the cache.

A file is complete and has the right checksum, or nothing is left of it.
"""

import hashlib
import http.client
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, NoReturn

from anynet.data.catalogue import CATALOGUE, DIGITS, NO_DIGITS, Published, find_published
from anynet.data.files import CHUNK, folder_of, one_line, quoted, replacing
from anynet.data.npy import open_zip, zip_member
from anynet.data.published import cache_folder, check_file, locate_digits
from anynet.errors import DataError, InvalidArgumentError

Progress = Callable[[int, int | None], object]
"""Called with the number of bytes received, and the total if the server sends it."""


def fetch_dataset(name: str, progress: Progress | None = None) -> Path:
    """Download a data set into the cache; files that are there and sound are kept.

    Parameters
    ----------
    name : str
        One of `dataset_names`.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_total)`` while a file is received, from 0 again for
        the next file; the total is None if the server does not send it.

    Returns
    -------
    Path
        The folder of the files.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown.
    DataError
        If no mirror provides the right file; the message says which files to provide by hand.
    """
    if name == DIGITS:
        if (found := locate_digits()) is None:
            raise DataError(NO_DIGITS)
        return found
    published = find_published(name)
    folder = _home(published)
    states = [check_file(published, index, folder) for index in range(len(published.files))]
    wanted = [index for index, state in enumerate(states) if state.state != "ok"]
    if wanted and published.archive:
        _fetch_archive(published, published.archive, progress)
    else:
        for index in wanted:
            _fetch(published, published.files[index], published.md5[index], progress, folder)
    return folder


def advice(published: Published) -> str:
    """Return the end of a message: where to put the files of a data set without a connection."""
    origin = f" (from the folder gzip of {published.archive})" if published.archive else ""
    return (
        f"put {', '.join(published.files)}{origin} into a folder {published.name!r}, and give the "
        f"folder above it as data_dir or in ANYNET_DATA_DIR; the data set {DIGITS!r} needs no files"
    )


def _fetch(
    published: Published, file: str, md5: str, progress: Progress | None, folder: Path
) -> Path:
    """Download one file into a folder, from the first mirror that provides it."""
    path = folder / file
    failures = []
    for mirror in published.mirrors:
        try:
            download(mirror + file, path, md5, progress=progress, max_bytes=published.max_bytes)
        except DataError as error:
            failures.append(str(error))
        else:
            return path
    message = f"{'; '.join(failures)}; {advice(published)}"
    raise DataError(message)


def _fetch_archive(published: Published, archive: str, progress: Progress | None) -> None:
    """Download an archive and extract the files of every data set that shares it."""
    sharing = [other for other in CATALOGUE.values() if other.md5 == published.md5]
    targets = {f"gzip/{file}": _home(other) / file for other in sharing for file in other.files}
    home = _home(published)
    try:
        home.mkdir(parents=True, exist_ok=True)
        # The files are as large; the folder belongs to this process, others may download too.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home) as own:
            path = _fetch(published, archive, published.md5[0], progress, Path(own))
            extract(path, targets, published.max_bytes)
    except OSError as error:
        message = f"cannot write to {quoted(home)}: {error.strerror or error}"
        raise DataError(message) from error


def extract(path: Path, targets: Mapping[str, Path], max_bytes: int) -> None:
    """Extract members of a zip archive to files of the caller's choice.

    Parameters
    ----------
    path : Path
        The archive.
    targets : mapping of str to Path
        The file to write for each member. Other members are ignored.
    max_bytes : int
        Maximum size of one member.

    Raises
    ------
    DataError
        If a member is missing, damaged or too large. Nothing is left of it.
    """
    with open_zip(path) as archive:
        for name, target in targets.items():
            info = zip_member(archive, name, path)
            if info.file_size > max_bytes:
                message = (
                    f"{quoted(path)}: the member {name!r} claims {info.file_size} bytes: "
                    f"expected {max_bytes} at most"
                )
                raise DataError(message)
            with folder_of(target), archive.open(info) as content, replacing(target) as file:
                copyfileobj(content, file)


def _home(published: Published) -> Path:
    return cache_folder() / published.folders[0]


def download(
    url: str,
    path: Path,
    md5: str,
    *,
    timeout: float = 30.0,
    progress: Progress | None = None,
    max_bytes: int = 1 << 30,
) -> None:
    """Download a file, which gets its name only when its checksum is right.

    Parameters
    ----------
    url : str
        An ``http`` or ``https`` address; redirects to other kinds are refused.
    path : Path
        The file to write; its folder is created if necessary.
    md5 : str
        The published checksum, in hexadecimal.
    timeout : float
        Seconds to wait for the connection, and for each part of the response.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_total)`` after each part; the total may be None.
    max_bytes : int
        Maximum size of the file; a longer response is aborted.

    Raises
    ------
    InvalidArgumentError
        If the address is not of ``http`` or ``https``.
    DataError
        If the file cannot be downloaded or written, is too long or too short, or has another
        checksum. Then nothing is left on disk, nor after Ctrl-C.
    """
    if not url.startswith(("https://", "http://")):
        message = f"cannot download {url!r}: expected an address of http or https"
        raise InvalidArgumentError(message)
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "anynet"})
        with (
            urllib.request.build_opener(_NoFTP).open(request, timeout=timeout) as response,
            folder_of(path),
            replacing(path) as file,
        ):
            received = _receive(response, file, url, progress, max_bytes)
            if received != md5:
                message = (
                    f"{url!r} is not the published file: expected the md5 {md5}, got {received}: "
                    f"try again later, or get {path.name!r} elsewhere"
                )
                raise DataError(message)
    except urllib.error.HTTPError as error:
        error.close()  # it is an open response too
        message = f"cannot download {url!r}: the server responds {one_line(error)}"
        raise DataError(message) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        message = f"cannot download {url!r} to {quoted(path)}: {one_line(reason)}"
        raise DataError(message) from error


def _receive(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    url: str,
    progress: Progress | None,
    max_bytes: int,
) -> str:
    """Copy a response into a file; return the md5 of its content."""
    digest = hashlib.md5(usedforsecurity=False)
    total = response.length  # None if the server does not send it; reading decreases it
    done = 0
    while chunk := response.read(CHUNK):
        done += len(chunk)
        if max(done, total or 0) > max_bytes:
            message = f"{url!r} gives {total or 'too many'} bytes: expected at most {max_bytes}"
            raise DataError(message)
        digest.update(chunk)
        file.write(chunk)
        if progress:
            progress(done, total)
    if total is not None and done < total:
        message = f"{url!r} ended after {done} of {total} bytes: try again"
        raise DataError(message)
    return digest.hexdigest()


class _NoFTP(urllib.request.FTPHandler):
    """Refuse redirects to FTP; urllib itself refuses those to local files."""

    def ftp_open(self, req: urllib.request.Request) -> NoReturn:
        message = f"unknown url type: {req.type}"
        raise urllib.error.URLError(message)
