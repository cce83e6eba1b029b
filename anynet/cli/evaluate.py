"""``anynet evaluate RUN [DATASET]``: score a trained model on a test set, or on a table."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli import kinds, mistakes
from anynet.cli.evaluation import Evaluation, file_names, write_pictures
from anynet.cli.job import load_samples
from anynet.cli.label_report import LabelReport
from anynet.cli.models import (
    AnyModel,
    check_fit,
    classes_of,
    first_of,
    knows_tables,
    open_model,
    preprocessing_in,
)
from anynet.cli.options import (
    STRENGTHS,
    TrainOptions,
    add_data,
    add_json,
    add_model_options,
    add_options,
    add_value,
    given_options,
)
from anynet.cli.recipe import augmentations_of, preprocessed
from anynet.cli.reports import Report, class_report, row_report, warn_of_baseline
from anynet.cli.runs import (
    CONFIG_FILE,
    config_of,
    default_folder,
    model_file,
    name_of,
    new_folder,
    refuse_as_data,
    refuse_existing,
    trained_from,
)
from anynet.cli.terminal import say, say_json, say_text, warn
from anynet.cli.value_report import ValueReport
from anynet.data import dataset_names
from anynet.data.read import read_pairs
from anynet.data.tables import Preprocessing
from anynet.data.tables.load import labelled_rows, rows_to_score
from anynet.errors import InvalidArgumentError
from anynet.training import predict_augmented
from anynet.training.inputs import check_rows

#: What models may predict: classes, several labels a row, values.
TASKS = ("classes", "labels", "values")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Score a model: accuracy beside that of the most frequent class, balanced accuracy, ROC "
        "AUC, log loss, Brier score, calibration error, precision, recall and F1 of each class; of "
        "values R² and errors. --out draws the confusion matrix and a reliability diagram, or the "
        "residuals of values."
    )
    add_model_options(parser)
    add_data(parser, default="that of the run")
    add_options(parser, "data_dir", "header", suppress=False)
    what = (
        "new folder for pictures (default: none are drawn; with --errors "
        "runs/evaluate-DATASET-DATE-TIME)"
    )
    add_value(parser, "--out", kinds.FOLDER, metavar="DIR", help=what)
    what = (
        "number of errors to list and draw, those with the highest probability first; of a table, "
        "their rows are written to errors.csv"
    )
    add_value(parser, "--errors", kinds.whole(1), metavar="N", help=what)
    what = (
        "number of augmented versions of each image whose predictions are averaged, with "
        "--augment (default: 8)"
    )
    add_value(parser, "--times", kinds.whole(1), metavar="N", help=what)
    strengths = (name for name in STRENGTHS if name.startswith("augment"))
    add_options(parser, "augment", *strengths, "seed")
    add_json(parser, "one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the scores of the model on the rows of the test set."""
    if arguments.dataset is None:
        model_file(arguments.model)  # its errors come first
        vars(arguments).update(_data_of(arguments.model))
    dataset, out = arguments.dataset, arguments.out
    if out is not None:
        refuse_existing(out)
    model = open_model(arguments, Path(dataset), tasks=TASKS)
    refuse_as_data(dataset)
    if knows_tables(model):
        found = _score_table(model, arguments)
    elif first_of(model).loss.task == "classes":
        found = _score(model, arguments)
    else:
        found = _score_arrays(model, arguments)
    worst, n_wrong = found.report.mistakes(arguments.errors) if arguments.errors else ([], None)
    drawn: list[str] = []
    if out is not None or worst:
        folder = out or default_folder(f"evaluate-{name_of(dataset)}")
        with new_folder(folder, numbered=out is None) as new:
            write_pictures(new.scratch, found, worst, n_wrong)
            drawn = file_names(new.scratch)
        out = folder.with_name(new.path.name)
    report, listed = found.report, found.located(worst)
    if arguments.json:
        scored = {"scored": found.what} if knows_tables(model) else {}
        errors = {"errors": [one.as_json() for one in listed]} if arguments.errors else {}
        files = {"out": str(out), "files": drawn} if drawn else {}
        say_json({"dataset": found.name, **scored, **report.as_json(), **errors, **files})
    else:
        metric = "R²" if isinstance(report, ValueReport) else "accuracy"
        rows = f"{len(report.true)} {found.what}"
        say(f"{found.name}: {metric} {report.score:.4f} on {rows}", "")
        say_text(report.as_text())
        if arguments.errors:
            say("")
            say_text(mistakes.as_text(listed, n_wrong))
        if drawn:
            say("", f"{out}: {', '.join(drawn)}")
    warn_of_baseline(report, model)
    return 0


