"""``anynet evaluate RUN DATASET``: score a trained model on a test set, or on a table."""

import argparse
from pathlib import Path

import numpy as np

from anynet.cli import kinds
from anynet.cli.job import load_samples
from anynet.cli.models import AnyModel, check_fit, knows_tables, open_model, preprocessing_in
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
from anynet.cli.reports import Report, ValueReport, class_report, row_report, warn_of_baseline
from anynet.cli.runs import refuse_as_data, trained_from
from anynet.cli.terminal import say, say_json, say_text, warn
from anynet.data.tables import Preprocessing
from anynet.data.tables.load import labelled_rows, rows_to_score
from anynet.errors import InvalidArgumentError
from anynet.training import predict_augmented


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_model_options(parser)
    add_data(parser)
    add_options(parser, "data_dir", "header", suppress=False)
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
    model = open_model(arguments, Path(arguments.dataset))
    refuse_as_data(arguments.dataset)
    name, rows, report = (_score_table if knows_tables(model) else _score)(model, arguments)
    if arguments.json:
        scored = {"scored": rows} if knows_tables(model) else {}
        say_json({"dataset": name, **scored, **report.as_json()})
    else:
        metric = "accuracy" if isinstance(report, Report) else "R²"
        say(f"{name}: {metric} {report.score:.4f} on {len(report.true)} {rows}", "")
        say_text(report.as_text())
    warn_of_baseline(report, model)
    return 0


def _score(model: AnyModel, arguments: argparse.Namespace) -> tuple[str, str, Report]:
    """Return the name of the data set, what its rows are, and the scores on its test set."""
    data_dir = arguments.data_dir or trained_from(arguments.model, arguments.dataset)
    dataset = load_samples(arguments.dataset, data_dir)
    check_fit(model, dataset)
    dataset = preprocessed(dataset, preprocessing_in(model))
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
    return dataset.name, "test rows", report


def _score_table(
    model: AnyModel, arguments: argparse.Namespace
) -> tuple[str, str, Report | ValueReport]:
    """Return the name of a table, what its rows are, and the scores on them.

    Of the table that the model was trained on, the rows are those that were held out.
    """
    preprocessing = Preprocessing.of(model)
    rows, what = rows_to_score(model, arguments.dataset, header=arguments.header)
    (x, y), notes = labelled_rows(preprocessing, rows)
    for note in notes:
        warn(note)
    return Path(arguments.dataset).stem, what, row_report(model, x, y, preprocessing)
