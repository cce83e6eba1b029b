"""What the commands do with tables: load, score and predict their rows."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli.answers import as_csv, as_table, class_answers, value_answers
from anynet.cli.baseline import MOST_CLASSES
from anynet.cli.options import DATASET_DEFAULTS, TABLE_DEFAULTS, TrainOptions
from anynet.cli.reports import Report
from anynet.cli.runs import refuse_as_data
from anynet.cli.terminal import complain, say, say_json, say_text
from anynet.cli.values import ValueReport
from anynet.data import Dataset, dataset_names, load_dataset
from anynet.data.download import Progress
from anynet.data.files import replacing
from anynet.data.read import is_too_large, open_dataset
from anynet.data.splits import TEST_FRACTION
from anynet.data.tables import Preprocessing, is_table, load_tabular_dataset, read_table
from anynet.data.tables.load import labelled_rows, rows_to_score
from anynet.data.tables.table import some
from anynet.data.tables.target import Classes, Target
from anynet.errors import InvalidArgumentError
from anynet.training import Model

CLASS_WEIGHT = "class_weight"  # in the metadata of a model that was trained with one

TABLE_OPTIONS = ("target", "task", "columns", "decimal", "thousands", "test")


def defaults_for(values: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults that the data set overrides, given the options that were chosen.

    A default learning rate belongs to the default optimizer, and strengths of augmentations belong
    to the default augmentations: where others are chosen, the general defaults apply. Momentum is
    an option of SGD, and chooses it.
    """
    defaults = table_defaults(values) or DATASET_DEFAULTS.get(values.get("dataset", ""), {})
    dropped: set[str] = set()
    if {"optimizer", "momentum", "nesterov"} & {*values}:
        dropped |= {"optimizer", "learning_rate"}
    if "augment" in values:
        dropped |= {name for name in defaults if name.startswith("augment")}
    return {name: default for name, default in defaults.items() if name not in dropped}


