"""``anynet predict RUN FILE…``: what a trained model says of pictures, or of rows of tables."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli import kinds
from anynet.cli.answers import as_table, class_answers
from anynet.cli.options import add_model_options
from anynet.cli.reports import complain
from anynet.errors import DataError, InvalidArgumentError


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("predict", help="class and probability of pictures, or of rows")
    add_model_options(parser)
    parser.add_argument(
        "files", metavar="FILE", type=Path, nargs="+", help="PNG, JPEG, IDX or .npy; a table"
    )
    parser.add_argument(
        "--top", metavar="K", type=kinds.whole(1).from_text, default=1, help="show the K likeliest"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=kinds.path("the path of a file").from_text,
        help="of a table: write the predictions as CSV; nothing is overwritten",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each picture; a file that cannot be read is named, and the others told."""
    from anynet.augment import preprocess
    from anynet.cli.models import (
        classes_of,
        image_format,
        knows_tables,
        open_model,
        preprocessing_in,
    )

    model = open_model(arguments)
    if knows_tables(model):
        from anynet.cli import tables

        out, top = arguments.out, arguments.top
        return tables.predict(model, arguments.files, out=out, top=top, as_json=arguments.json)
    if arguments.out is not None:
        message = "--out is for models of tables: print the answers for pictures, or use --json"
        raise InvalidArgumentError(message)
    from anynet.cli.pictures import read_rows

    wanted, steps = image_format(model), preprocessing_in(model)
    answers: list[dict[str, Any]] = []
    code = 0
    for path in arguments.files:
        try:
            rows = read_rows(path, model.network.n_inputs, wanted)
            rows = preprocess(rows, steps, wanted.shape if wanted else None)
        except DataError as error:
            complain(str(error))
            code = 1
            continue
        likely = np.asarray(model.predict_proba(rows))
        answers += class_answers(path, likely, classes_of(model), arguments.top)
    if arguments.json:
        print(json.dumps(answers))
    elif answers:
        print(as_table(answers))
    return code
