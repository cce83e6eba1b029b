"""The callback for TensorBoard."""

from __future__ import annotations

import os
import time
from typing import Any

from anynet.callbacks.logger import EpochLogger, figures
from anynet.checks import require
from anynet.data.files import expanded, quoted
from anynet.errors import InvalidArgumentError
from anynet.training.history import EpochRecord

FILES = "events.out.tfevents.*"


class TensorBoardLogger(EpochLogger):
    """Write an event file that TensorBoard shows while the run trains.

    Each figure of ``EpochRecord`` is a scalar at the step of its epoch. Each member of a population
    is a run in a folder of its own, ``member-0`` and so on. ``tensorboard --logdir FOLDER`` shows
    them.

    Parameters
    ----------
    folder : path-like
        Folder of the event files; it is created.
    resume : bool
        See ``EpochLogger``. TensorBoard then ignores the earlier values of epochs that are trained
        again.

    Raises
    ------
    InvalidArgumentError
        If the package ``tensorboard`` is missing, the folder contains event files and is not
        continued, or it cannot be written.

    References
    ----------
    Events are written by ``tensorboard.summary.writer``, as ``torch.utils.tensorboard`` does.
    """

    def __init__(self, folder: str | os.PathLike[str], *, resume: bool = False) -> None:
        super().__init__(resume=resume)
        self.folder = expanded(folder)
        self._writers: dict[int | None, Any] = {}
        _part("summary.writer.event_file_writer")
        if not self.resume and self.folder.is_dir() and any(self.folder.rglob(FILES)):
            message = (
                f"{quoted(self.folder)} contains the events of another run: choose another folder; "
                f"only a run that is resumed continues its log (resume=True)"
            )
            raise InvalidArgumentError(message)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot make the folder {quoted(self.folder)}: {error.strerror or error}"
            raise InvalidArgumentError(message) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_writers": {}}

    def close(self) -> None:
        """Close the event files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _begin(self, member: int | None, epoch: int) -> None:
        folder = self.folder if member is None else self.folder / f"member-{member}"
        make = _part("summary.writer.event_file_writer").EventFileWriter
        self._writers[member] = writer = make(str(folder))
        if self.resume:  # drops the events of this and later steps in earlier files
            log = _part("compat.proto.event_pb2").SessionLog
            writer.add_event(_event(epoch, session_log=log(status=log.START)))

    def _write(self, member: int | None, record: EpochRecord) -> None:
        summary = _part("compat.proto.summary_pb2").Summary
        values = [
            summary.Value(tag=name, simple_value=value) for name, value in figures(record).items()
        ]
        self._writers[member].add_event(_event(record.epoch, summary=summary(value=values)))
        self._writers[member].flush()


def _event(step: int, **content: Any) -> Any:
    event = _part("compat.proto.event_pb2").Event
    return event(wall_time=time.time(), step=step, **content)


def _part(name: str) -> Any:
    """Import a module of the package ``tensorboard``."""
    return require(f"tensorboard.{name}", "TensorBoardLogger", "tensorboard")