def table_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of tables, if the data set is one."""
    dataset = values.get("dataset", "")
    return TABLE_DEFAULTS if values.get("target") is not None or is_table(dataset) else {}


def load_data(options: TrainOptions, progress: Progress | None = None) -> Dataset:
    """Load the data set that the options name: a table if it has a target.

    Raises
    ------
    InvalidArgumentError
        The options of tables are given for another data set, a table has no target, or the name is
        that of a run or a configuration.
    DataError
        The data are absent, damaged, or nothing can be learnt from them.
    """
    name = options.dataset
    refuse_as_data(name)
    if name in dataset_names() or (options.target is None and not is_table(name)):
        given = [each for each in TABLE_OPTIONS if getattr(options, each) not in (None, ())]
        if given:
            message = f"--{given[0]} is an option of tables, and {name!r} is none"
            raise InvalidArgumentError(message)
        return load_or_open(name, options.data_dir, progress, stream=options.stream)
    if options.stream:
        message = (
            "--stream is for folders of arrays: tables are encoded in memory; those of numbers "
            "alone are streamed from Python, by anynet.open_source"
        )
        raise InvalidArgumentError(message)
    if options.target is None:
        has = some(read_table(name).columns)
        message = f"say which column of {name} to predict, by --target COLUMN: it has {has}"
        raise InvalidArgumentError(message)
    return load_tabular_dataset(
        name,
        options.target,
        task=options.task,
        columns=dict(each.rpartition("=")[::2] for each in options.columns),
        test=options.test or TEST_FRACTION,
        decimal=options.decimal,
        thousands=options.thousands,
    )


def load_or_open(
    name: str, data_dir: Path | None, progress: Progress | None = None, *, stream: bool = False
) -> Dataset:
    """Load a data set, or open it if it is to stay on disk or is too large for anything else."""
    if stream or (name not in dataset_names() and is_too_large(name)):
        return open_dataset(name)
    return load_dataset(name, data_dir, progress=progress)


def score(model: Model, x: Any, y: Any, dataset: Dataset) -> Report | ValueReport:
    """Compare what a model predicts with what is true."""
    if dataset.classes:
        return class_report(model, x, y, dataset.classes)
    assert dataset.preprocessing is not None, "only tables have values"
    return score_rows(model, x, y, dataset.preprocessing)


def class_report(model: Model, x: Any, y: Any, classes: Sequence[str]) -> Report:
    """Compare predicted classes with the true ones."""
    few = len(classes) <= MOST_CLASSES
    return Report.of(y, model.predict(x), classes, model.predict_proba(x) if few else None)


def score_rows(model: Model, x: Any, y: Any, preprocessing: Preprocessing) -> Report | ValueReport:
    """Compare what a model predicts for encoded rows of a table with what is true."""
    target = preprocessing.target
    if isinstance(target, Classes):
        return class_report(model, x, y, target.levels)
    return ValueReport(target.decode(y), target.decode(model.predict(x)), target.column)


def evaluate(model: Model, path: str, *, as_json: bool) -> int:
    """Print the scores of a model on the rows of a table; of its own, on those held out."""
    preprocessing = Preprocessing.of(model)
    rows, what = rows_to_score(model, path)
    (x, y), notes = labelled_rows(preprocessing, rows)
    report = score_rows(model, x, y, preprocessing)
    for note in notes:
        complain(note, "anynet: warning: ")
    name = Path(path).stem
    if as_json:
        say_json({"dataset": name, "scored": what, **report.as_json()})
    else:
        metric = "R²" if isinstance(report, ValueReport) else "accuracy"
        result = f"{name}: {metric} {report.score:.4f} on {len(y)} {what}"
        say(result, "")
        say_text(report.as_text())
    warn_of_baseline(report, model)
    return 0


def warn_of_baseline(report: Report | ValueReport, model: Model) -> None:
    """Warn if a model is no better than one that ignores its inputs."""
    warning = report.warning(weighted=model.metadata.get(CLASS_WEIGHT) is not None)
    if warning:
        complain(warning, "anynet: warning: ")


def predict(
    model: Model,
    paths: Sequence[Path],
    *,
    out: Path | None,
    top: int,
    as_json: bool,
    escape_formulas: bool,
) -> int:
    """Predict the rows of tables: print them, or write them as CSV; all of them or none.

    With `out` and `as_json` the file is written and the JSON list is printed.
    """
    if escape_formulas and out is None:
        message = "--escape-formulas is for the CSV file of --out: add --out FILE"
        raise InvalidArgumentError(message)
    preprocessing = Preprocessing.of(model)
    target = preprocessing.target
    if out is not None:
        refuse_existing(out)
    if top > 1 and not isinstance(target, Classes):
        message = f"--top is for classes, and the model predicts values of {target.column!r}"
        raise InvalidArgumentError(message)
    likely = []
    for path in paths:
        x, notes = preprocessing.encode(read_table(path))
        for note in notes:
            complain(f"{path}: {note}", "anynet: warning: ")
        likely.append(np.asarray(model.predict_mean(x)))
    if out is not None:
        _write(out, paths, likely, target, escape_formulas)
        if not as_json:
            say(f"{out}: {sum(map(len, likely)):,} predictions of {target.column}")
            return 0
    answers = []
    for path, outputs in zip(paths, likely, strict=True):
        if isinstance(target, Classes):
            answers += class_answers(path, outputs, target.levels, top)
        else:
            answers += value_answers(path, target.decode(outputs[:, 0]))
    if as_json:
        say_json(answers)
    else:
        say_text(as_table(answers))
    return 0


def refuse_existing(out: Path) -> None:
    """Refuse to write where something is.

    Raises
    ------
    InvalidArgumentError
        Something is there.
    """
    if os.path.lexists(out):
        message = f"{out} exists already: choose another --out, or remove it"
        raise InvalidArgumentError(message)


def _write(
    out: Path, paths: Sequence[Path], likely: Sequence[Any], target: Target, escape_formulas: bool
) -> None:
    """Write predictions in the order of the rows; with several files, each line names its own."""
    outputs = np.concatenate(likely)
    columns: list[tuple[str, Sequence[Any]]] = []
    if len(paths) > 1:
        files = [str(path) for path, each in zip(paths, likely, strict=True) for _ in each]
        columns.append(("file", files))
    columns.append(("index", [i for each in likely for i in range(len(each))]))
    if isinstance(target, Classes):
        columns.append((target.column, target.decode(outputs.argmax(axis=1)).tolist()))
        for level, column in zip(target.levels, outputs.T, strict=True):
            columns.append((f"probability {level}", list(column)))
    else:
        columns.append((target.column, target.decode(outputs[:, 0]).tolist()))
    with replacing(out, new=True) as file:
        text = as_csv(columns, escape_formulas=escape_formulas)
        file.write(text.encode(errors="backslashreplace"))
        refuse_existing(out)  # it may have come into being meanwhile
