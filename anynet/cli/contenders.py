"""Runs that are compared: their names, their models, and what they predict for their test rows."""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli.job import load_samples
from anynet.cli.models import AnyModel, check_fit, knows_tables, preprocessing_in
from anynet.cli.recipe import preprocessed
from anynet.cli.records import STUDY_FILE, Record
from anynet.cli.runs import is_run
from anynet.cli.terminal import complain
from anynet.data import Dataset, dataset_names
from anynet.data.tables import Preprocessing, is_table, read_table
from anynet.data.tables.load import digest, labelled_rows, rows_to_score
from anynet.data.tables.target import Classes
from anynet.errors import AnynetError, DataError, InvalidArgumentError
from anynet.training import load


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model predicts for its test rows.

    Attributes
    ----------
    key : str
        Equal for the same rows of the same data.
    rows : str
        What the rows are, for messages.
    task : {"classes", "values"}
    true, predicted : ndarray of shape (N,)
        Names of classes or their indices; or values, in the units of the table.
    """

    key: str
    rows: str
    task: str
    true: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True, eq=False)
class Contender:
    """A run among others.

    Attributes
    ----------
    name : str
        The name of its folder or file; with more of the path if others have the same.
    record : Record
    answers : Answers or None
        None if it cannot be scored.
    reason : str
        Why not.
    """

    name: str
    record: Record
    answers: Answers | None
    reason: str = ""


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the runs: those that are given, or those in the only folder that is given.

    Raises
    ------
    InvalidArgumentError
        If there are fewer than two.
    """
    found = list(paths)
    if len(paths) == 1 and paths[0].is_dir() and not is_run(paths[0]):
        inside = sorted(path for path in paths[0].iterdir() if not path.name.startswith("."))
        found = [path for path in inside if is_run(path) and (path.is_dir() or _is_model(path))]
        for path in inside:
            if path not in found and (reason := _reason_to_skip(path)):
                complain(f"{path} skipped: {reason}", "anynet: note: ")
    if len(found) < 2:
        message = (
            f"two or more runs are needed to compare, found {len(found)}: give RUN RUN …, or a "
            f"folder that holds runs"
        )
        raise InvalidArgumentError(message)
    return found


def _reason_to_skip(path: Path) -> str:
    """Return why a folder with results is not a run; "" if it is neither a study nor holds runs."""
    if (path / STUDY_FILE).is_file():
        return f"it is the folder of a study, which anynet compare {path} compares"
    if path.is_dir() and any(map(is_run, path.iterdir())):
        return f"it is a folder of runs, which anynet compare {path} compares"
    return ""


def _is_model(path: Path) -> bool:
    return path.suffix == ".safetensors"


def load_contenders(paths: Sequence[Path], arguments: argparse.Namespace) -> list[Contender]:
    """Read runs, and predict the test rows of each.

    Raises
    ------
    ModelFileError
        If a path is not a run, or is damaged.
    """
    shelf: dict[Any, Dataset] = {}  # runs of a data set share it
    made = []
    for name, path in zip(short_names(paths), paths, strict=True):
        record, answers, reason = Record.read(path), None, ""
        try:
            answers = _answers(record, arguments, shelf)
        except (AnynetError, OSError) as error:
            reason = str(error)
        made.append(Contender(name, record, answers, reason))
    return made


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of paths, as many as distinguish them."""
    parts = [path.absolute().parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({at})" for at, path in enumerate(paths, 1)]


def _answers(record: Record, arguments: argparse.Namespace, shelf: dict[Any, Dataset]) -> Answers:
    """Predict the test rows of a run.

    Raises
    ------
    AnynetError, OSError
        If there are none, or they cannot be read.
    """
    if record.file is None or not record.finished:
        message = "the run is unfinished"
        raise InvalidArgumentError(message)
    model = load(record.file, arguments.backend, arguments.device)
    source = arguments.data or record.dataset
    named = source in dataset_names()
    if source is None or not (named or Path(source).exists()):
        message = "its data are not at hand: name them by --data"
        if arguments.data is not None:
            message = f"--data {source} is neither a file nor the name of a data set"
        raise InvalidArgumentError(message)
    if knows_tables(model):
        if named:
            message = f"the model was trained on a table, and {source} is not a table"
            raise InvalidArgumentError(message)
        return _of_table(model, source, record, arguments)
    data_dir = arguments.data_dir or record.options.get("data-dir")
    place = str(source), str(data_dir)
    if place not in shelf:
        if is_table(source):
            own = record.dataset or "arrays"
            message = f"the model was trained on {own}, and {source} is a table"
            raise InvalidArgumentError(message)
        shelf[place] = load_samples(source, None if data_dir is None else Path(data_dir))
    dataset = shelf[place]
    check_fit(model, dataset)
    arrays = [part for part in dataset.test if isinstance(part, np.ndarray)]
    key = _key(dataset.name, *arrays)
    x, y = preprocessed(dataset, preprocessing_in(model)).test
    rows = f"{len(y):,} test rows of {dataset.name}"
    return Answers(key, rows, "classes", np.asarray(y), np.asarray(model.predict(x)))


def _of_table(
    model: AnyModel, source: str, record: Record, arguments: argparse.Namespace
) -> Answers:
    preprocessing = Preprocessing.of(model)
    target, header = preprocessing.target, bool(record.options.get("header", True))
    own = record.options.get("test")
    if arguments.data is None and isinstance(own, str):  # the path of a table of test rows
        table, what = read_table(own, header=header), "test rows"
        source = own
    else:
        table, what = rows_to_score(model, source, header=header)
    if what.startswith("rows, on which") and arguments.data is None:
        message = "all rows were trained on: name other data by --data"
        raise InvalidArgumentError(message)
    if target.column not in preprocessing.read(table)[0].columns:
        message = f"{source} has no column {target.column!r}, the target of this run"
        raise DataError(message)
    (x, y), _ = labelled_rows(preprocessing, table)
    true, predicted = target.decode(y), target.decode(np.asarray(model.predict(x)))
    task = "classes" if isinstance(target, Classes) else "values"
    key = _key(digest(source), what, target.column, true)
    return Answers(key, f"{len(y):,} {what} of {Path(source).name}", task, true, predicted)


def _key(*parts: Any) -> str:
    """Return a digest of names and arrays."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        whole = np.asarray(part)
        plain = whole.astype(str) if whole.dtype.kind in "OT" else whole
        made.update(f"{plain.dtype} {plain.shape}".encode())
        made.update(np.ascontiguousarray(plain).tobytes())
    return made.hexdigest()
