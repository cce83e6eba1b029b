"""Download of one file over HTTP: complete and with the right checksum, or not at all."""

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from anynet.data.files import CHUNK, folder_of, one_line, quoted, replacing
from anynet.errors import DataError, InvalidArgumentError

Progress = Callable[[int, int | None], object]
"""Called with the number of bytes received, and the total if the server sends it."""


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
            _opener().open(request, timeout=timeout) as response,
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


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for HTTP only, so that no redirect leads to FTP or to local files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