def _data_of(run: Path) -> dict[str, Any]:
    """Return the arguments that name the data of a run: a table of test rows, if it has one.

    Raises
    ------
    InvalidArgumentError
        If there is no config.toml beside the model that names them.
    """
    options = config_of(run)
    if not options.get("dataset"):
        message = f"name a DATASET: there is no {CONFIG_FILE} beside {run} that names one"
        raise InvalidArgumentError(message)
    test = options.get("test")
    dataset = str(test) if isinstance(test, Path) else options["dataset"]
    return {"dataset": dataset, "header": options.get("header", True)}


def _score(model: AnyModel, arguments: argparse.Namespace) -> Evaluation:
    """Score a model of classes on the test set of samples."""
    data_dir = arguments.data_dir or trained_from(arguments.model, arguments.dataset)
    dataset = load_samples(arguments.dataset, data_dir)
    check_fit(model, dataset)
    shown, dataset = dataset, preprocessed(dataset, preprocessing_in(model))
    x, y = dataset.test
    options = TrainOptions(**given_options(arguments))
    augmentations = augmentations_of(options, dataset)
    if augmentations:  # the mean over augmented versions of each row
        mean = predict_augmented(
            model,
            x,
            augmentations,
            times=arguments.times or 8,
            seed=options.seed,
            image_shape=dataset.image_shape,
        )
        report = Report.of(y, np.argmax(mean, axis=1), dataset.classes, mean)
    elif arguments.times is not None:
        message = "--times is the number of augmented versions of each image: add --augment"
        raise InvalidArgumentError(message)
    else:
        report = class_report(model, x, y, dataset.classes)
    return Evaluation(dataset.name, "test rows", report, images=shown)


def _score_table(model: AnyModel, arguments: argparse.Namespace) -> Evaluation:
    """Score a model of a table; of the table that it was trained on, on the rows held out."""
    preprocessing = Preprocessing.of(model)
    table, what = rows_to_score(model, arguments.dataset, header=arguments.header)
    (x, y), notes = labelled_rows(preprocessing, table)
    for note in notes:
        warn(note)
    report = row_report(model, x, y, preprocessing)
    _, absent = preprocessing.labels(table)
    name = Path(arguments.dataset).stem
    return Evaluation(name, what, report, table=table.take(~absent))


def _score_arrays(model: AnyModel, arguments: argparse.Namespace) -> Evaluation:
    """Score a model of labels or of one value, trained in Python, on the arrays of a file.

    Raises
    ------
    InvalidArgumentError
        If the data set has classes, or the model predicts several values.
    """
    first, dataset = first_of(model), arguments.dataset
    task = first.loss.task
    several = task == "values" and first.network.n_outputs > 1
    if dataset in dataset_names() or several:
        what = f"{first.network.n_outputs} values" if several else task
        message = (
            f"the model predicts {what}: expected a model of classes, of labels or of one value, "
            f"and for the latter two a file of arrays, got {dataset}"
        )
        raise InvalidArgumentError(message)
    name, train, test = read_pairs(Path(dataset).expanduser())
    x, y = train if test is None else test
    x = x.reshape(len(x), -1)
    rows = check_rows((x, y), first.network, first.loss, first.backend, name)
    true, likely = np.asarray(rows.y), np.asarray(model.predict_mean(x), dtype=np.float64)
    report: LabelReport | ValueReport
    if task == "labels":
        report = LabelReport(true > 0.5, likely, classes_of(model))
    else:
        report = ValueReport(np.asarray(true[:, 0], dtype=np.float64), likely[:, 0], "value")
    return Evaluation(name, "rows" if test is None else "test rows", report)
