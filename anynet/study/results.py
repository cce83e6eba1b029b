"""The folder of a study: ``results.json`` is its memory, ``results.csv`` the same for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from anynet.data.files import folder_of, one_line, replacing
from anynet.errors import DataError, InvalidArgumentError
from anynet.study.rows import Row, to_csv

FORMAT = "anynet study"
VERSION = 1
FILE = "results.json"


class Results:
    """The finished runs of one study. Use ``Results.open``.

    Attributes
    ----------
    folder : Path
    about : dict
        What makes the study what it is, in types that JSON knows; other folders are refused.
    rows : dict of str to Row
        By key, in the order in which they were finished.
    """

    def __init__(self, folder: Path, about: dict[str, Any], rows: dict[str, Row]) -> None:
        self.folder = folder
        self.about = about
        self.rows = rows

    @classmethod
    @contextmanager
    def open(cls, folder: Path, about: dict[str, Any]) -> Iterator[Results]:
        """Begin or continue a study; nobody else may do so before the block ends.

        Raises
        ------
        InvalidArgumentError
            If the folder is in use, cannot be made, or holds something other than this study.
        DataError
            If its results are damaged. In every case the folder is left as it was.
        """
        existing = os.path.lexists(folder)
        if existing and not folder.is_dir():
            message = f"{folder} is no folder: choose another --out"
            raise InvalidArgumentError(message)
        if existing and any(folder.iterdir()) and not (folder / FILE).is_file():
            message = (
                f"{folder} holds files but no {FILE}, so it is no study's: choose another --out"
            )
            raise InvalidArgumentError(message)
        with ExitStack() as stack:
            try:
                stack.enter_context(folder_of(folder / FILE))
            except OSError as error:
                message = f"cannot write the study folder {folder}: {error.strerror or error}"
                raise InvalidArgumentError(message) from error
            stack.enter_context(_locked(folder))
            rows = _read(folder / FILE, about) if (folder / FILE).exists() else {}
            results = cls(folder, about, rows)
            results.write()
            yield results

    def add(self, rows: Iterable[Row]) -> None:
        """Keep finished runs: on disk when this returns."""
        self.rows.update((row.key, row) for row in rows)
        self.write()

    def write(self) -> None:
        """Write both files, each as a whole or not at all."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "study": self.about,
            "rows": [row.as_json() for row in self.rows.values()],
        }
        with replacing(self.folder / FILE) as file:
            file.write(json.dumps(content, indent=1).encode() + b"\n")
        with replacing(self.folder / "results.csv") as file:
            file.write(to_csv(self.rows.values()).encode(errors="backslashreplace"))


def _read(path: Path, about: dict[str, Any]) -> dict[str, Row]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            message = f"it does not say that its format is {FORMAT!r}"
            raise ValueError(message)
        if content["version"] != VERSION:
            message = f"{path} has version {content['version']!r}, this anynet reads {VERSION}"
            raise DataError(message)
        if not isinstance(content["study"], dict) or not isinstance(content["rows"], list):
            message = "expected a study and its rows"
            raise ValueError(message)
        rows = [Row.from_json(entry) for entry in content["rows"]]
    except (ValueError, KeyError, RecursionError) as error:
        message = (
            f"{path} is damaged or not of anynet study ({one_line(error)}): it was left as it is; "
            f"mend it, or choose another --out"
        )
        raise DataError(message) from error
    _check_same(path, content["study"], about)
    return {row.key: row for row in rows}


def _check_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse another study's folder, naming the first thing that differs."""
    for name in [*wanted, *found]:
        there, here = found.get(name), wanted.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            _check_same(path, there, here)
        elif there != here:
            message = (
                f"{path.parent} holds another study: its {name.replace('_', '-')} is {there!r}, "
                f"not {here!r}; choose another --out"
            )
            raise InvalidArgumentError(message)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder; the system lets go of it even if this process is killed."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock: there it is the user who must not start two
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"{folder} is in use by another study: wait for it, or choose another --out"
            raise InvalidArgumentError(message) from error
        yield
    finally:
        os.close(handle)
