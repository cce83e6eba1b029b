"""The folder of a run's checkpoints: when one is due, which are kept, and its lock."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anynet.checks import check_whole
from anynet.data.files import clear_parts, expanded, quoted, replacing, sync_folder
from anynet.data.locks import locked
from anynet.errors import CheckpointError, InvalidArgumentError
from anynet.log import LOGGER
from anynet.training.checkpoint import container

KEY = "anynet checkpoint"
LOCK_FILE = "lock"
_NAME = "step-{:012d}.safetensors"


def parse_interval(every: Any) -> tuple[int | None, float | None]:
    """Read a number of epochs, ``5``, or of minutes, ``"10min"``.

    Returns
    -------
    epochs : int or None
    seconds : float or None
        One of the two is None.

    Raises
    ------
    InvalidArgumentError
        If ``every`` is neither.
    """
    if isinstance(every, int) and not isinstance(every, bool) and every >= 1:
        return every, None
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?min", every) if isinstance(every, str) else None
    if found is None or not 0 < float(found[1]) < 1e9:
        message = (
            f"every must be a number of epochs, such as 5, or of minutes, such as '10min', got "
            f"{every!r}"
        )
        raise InvalidArgumentError(message)
    return None, 60 * float(found[1])


@dataclass(frozen=True)
class Checkpoints:
    """The folder and the interval of the checkpoints of ``fit``, and how many are kept.

    Parameters
    ----------
    folder : path-like
        Created if it does not exist, and used by one run only. Pass it to ``anynet.resume``.
    every : int or str
        Number of epochs, or of minutes: ``"10min"``, ``"0.5min"``. The time is checked about 20
        times in an epoch.
    keep : int
        Number of checkpoints to keep; older ones are removed.

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented.

    Examples
    --------
    >>> import anynet
    >>> anynet.Checkpoints("runs/long", every="10min").keep
    2
    """

    folder: str | os.PathLike[str]
    every: int | str = 1
    keep: int = 2

    def __post_init__(self) -> None:
        try:
            os.fspath(self.folder)
        except TypeError as error:
            message = f"checkpoint must be the path of a folder, got {self.folder!r}"
            raise InvalidArgumentError(message) from error
        parse_interval(self.every)
        check_whole("keep", self.keep)

    @contextmanager
    def begin(self, *, resumable: bool = False) -> Iterator[CheckpointFolder]:
        """Create the folder, and lock it for a new run.

        Parameters
        ----------
        resumable : bool
            Whether the folder may hold checkpoints, from which the run continues.

        Raises
        ------
        InvalidArgumentError
            If it cannot be written to, is in use, or holds checkpoints or other files already.
        """
        path = expanded(self.folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
            sync_folder(path.parent)
        except OSError as error:
            message = f"cannot make the folder {quoted(path)}: {error.strerror or error}"
            raise InvalidArgumentError(message) from error
        with _held(path):
            folder = CheckpointFolder(path, self.every, self.keep)
            if folder.files():
                if resumable:
                    yield folder
                    return
                message = (
                    f"{quoted(path)} contains checkpoints of an earlier run: continue it with "
                    f"anynet.resume, or choose another folder"
                )
                raise InvalidArgumentError(message)
            if {entry.name for entry in path.iterdir()} != {LOCK_FILE}:
                message = f"{quoted(path)} contains other files: choose an empty folder"
                raise InvalidArgumentError(message)
            yield folder


class CheckpointFolder:
    """A folder that this process has locked. Created by ``Checkpoints.begin`` and ``reopen``.

    Attributes
    ----------
    path : Path
    every, keep
        See ``Checkpoints``.
    """

    def __init__(self, path: Path, every: int | str = 1, keep: int = 2) -> None:
        self.path = path
        self.every = every
        self.keep = keep
        self.written = time.monotonic()

    def files(self) -> list[Path]:
        """Return the paths of the checkpoints, the newest first."""
        return sorted(self.path.glob("step-*.safetensors"), reverse=True)

    def newest(self) -> container.Container:
        """Read the newest undamaged checkpoint; warn of damaged newer ones and rename them.

        Raises
        ------
        CheckpointError
            If there is none, or it has the format of another version.
        """
        damaged: dict[Path, str] = {}
        for path in self.files():
            try:
                found = container.read_container(path, KEY, "checkpoint", checksum=True)
            except container.ContainerError as error:
                damaged[path] = str(error)
                continue
            except container.VersionError as error:
                raise CheckpointError(str(error)) from error
            for bad, message in damaged.items():
                bad.replace(bad.with_suffix(".damaged"))  # otherwise it would count for keep
                warnings.warn(f"{message}; continuing from the one before it", RuntimeWarning, 2)
            return found
        message = f"there is no checkpoint in {quoted(self.path)}"
        raise CheckpointError("; ".join(damaged.values()) or message)

    def write(self, checkpoint: container.Container, step: int) -> None:
        """Write a checkpoint, named by its number of updates, and remove the oldest ones.

        Raises
        ------
        CheckpointError
            If it cannot be written; the earlier ones are untouched.
        InvalidArgumentError
            If JSON cannot represent its metadata.
        """
        data = container.to_bytes(KEY, checkpoint, checksum=True)
        try:
            with replacing(self.path / _NAME.format(step)) as file:
                file.write(data)
            LOGGER.debug("checkpoint of step %d written to %s", step, self.path)
        except (OSError, InvalidArgumentError) as error:
            if not self.path.is_dir():
                message = f"the folder of checkpoints, {quoted(self.path)}, has been removed"
                raise CheckpointError(message) from error
            why = getattr(error, "strerror", None) or error
            message = (
                f"cannot write a checkpoint to {quoted(self.path)}: {why}; the earlier "
                f"checkpoints are complete, and the run can continue from the newest of them"
            )
            raise CheckpointError(message) from error
        for path in self.files()[self.keep :]:
            path.unlink(missing_ok=True)
        self.written = time.monotonic()

    def is_due(self, epoch: int | None = None) -> bool:
        """Whether a checkpoint is due by time, or at the end of an epoch if one is given."""
        epochs, seconds = parse_interval(self.every)
        if seconds is not None:
            return time.monotonic() - self.written >= seconds
        return epoch is not None and epochs is not None and epoch % epochs == 0


def continued(
    checkpoint: CheckpointFolder | Checkpoints | str | os.PathLike[str],
) -> AbstractContextManager[CheckpointFolder]:
    """Lock the folder of a run that begins, or continues from the checkpoints in it."""
    if isinstance(checkpoint, CheckpointFolder):
        return nullcontext(checkpoint)
    if not isinstance(checkpoint, Checkpoints):
        checkpoint = Checkpoints(checkpoint)
    return checkpoint.begin(resumable=True)


@contextmanager
def reopen(path: Path) -> Iterator[CheckpointFolder]:
    """Lock the folder of a run that is resumed.

    Raises
    ------
    CheckpointError
        If there is no such folder.
    InvalidArgumentError
        If it cannot be written to, or is in use.
    """
    if not path.is_dir():
        message = f"there is no folder of checkpoints at {quoted(path)}"
        raise CheckpointError(message)
    with _held(path):
        yield CheckpointFolder(path)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Lock the folder, and remove incomplete files of killed processes."""
    taken = f"{quoted(path)} is in use by another run: wait for it, or choose another folder"
    with locked(path / LOCK_FILE, taken):
        clear_parts(path)
        yield
