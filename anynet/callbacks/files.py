"""Callbacks that append a line to a file after each epoch."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from abc import abstractmethod
from typing import Any, TypeAlias

from anynet.callbacks.logger import EpochLogger
from anynet.data.files import expanded, is_folder, quoted, reading, replacing
from anynet.errors import InvalidArgumentError
from anynet.training.history import EpochRecord

Row: TypeAlias = dict[str, Any]

MEMBER = "member"


class FileLogger(EpochLogger):
    """Base class of callbacks that append a line to a text file after each epoch.

    The file is opened for each line, which is written as a whole, so that other programs can read
    the file at any time, and an interruption loses no epoch.

    Parameters
    ----------
    path : path-like
        The file. The lines of members of a population begin with the number of the member; if
        several processes train the members, each needs a file of its own.
    resume : bool
        See ``EpochLogger``.

    Raises
    ------
    InvalidArgumentError
        If the file exists and is not empty, unless it is continued; or if it cannot be written, or
        continued because it has another form.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool = False) -> None:
        super().__init__(resume=resume)
        self.path = expanded(path)
        if is_folder(self.path):
            message = f"cannot write {quoted(self.path)}: it is a folder; expected a file"
            raise InvalidArgumentError(message)
        try:
            with self.path.open("ab"):  # reports before training that it cannot be written
                pass
        except OSError as error:
            message = f"cannot write {quoted(self.path)}: {error.strerror or error}"
            raise InvalidArgumentError(message) from error
        if self.resume:
            self._read()
        else:
            self._check_new()

    def _check_new(self) -> None:
        if self.path.stat().st_size:
            message = (
                f"{quoted(self.path)} exists already: choose another file; only a run that is "
                f"resumed continues its log (resume=True)"
            )
            raise InvalidArgumentError(message)

    def _begin(self, member: int | None, epoch: int) -> None:
        """Remove the epochs of a resumed run that will be trained again."""
        if not self.resume:
            if len(self._last) == 1:  # a copy, or another logger, may have begun the file
                self._check_new()
            return
        rows = self._read()
        kept = [row for row in rows if row.get(MEMBER) != member or row["epoch"] < epoch]
        if rows and (MEMBER in rows[0]) != (member is not None):
            which = "of members" if MEMBER in rows[0] else "of a single network"
            message = f"{quoted(self.path)} is the log {which}, and cannot be continued by another"
            raise InvalidArgumentError(message)
        with replacing(self.path) as file:  # also without a last line that is incomplete
            file.write(self._text(kept, header=bool(kept)).encode())

    def _write(self, member: int | None, record: EpochRecord) -> None:
        row = ({} if member is None else {MEMBER: member}) | record._asdict()
        with self.path.open("ab") as file:
            file.write(self._text([row], header=file.tell() == 0).encode())

    def _read(self) -> list[Row]:
        """Read the rows of the file, without a last line that is incomplete.

        Raises
        ------
        InvalidArgumentError
            If it has another form.
        """
        with reading(self.path):
            content = self.path.read_bytes()
        complete = content[: content.rfind(b"\n") + 1]
        columns = list(EpochRecord._fields)
        try:
            rows = self._rows(complete.decode())
            sound = all([*row] in (columns, [MEMBER, *columns]) for row in rows)
            sound = sound and all(type(row["epoch"]) is int for row in rows)
            if not sound or len(rows) == 0 < len(content):
                raise ValueError
        except (ValueError, TypeError, RecursionError, csv.Error) as error:
            what = type(self).__name__
            message = f"{quoted(self.path)} is not a file of {what}: choose another one to write to"
            raise InvalidArgumentError(message) from error
        return rows

    @abstractmethod
    def _text(self, rows: list[Row], *, header: bool) -> str:
        """Return rows as text, after a header if the format has one."""

    @abstractmethod
    def _rows(self, text: str) -> list[Row]:
        """Return the rows of a text; may raise ``ValueError`` or ``TypeError``."""


class CSVLogger(FileLogger):
    """Append a line to a CSV file after each epoch.

    The header has the names of ``EpochRecord``; figures that do not exist are empty.

    Parameters
    ----------
    path, resume
        See ``FileLogger``.

    Raises
    ------
    InvalidArgumentError
        See ``FileLogger``.

    Examples
    --------
    >>> import tempfile
    >>> import anynet
    >>> from anynet.callbacks import CSVLogger
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 16, 10], scale=digits.scale)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = CSVLogger(f"{folder}/epochs.csv")
    ...     model = anynet.fit(network, digits.train, epochs=2, backend="numpy", callbacks=log)
    ...     print(log.path.read_text().splitlines()[0])
    epoch,learning_rate,train_loss,train_score,validation_loss,validation_score,seconds,selection_score
    """

    def _text(self, rows: list[Row], *, header: bool) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if header:
            writer.writerow(rows[0])
        writer.writerows(row.values() for row in rows)
        return text.getvalue()

    def _rows(self, text: str) -> list[Row]:
        rows: list[Row] = []
        for row in csv.DictReader(io.StringIO(text), strict=True):
            whole = {name: int(row[name]) for name in (MEMBER, "epoch") if name in row}
            rows.append(row | whole)
        return rows


class JSONLinesLogger(FileLogger):
    """Append a line with a JSON object to a file after each epoch.

    Its keys are the names of ``EpochRecord``; figures that do not exist are null.

    Parameters
    ----------
    path, resume
        See ``FileLogger``.

    Raises
    ------
    InvalidArgumentError
        See ``FileLogger``.

    Examples
    --------
    >>> import tempfile
    >>> import anynet
    >>> from anynet.callbacks import JSONLinesLogger
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 16, 10], scale=digits.scale)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = JSONLinesLogger(f"{folder}/epochs.jsonl")
    ...     model = anynet.fit(network, digits.train, epochs=2, backend="numpy", callbacks=log)
    ...     print(log.path.read_text()[:32])
    {"epoch": 1, "learning_rate": 0.
    """

    def _text(self, rows: list[Row], *, header: bool) -> str:  # noqa: ARG002
        return "".join(f"{json.dumps(_without_nan(row), allow_nan=False)}\n" for row in rows)

    def _rows(self, text: str) -> list[Row]:
        return [json.loads(line) for line in text.splitlines()]


def _without_nan(row: Row) -> Row:
    """Replace numbers that JSON does not have by None."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
