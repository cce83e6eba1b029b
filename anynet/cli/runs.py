"""The run folder: complete or not there at all, or one with checkpoints that says it is unfinished.

A folder that has ``checkpoints`` in it is unfinished, whatever else is there; these are taken away
by one rename when all else is written.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType

from anynet.cli.config import BEGINNING, EditedConfigError, read_config
from anynet.data import dataset_names
from anynet.data.files import clear_parts, sync_folder
from anynet.errors import DivergedError, InvalidArgumentError, ModelFileError
from anynet.training import Model
from anynet.training.checkpoint.folder import LOCK_FILE, CheckpointFolder, Checkpoints, reopen
from anynet.training.checkpoint.resume import ChangedDataError
from anynet.training.model_file import CHECKPOINTS, MODEL_FILE

CONFIG_FILE = "config.toml"
DONE = f".{CHECKPOINTS}.done"
_OF_CHECKPOINTS = re.compile(
    rf"step-\d+\.(safetensors|damaged)|{LOCK_FILE}|{re.escape(BEGINNING)}|\.step-.*\.part"
)
LONGEST_NAME = 50  # characters, of up to 4 bytes; file systems limit names to 255 bytes


@contextmanager
def kept(model: Model, folder: Path) -> Iterator[None]:
    """Save the model of a run for the block that writes its other files; it is never lost.

    If the folder has been removed, it is made again. If that fails, there is no room, or the file
    is gone when the block ends, the model is saved in the temporary directory.

    Raises
    ------
    OSError, InvalidArgumentError
        It could not be saved in `folder`; a note says where it is instead, if anywhere.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        model.save(folder / MODEL_FILE)
        yield
        (folder / MODEL_FILE).stat()
    except BaseException as error:
        if not (folder / MODEL_FILE).is_file():
            save_elsewhere(model, error)
        raise


def save_elsewhere(model: Model, error: BaseException) -> None:
    """Save a model in the temporary directory, and add a note to `error` that says where."""
    with contextlib.suppress(OSError, InvalidArgumentError):
        place = Path(tempfile.mkdtemp(prefix="anynet-"))
        try:
            model.save(place / MODEL_FILE)
        except BaseException:
            place.rmdir()
            raise
        error.add_note(f"the model was saved as {place / MODEL_FILE} instead")


def default_folder(dataset: str, root: Path = Path("runs")) -> Path:
    """Name a folder that does not exist yet: ``runs/DATASET-DATE-TIME``, numbered if need be."""
    return _unused(root / f"{name_of(dataset)}-{datetime.now():%Y%m%d-%H%M%S}")


def name_of(dataset: str) -> str:
    """Return the part of a data set's name or path that names folders: its stem, cut if long."""
    return Path(dataset).absolute().stem[:LONGEST_NAME].replace("\0", "")


def _unused(folder: Path) -> Path:
    """Return the folder itself, or one with a number behind its name, that does not exist yet."""
    found, count = folder, 1
    while os.path.lexists(found):
        count += 1
        found = folder.with_name(f"{folder.name}-{count}")
    return found


