"""The run folder: complete or not there at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from anynet.cli.config import read_config
from anynet.errors import InvalidArgumentError, ModelFileError
from anynet.training.saving import MODEL_FILE

CONFIG_FILE = "config.toml"


def default_folder(dataset: str, root: Path = Path("runs")) -> Path:
    """Name a folder that does not exist yet: ``runs/DATASET-DATE-TIME``, numbered if need be."""
    stem = f"{Path(dataset).absolute().stem}-{datetime.now():%Y%m%d-%H%M%S}"
    folder, count = root / stem, 1
    while os.path.lexists(folder):
        count += 1
        folder = root / f"{stem}-{count}"
    return folder


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a scratch folder that becomes `folder` when the block ends, and is gone if it fails.

    It is made before the block runs, beside `folder`: whether the place can be written to shows
    at once, not after an hour of training, and the last step is one rename.

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
    finally:
        if not done:
            _remove(scratch, parents)


def _remove(scratch: Path, parents: list[Path]) -> None:
    """Take away the scratch folder and those of its parents that were made for it."""
    shutil.rmtree(scratch, ignore_errors=True)
    for parent in parents:  # the innermost comes first
        try:
            parent.rmdir()
        except OSError:  # never made, or another run has moved in
            return


def model_file(run: Path) -> Path:
    """Find the model of a run: `run` is the run's folder, or the model file itself.

    Raises
    ------
    ModelFileError
        There is none.
    """
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
