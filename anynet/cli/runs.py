"""The run folder: complete, absent, or unfinished with checkpoints.

A folder that holds ``checkpoints`` is unfinished, whatever else is there; one rename removes them
when all other files are written.
"""

import contextlib
import errno
import itertools
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from anynet.cli.config import BEGINNING, EditedConfigError, read_config
from anynet.data import dataset_names
from anynet.data.files import clear_parts, folder_of, replacing, sync_folder
from anynet.errors import DivergedError, InvalidArgumentError, ModelFileError
from anynet.training import Ensemble, Model
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
def kept(model: Model | Ensemble, folder: Path) -> Iterator[None]:
    """Save the model of a run before the block, which writes the other files of the run.

    A folder that has been removed is made again. If the model cannot be saved there, or its file is
    gone when the block ends, it is saved in the temporary directory.

    Raises
    ------
    OSError, InvalidArgumentError
        If it could not be saved in `folder`; a note names the other place, if there is one.
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


def save_elsewhere(model: Model | Ensemble, error: BaseException) -> None:
    """Save a model in the temporary directory, and add a note with its path to `error`."""
    with contextlib.suppress(OSError, InvalidArgumentError):
        place = Path(tempfile.mkdtemp(prefix="anynet-"))
        try:
            model.save(place / MODEL_FILE)
        except BaseException:
            place.rmdir()
            raise
        error.add_note(f"the model was saved as {place / MODEL_FILE} instead")


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole, or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def default_folder(dataset: str, root: Path = Path("runs")) -> Path:
    """Return the path of a new folder: ``runs/DATASET-DATE-TIME``, with a number if it exists."""
    return _unused(root / f"{name_of(dataset)}-{datetime.now():%Y%m%d-%H%M%S}")


def name_of(dataset: str) -> str:
    """Return the stem of a data set's name or path, shortened, as a part of folder names."""
    return Path(dataset).absolute().stem[:LONGEST_NAME].replace("\0", "")


