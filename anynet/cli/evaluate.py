"""``anynet evaluate RUN DATASET``: how well a trained model does on a test set, or on a table."""

import argparse
import json
from typing import Any

from anynet.cli.options import add_model_options, add_options


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate", help="accuracy, precision, recall and confusion matrix on a test set"
    )
    add_model_options(parser)
    parser.add_argument("dataset", metavar="DATASET", help="name, folder, .npz, or table")
    add_options(parser, "data_dir")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the scores of the model on the rows of the test set."""
    from anynet.cli.augmentation import preprocessed
    from anynet.cli.models import check_fit, knows_tables, open_model, preprocessing_in
    from anynet.cli.reports import Report
    from anynet.cli.runs import trained_from
    from anynet.data import load_dataset

    model = open_model(arguments)
    if knows_tables(model):
        from anynet.cli import tables

        return tables.evaluate(model, arguments.dataset, as_json=arguments.json)
    data_dir = arguments.data_dir or trained_from(arguments.model, arguments.dataset)
    dataset = load_dataset(arguments.dataset, data_dir)
    check_fit(model, dataset)
    dataset = preprocessed(dataset, preprocessing_in(model))
    x, y = dataset.test
    report = Report.of(y, model.predict(x), dataset.classes)
    if arguments.json:
        print(json.dumps({"dataset": dataset.name, **report.as_json()}))
    else:
        print(f"{dataset.name}: accuracy {report.accuracy:.4f} on {len(y)} test rows\n")
        print(report.as_text())
    return 0
