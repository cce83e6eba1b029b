"""Fetching published data sets into the cache."""

import tempfile
from pathlib import Path

from anynet.data.archives import extract
from anynet.data.catalogue import CATALOGUE, Source
from anynet.data.digits import MISSING, locate_digits
from anynet.data.digits import NAME as DIGITS
from anynet.data.download import Progress, download
from anynet.data.files import quoted
from anynet.data.locate import cache_folder
from anynet.data.names import find_source
from anynet.data.verify import check_file
from anynet.errors import DataError


def fetch_dataset(name: str, progress: Progress | None = None) -> Path:
    """Download a data set into the cache; files that are there and sound are not fetched again.

    Parameters
    ----------
    name : str
        One of `dataset_names`.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_total)`` while a file comes, from small numbers again
        for the next file; the total is None where the server does not say.

    Returns
    -------
    Path
        The folder of the files.

    Raises
    ------
    InvalidArgumentError
        When the name is not known.
    DataError
        When no mirror gives the right file; the message says what to put where by hand.
    """
    if name == DIGITS:
        if (found := locate_digits()) is None:
            raise DataError(MISSING)
        return found
    source = find_source(name)
    folder = _home(source)
    wanted = [i for i in range(len(source.files)) if check_file(source, i, folder).state != "ok"]
    if wanted and source.archive:
        _fetch_archive(source, source.archive, progress)
    else:
        for i in wanted:
            _fetch(source, source.files[i], source.md5[i], progress, folder)
    return folder


def advice(source: Source) -> str:
    """Say where a user without a connection may put the files of a data set.

    Parameters
    ----------
    source : Source
        The data set.

    Returns
    -------
    str
        The end of an error message.
    """
    origin = f" (from the folder gzip of {source.archive})" if source.archive else ""
    return (
        f"put {', '.join(source.files)}{origin} into a folder {source.name!r}, and give the folder "
        f"above it as --data-dir or in ANYNET_DATA_DIR; the data set {DIGITS!r} needs no files"
    )


def _fetch(source: Source, file: str, md5: str, progress: Progress | None, folder: Path) -> Path:
    """Download one file into a folder, from the first mirror that gives it."""
    path = folder / file
    failures = []
    for mirror in source.mirrors:
        try:
            download(mirror + file, path, md5, progress=progress, max_bytes=source.max_bytes)
        except DataError as error:
            failures.append(str(error))
        else:
            return path
    message = f"{'; '.join(failures)}; {advice(source)}"
    raise DataError(message)


def _fetch_archive(source: Source, archive: str, progress: Progress | None) -> None:
    """Download an archive and take out the files of every data set that shares it."""
    siblings = [other for other in CATALOGUE.values() if other.md5 == source.md5]
    targets = {f"gzip/{file}": _home(other) / file for other in siblings for file in other.files}
    home = _home(source)
    try:
        home.mkdir(parents=True, exist_ok=True)
        # What is extracted is as large; the folder is this process's alone, others may fetch too.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home) as own:
            path = _fetch(source, archive, source.md5[0], progress, Path(own))
            extract(path, targets, source.max_bytes)
    except OSError as error:
        message = f"cannot write to {quoted(home)}: {error.strerror or error}"
        raise DataError(message) from error


def _home(source: Source) -> Path:
    return cache_folder() / source.folders[0]
