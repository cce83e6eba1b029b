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

#: An answer with a lower probability is marked as uncertain.
CERTAIN = 0.5


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
    """Print an answer for each picture; report those without one, and return 1 if there are any."""
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
            found = read_rows(path, model.network.n_inputs, wanted)
        except DataError as error:
            complain(str(error))
            code = 1
            continue
        indices = [i for i, row in enumerate(found) if not isinstance(row, DataError)]
        of_file = [
            unanswered(path, i, row) for i, row in enumerate(found) if isinstance(row, DataError)
        ]
        if indices:
            rows = np.stack([row for row in found if not isinstance(row, DataError)])
            rows = preprocess(rows, steps, wanted.shape if wanted else None)
            likely = np.asarray(model.predict_proba(rows))
            of_file += class_answers(path, likely, classes_of(model), arguments.top, indices)
        answers += sorted(of_file, key=lambda answer: int(answer["index"]))
    answered = [answer for answer in answers if answer["class"] is not None]
    for answer in answers:
        answer["certain"] = answer["class"] is not None and answer["probability"] >= CERTAIN
        if answer["class"] is None:
            complain(answer["error"])
            code = 1
    if arguments.json:
        print(json.dumps(answers))
    elif answered:
        print(as_table(answered))
    return code


def unanswered(path: Path, index: int, error: DataError) -> dict[str, Any]:
    """Describe a picture in which nothing can be made out, with the keys of an answer."""
    missing: dict[str, Any] = {"class": None, "probability": None, "top": [], "error": str(error)}
    return {"file": str(path), "index": index, **missing}
