"""Fetching one file over HTTP: whole and with the right checksum, or not at all."""

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
"""Called with the bytes that came so far, and how many there will be where the server says so."""


def download(
    url: str,
    path: Path,
    md5: str,
    *,
    timeout: float = 30.0,
    progress: Progress | None = None,
    max_bytes: int = 1 << 30,
) -> None:
    """Download a file and put it in place once its checksum is right.

    Parameters
    ----------
    url : str
        An ``http`` or ``https`` address; redirects may lead to no other kind.
    path : Path
        The file to make, in a folder that is made if needed.
    md5 : str
        The published checksum, in hexadecimal.
    timeout : float
        Seconds to wait for the connection, and for each piece of the answer.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_total)`` after each piece; the total may be None.
    max_bytes : int
        A bound on the size: a longer answer is broken off.

    Raises
    ------
    InvalidArgumentError
        When the address is not of ``http`` or ``https``.
    DataError
        When the file cannot be fetched or written, is too long or too short, or has another
        checksum. Nothing is left behind then, nor after Ctrl-C.
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
            came = _receive(response, file, url, progress, max_bytes)
            if came != md5:
                message = (
                    f"{url!r} gave another file than was published: expected the md5 {md5}, "
                    f"came {came}: try again later, or get {path.name!r} elsewhere"
                )
                raise DataError(message)
    except urllib.error.HTTPError as error:
        error.close()  # it is an open response too
        message = f"cannot download {url!r}: the server answers {one_line(error)}"
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
    """Copy a response into a file; return the md5 of what came."""
    digest = hashlib.md5(usedforsecurity=False)
    total = response.length  # None where the server does not say; reading counts it down
    done = 0
    while chunk := response.read(CHUNK):
        done += len(chunk)
        if max(done, total or 0) > max_bytes:
            message = f"{url!r} gives {total or 'too many'} bytes: expected {max_bytes} at most"
            raise DataError(message)
        digest.update(chunk)
        file.write(chunk)
        if progress:
            progress(done, total)
    if total is not None and done < total:
        message = f"{url!r} broke off after {done} of {total} bytes: try again"
        raise DataError(message)
    return digest.hexdigest()


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows HTTP only, so that no redirect leads to FTP or to local files."""
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
