"""The run folder: complete or not there at all, or one with checkpoints that says it is unfinished.

A folder that has ``checkpoints`` in it is unfinished, whatever else is there; these are taken away
by one rename when all else is written.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from anynet.cli.config import read_config
from anynet.data import dataset_names
from anynet.data.files import sync_folder
from anynet.errors import DivergedError, InvalidArgumentError, ModelFileError
from anynet.training import Model
from anynet.training.checkpoints import CheckpointFolder, Checkpoints, reopen
from anynet.training.resume import ChangedDataError
from anynet.training.saving import CHECKPOINTS, MODEL_FILE

CONFIG_FILE = "config.toml"
DONE = f".{CHECKPOINTS}.done"


def save_model(model: Model, folder: Path) -> None:
    """Save the model of a run; if there is no room for it, among the system's temporary files.

    Raises
    ------
    OSError
        It could not be saved in `folder`; a note says where it is instead, if anywhere.
    """
    try:
        model.save(folder / MODEL_FILE)
    except OSError as error:
        with contextlib.suppress(OSError):
            path = Path(tempfile.mkdtemp(prefix="anynet-")) / MODEL_FILE
            model.save(path)
            error.add_note(f"the model was saved as {path} instead")
        raise


def default_folder(dataset: str, root: Path = Path("runs")) -> Path:
    """Name a folder that does not exist yet: ``runs/DATASET-DATE-TIME``, numbered if need be."""
    return _unused(root / f"{Path(dataset).absolute().stem}-{datetime.now():%Y%m%d-%H%M%S}")


def _unused(folder: Path) -> Path:
    """Return the folder itself, or one with a number behind its name, that does not exist yet."""
    found, count = folder, 1
    while os.path.lexists(found):
        count += 1
        found = folder.with_name(f"{folder.name}-{count}")
    return found


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a scratch folder that becomes `folder` when the block ends, and is gone if it fails.

    It is made before the block runs, beside `folder`: whether the place can be written to shows
    at once, not after an hour of training, and the last step is one rename. If the block fails
    when the model is there already, the folder is kept, and the exception says so.

    Raises
    ------
    InvalidArgumentError
        `folder` exists, or the place for it cannot be written to.
    """
    folder = folder.absolute()
    if os.path.lexists(folder):
        message = f"{folder} exists already: choose another --out, or remove it"
        raise InvalidArgumentError(message)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    parents = [parent for parent in folder.parents if not parent.exists()]
    done = False
    try:
        try:
            scratch.mkdir(parents=True)
        except OSError as error:
            message = f"cannot write the run folder {folder}: {error.strerror or error}"
            raise InvalidArgumentError(message) from error
        yield scratch
        if os.path.lexists(folder):
            message = f"{folder} came into being during training: the run was not written"
            raise InvalidArgumentError(message)
        scratch.rename(folder)
        done = True
    except BaseException as error:
        if (scratch / MODEL_FILE).is_file():
            folder = scratch.rename(_unused(folder))
            done = True
            error.add_note(f"the model is kept in {folder}")
        raise
    finally:
        if not done:
            _remove(scratch, parents)
    sync_folder(folder.parent)


def _remove(scratch: Path, parents: list[Path]) -> None:
    """Take away the scratch folder and those of its parents that were made for it."""
    shutil.rmtree(scratch, ignore_errors=True)
    for parent in parents:  # the innermost comes first
        try:
            parent.rmdir()
        except OSError:  # never made, or another run has moved in
            return


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
        for partial in run.glob(".*.part"):  # of one that was killed while it wrote its files
            partial.unlink(missing_ok=True)
        try:
            yield folder
        except (DivergedError, ChangedDataError):  # resuming would fail again
            raise
        except BaseException as error:
            error.add_note(f"anynet resume {run} goes on")
            raise
    checkpoints.rename(run / DONE)
    sync_folder(run)  # before the checkpoints go, it is settled that they are not needed
    clear_done(run)


def clear_done(run: Path) -> None:
    """Take away the checkpoints of a finished run, which one that was killed then has left."""
    shutil.rmtree(run / DONE, ignore_errors=True)


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