def _unused(folder: Path) -> Path:
    """Return the path itself, or with the first number behind its name that makes it a new one."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([folder], numbered) if not os.path.lexists(path))


@dataclass
class NewFolder:
    """A run folder that is being written.

    Attributes
    ----------
    path : Path
        The run folder; after the block of ``new_folder``, with its number if it has one.
    scratch : Path
        The folder to write to, which is renamed when it is complete.
    numbered : bool
        Whether a number is added to the name of the run folder if that is taken.
    """

    path: Path
    scratch: Path
    numbered: bool

    def settle(self) -> None:
        """Rename the scratch folder; if numbers are allowed, to the first free name.

        Raises
        ------
        InvalidArgumentError
            If the name is taken.
        """
        if os.path.lexists(self.path):
            if not self.numbered:
                message = f"{self.path} was created during training: the run was not written"
                raise InvalidArgumentError(message)
            self.path = _unused(self.path)
        try:
            self.scratch.rename(self.path)
        except OSError as error:
            if not self.numbered or error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            self.settle()  # another process was quicker
        else:
            sync_folder(self.path.parent)

    def keep_model(self, error: BaseException) -> None:
        """Rename the scratch folder for `error`, to which a note with its path is added."""
        with contextlib.suppress(OSError):
            place = _unused(self.path)
            self.scratch.rename(place)
            self.scratch = place
        error.add_note(f"the model is kept in {self.scratch}")


@contextmanager
def new_folder(path: Path, *, numbered: bool = False) -> Iterator[NewFolder]:
    """Make a scratch folder for the block, which becomes the run folder when the block ends.

    It is made beside the run folder, so that a place that cannot be written to is reported before
    training; the last step is one rename. If the block fails, the scratch folder is removed; but if
    it holds a model, it is kept under another name, which a note on the exception names.

    Parameters
    ----------
    path : Path
        The run folder.
    numbered : bool
        Whether a number is added to its name if another process has taken it.

    Raises
    ------
    InvalidArgumentError
        If the folder exists, or the place for it cannot be written to.
    """
    path = path.absolute()
    if not numbered:
        refuse_existing(path)
    name = f".{path.name[:40]}.{secrets.token_hex(8)}.partial"  # no other process has it
    new = NewFolder(path, path.with_name(name), numbered)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(folder_of(path))
            with contextlib.suppress(FileNotFoundError):
                path.lstat()  # which fails for a name that is too long
            new.scratch.mkdir()
        except OSError as error:
            message = f"cannot write the run folder {path}: {error.strerror or error}"
            raise InvalidArgumentError(message) from error
        try:
            yield new
            new.settle()
        except BaseException as error:
            if (new.scratch / MODEL_FILE).is_file():
                new.keep_model(error)
            else:
                shutil.rmtree(new.scratch, ignore_errors=True)
            raise


@contextmanager
def going_on(run: Path, every: int | str | None = None) -> Iterator[CheckpointFolder]:
    """Lock an unfinished run for the block that finishes it; if that fails, it stays unfinished.

    Parameters
    ----------
    run : Path
        The folder of the run.
    every : int or str, optional
        Interval of the checkpoints of a run that begins.

    Raises
    ------
    InvalidArgumentError
        If there is no unfinished run, or another process works on it.
    """
    checkpoints = run / CHECKPOINTS
    clear_done(run)
    if not checkpoints.is_dir():
        what = "the run is finished" if (run / MODEL_FILE).is_file() else "there is no run"
        message = (
            f"{run}: {what}; RUN must be the folder of an unfinished run of anynet train "
            f"--checkpoint-every"
        )
        raise InvalidArgumentError(message)
    held = reopen(checkpoints) if every is None else Checkpoints(checkpoints, every).begin()
    with held as folder:
        clear_parts(run)  # of a process that was killed while it wrote files
        try:
            yield folder
        except (DivergedError, ChangedDataError, EditedConfigError):  # resume would fail again
            raise
        except BaseException as error:
            model = getattr(error, "model", None)
            if isinstance(model, (Model, Ensemble)) and not folder.files():
                save_elsewhere(model, error)  # the checkpoints have been removed
            if checkpoints.is_dir():
                error.add_note(f"anynet resume {run} continues it")
            raise
    if checkpoints.is_dir():
        checkpoints.rename(run / DONE)
    sync_folder(run)  # the files are on disk before the checkpoints are removed
    clear_done(run)


def clear_done(run: Path) -> None:
    """Remove the checkpoints of a finished run, also those that a killed process has left.

    Their folder is renamed to a visible name if it holds other files.
    """
    done = run / DONE
    for path in list(done.iterdir()) if done.is_dir() else []:
        if _OF_CHECKPOINTS.fullmatch(path.name):
            with contextlib.suppress(OSError):  # a folder, or not writable
                path.unlink()
    with contextlib.suppress(OSError):
        if done.is_symlink():
            done.unlink()
        elif any(done.iterdir()):
            done.rename(_unused(run / f"{CHECKPOINTS}-other-files"))
        else:
            done.rmdir()


def is_finished(run: Path) -> bool:
    """Whether `run` is the folder of a finished run."""
    return (run / MODEL_FILE).is_file() and not (run / CHECKPOINTS).is_dir()


def is_run(path: Path) -> bool:
    """Whether a path is a run folder, finished or not, or the file of a model."""
    if path.suffix == ".safetensors":
        return path.is_file()
    return (path / MODEL_FILE).is_file() or (path / CHECKPOINTS).is_dir()


def refuse_as_data(name: str) -> None:
    """Check that a data set is not a configuration, a run or a model.

    Raises
    ------
    InvalidArgumentError
        If it is one; the message names the commands that take it.
    """
    if name in dataset_names():  # a name takes precedence over a path
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
    """Check the order of arguments, of which the first must be a run.

    Raises
    ------
    InvalidArgumentError
        If `run` is not a run, and one of the others is.
    """
    found = [other for other in others if is_run(other) and str(other) not in dataset_names()]
    if found and not is_run(run):
        message = f"the first argument must be RUN, but {run} is not a run: put {found[0]} first"
        raise InvalidArgumentError(message)


def refuse_existing(out: Path, flag: str = "--out") -> None:
    """Check that nothing exists at an output path, which a flag names.

    Raises
    ------
    InvalidArgumentError
        If something does.
    """
    if os.path.lexists(out):
        message = f"{out} exists already: choose another {flag}, or remove it"
        raise InvalidArgumentError(message)


def model_file(run: Path) -> Path:
    """Return the path of the model file, given that path or the folder of a finished run.

    Raises
    ------
    ModelFileError
        If there is no model, or the run is unfinished.
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


def config_of(run: Path) -> dict[str, Any]:
    """Return the options in the config.toml of a run, none if there is no such file."""
    config = (run if run.is_dir() else run.parent) / CONFIG_FILE
    return read_config(config) if config.is_file() else {}


def trained_from(run: Path, dataset: str) -> Path | None:
    """Return the data folder in the config.toml of a run.

    Returns
    -------
    Path or None
        None if the run was trained on another data set or without a data folder, or if the folder
        is gone.
    """
    options = config_of(run)
    folder: Path | None = options.get("data_dir")
    known = options.get("dataset") == dataset and folder is not None and folder.is_dir()
    return folder if known else None