class NewFolder:
    """A run folder that does not exist until it is complete. Use ``new_folder``.

    Attributes
    ----------
    path : Path
        The folder; when the block has ended, where it really is.
    """

    def __init__(self, path: Path, *, numbered: bool = False) -> None:
        self.path = path.absolute()
        self.numbered = numbered
        self.scratch = self.path
        self.made: list[Path] = []  # parents, the outermost first

    def __enter__(self) -> Path:
        if os.path.lexists(self.path) and not self.numbered:
            message = f"{self.path} exists already: choose another --out, or remove it"
            raise InvalidArgumentError(message)
        name = f".{self.path.name[:40]}.{secrets.token_hex(8)}.partial"  # no other process has it
        self.scratch = self.path.with_name(name)
        try:
            for parent in reversed(self.path.parents):
                if not os.path.lexists(parent):
                    with contextlib.suppress(FileExistsError):  # another process was quicker
                        parent.mkdir()
                        self.made.append(parent)
            with contextlib.suppress(FileNotFoundError):
                self.path.lstat()  # which fails for a name that is too long
            self.scratch.mkdir()
        except OSError as error:
            self._remove()
            message = f"cannot write the run folder {self.path}: {error.strerror or error}"
            raise InvalidArgumentError(message) from error
        except BaseException:
            self._remove()
            raise
        return self.scratch

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._settle()
                return
        except BaseException as failed:
            self._keep_model(failed)
            raise
        self._keep_model(error)

    def _settle(self) -> None:
        """Give the folder its name; if it is numbered, the first one that is free."""
        while True:
            if os.path.lexists(self.path):
                if not self.numbered:
                    message = (
                        f"{self.path} came into being during training: the run was not written"
                    )
                    raise InvalidArgumentError(message)
                self.path = _unused(self.path)
            try:
                self.scratch.rename(self.path)
            except OSError as error:
                if self.numbered and error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    continue  # another process was quicker
                raise
            sync_folder(self.path.parent)
            return

    def _keep_model(self, error: BaseException) -> None:
        """Rename the folder of a run that failed with a trained model; remove any other."""
        if (self.scratch / MODEL_FILE).is_file():
            with contextlib.suppress(OSError):
                place = _unused(self.path)
                self.scratch.rename(place)
                self.scratch = place
            error.add_note(f"the model is kept in {self.scratch}")
        else:
            self._remove()

    def _remove(self) -> None:
        """Remove the scratch folder and the parents that were made for it, if they are empty."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for parent in reversed(self.made):
            try:
                parent.rmdir()
            except OSError:  # another run has moved in
                return


def new_folder(folder: Path, *, numbered: bool = False) -> NewFolder:
    """Return a context that gives a scratch folder, which becomes `folder` when the block ends.

    It is made before the block runs, beside `folder`: whether the place can be written to shows
    at once, not after an hour of training, and the last step is one rename. If the block fails,
    it is removed; if the model is there already, it is kept, and the exception says where.

    Parameters
    ----------
    folder : Path
    numbered : bool
        Whether a number is added to the name where it is taken, by another process perhaps.

    Raises
    ------
    InvalidArgumentError
        `folder` exists, or the place for it cannot be written to.
    """
    return NewFolder(folder, numbered=numbered)


@contextmanager
def going_on(run: Path, every: int | str | None = None) -> Iterator[CheckpointFolder]:
    """Hold an unfinished run for the block that finishes it; if that fails, it stays unfinished.

    Parameters
    ----------
    run : Path
        Its folder.
    every : int or str, optional
        How often there is to be a checkpoint, for a run that begins.

    Raises
    ------
    InvalidArgumentError
        There is no unfinished run, or another process is at work on it.
    """
    checkpoints = run / CHECKPOINTS
    clear_done(run)
    if not checkpoints.is_dir():
        what = "the run is finished" if (run / MODEL_FILE).is_file() else "there is no run"
        message = (
            f"{run}: {what}; RUN is the folder of a run that anynet train --checkpoint-every has "
            f"begun, and not finished"
        )
        raise InvalidArgumentError(message)
    held = reopen(checkpoints) if every is None else Checkpoints(checkpoints, every).begin()
    with held as folder:
        clear_parts(run)  # of one that was killed while it wrote its files
        try:
            yield folder
        except (DivergedError, ChangedDataError, EditedConfigError):  # resuming would fail again
            raise
        except BaseException as error:
            model = getattr(error, "model", None)
            if isinstance(model, Model) and not folder.files():
                save_elsewhere(model, error)  # the checkpoints have been removed
            if checkpoints.is_dir():
                error.add_note(f"anynet resume {run} goes on")
            raise
    if checkpoints.is_dir():
        checkpoints.rename(run / DONE)
    sync_folder(run)  # before the checkpoints go, it is settled that they are not needed
    clear_done(run)


def clear_done(run: Path) -> None:
    """Remove the checkpoints of a finished run, which one that was killed then has left.

    The folder is removed only if it holds nothing else; other files in it get a visible name.
    """
    done = run / DONE
    for path in list(done.iterdir()) if done.is_dir() else []:
        if _OF_CHECKPOINTS.fullmatch(path.name):
            with contextlib.suppress(OSError):  # it is a folder, or not writable
                path.unlink()
    with contextlib.suppress(OSError):
        if done.is_symlink():
            done.unlink()
        elif any(done.iterdir()):
            done.rename(_unused(run / f"{CHECKPOINTS}-other-files"))
        else:
            done.rmdir()


def is_finished(run: Path) -> bool:
    """Whether `run` is the folder of a run that has come to its end."""
    return (run / MODEL_FILE).is_file() and not (run / CHECKPOINTS).is_dir()


def is_run(path: Path) -> bool:
    """Whether a path is a run folder, finished or not, or the file of a model."""
    if path.suffix == ".safetensors":
        return path.is_file()
    return (path / MODEL_FILE).is_file() or (path / CHECKPOINTS).is_dir()


def refuse_as_data(name: str) -> None:
    """Refuse a configuration, a run or a model in the place of a data set.

    Raises
    ------
    InvalidArgumentError
        It is one; the message names the command that takes it.
    """
    if name in dataset_names():  # which comes before a path of the same spelling
        return
    path = Path(name)
    if is_run(path):
        message = (
            f"{name} is a run, not a data set: --config RUN/{CONFIG_FILE} repeats a run, anynet "
            f"resume RUN continues it, and evaluate and predict take RUN as their first argument"
        )
        raise InvalidArgumentError(message)
    if path.suffix == ".toml" and path.is_file():
        message = f"{name} is a configuration, not a data set: give it as --config {name}"
        raise InvalidArgumentError(message)


def refuse_swapped(run: Path, *others: Path) -> None:
    """Refuse arguments in the wrong order: `run` is no run, and one of the others is.

    Raises
    ------
    InvalidArgumentError
        They are in that order.
    """
    found = [other for other in others if is_run(other) and str(other) not in dataset_names()]
    if found and not is_run(run):
        message = f"the first argument must be RUN, but {run} is not a run: put {found[0]} first"
        raise InvalidArgumentError(message)


def model_file(run: Path) -> Path:
    """Find the model of a run: `run` is the run's folder, or the model file itself.

    Raises
    ------
    ModelFileError
        There is none, or the run is unfinished.
    """
    if (run / CHECKPOINTS).is_dir():
        message = f"the run in {run} is unfinished: anynet resume {run} finishes it"
        raise ModelFileError(message)
    path = run / MODEL_FILE if run.is_dir() else run
    if not path.is_file():
        message = (
            f"there is no model at {path}: RUN is a folder that anynet train wrote, or a model file"
        )
        raise ModelFileError(message)
    return path


def trained_from(run: Path, dataset: str) -> Path | None:
    """Return the data folder that a run read its data set from, as its config.toml has it.

    None for another data set, for a run without a folder of its own, and where the folder is gone.
    """
    config = (run if run.is_dir() else run.parent) / CONFIG_FILE
    if not config.is_file():
        return None
    options = read_config(config)
    folder: Path | None = options.get("data_dir")
    if options.get("dataset") != dataset or folder is None or not folder.is_dir():
        return None
    return folder
