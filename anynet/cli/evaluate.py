"""``anynet evaluate RUN DATASET``: how well a trained model does on a test set, or on a table."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anynet.cli import kinds
from anynet.cli.augmentation import STRENGTHS, augmentations_of
from anynet.cli.options import TrainOptions, add_model_options, add_options
from anynet.cli.terminal import say, say_json, say_text
from anynet.errors import InvalidArgumentError

if TYPE_CHECKING:
    from anynet.cli.reports import Report
    from anynet.data import Dataset
    from anynet.training import Model


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate", help="score a model: accuracy, precision, recall and confusion matrix"
    )
    add_model_options(parser)
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="name of a data set, or path of a folder, an .npz file or a table",
    )
    add_options(parser, "data_dir")
    parser.add_argument(
        "--times",
        metavar="N",
        type=kinds.whole(1).from_text,
        help="number of augmented versions of each image whose predictions are averaged, with "
        "--augment (default: 8)",
    )
    strengths = (name for name in STRENGTHS if name.startswith("augment"))
    add_options(parser, "augment", *strengths, "seed", suppress=True)
    parser.add_argument(
        "--json", action="store_true", help="output as one JSON object, and nothing else"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the scores of the model on the rows of the test set."""
    from anynet.cli.augmentation import preprocessed
    from anynet.cli.models import check_fit, knows_tables, open_model, preprocessing_in
    from anynet.cli.runs import refuse_as_data, trained_from
    from anynet.cli.tables import load_or_open, warn_of_baseline

    model = open_model(arguments, Path(arguments.dataset))
    refuse_as_data(arguments.dataset)
    if knows_tables(model):
        from anynet.cli import tables

        return tables.evaluate(model, arguments.dataset, as_json=arguments.json)
    data_dir = arguments.data_dir or trained_from(arguments.model, arguments.dataset)
    dataset = load_or_open(arguments.dataset, data_dir)
    check_fit(model, dataset)
    dataset = preprocessed(dataset, preprocessing_in(model))
    x, y = dataset.test
    report = _report(model, x, y, dataset, arguments)
    if arguments.json:
        say_json({"dataset": dataset.name, **report.as_json()})
    else:
        result = f"{dataset.name}: accuracy {report.accuracy:.4f} on {len(y)} test rows"
        say(result, "")
        say_text(report.as_text())
    warn_of_baseline(report, model)
    return 0


def _report(
    model: "Model", x: Any, y: Any, dataset: "Dataset", arguments: argparse.Namespace
) -> "Report":
    """Compare the classes, by the mean over versions of each row if there are to be any."""
    from anynet.cli.reports import Report
    from anynet.cli.tables import class_report
    from anynet.training import predict_augmented

    names = {each.name for each in fields(TrainOptions)} - {"dataset", "data_dir"}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    augmentations = augmentations_of(TrainOptions(**given), dataset)
    if not augmentations:
        if arguments.times is not None:
            message = "--times counts the versions of each image: add --augment"
            raise InvalidArgumentError(message)
        return class_report(model, x, y, dataset.classes)
    mean = predict_augmented(
        model,
        x,
        augmentations,
        times=arguments.times or 8,
        seed=given.get("seed", 0),
        image_shape=dataset.image_shape,
    )
    return Report.of(y, np.argmax(mean, axis=1), dataset.classes, mean)
