"""``anynet predict RUN FILE…``: predictions for pictures, or for rows of tables."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli import kinds
from anynet.cli.answers import as_table, class_answers
from anynet.cli.options import add_model_options
from anynet.cli.terminal import complain, say_json, say_text
from anynet.errors import DataError, InvalidArgumentError

#: An answer with a lower probability is marked as uncertain.
CERTAIN = 0.5


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "predict", help="predict classes or values of pictures or of rows of a table"
    )
    add_model_options(parser)
    parser.add_argument(
        "files",
        metavar="FILE",
        type=kinds.path("the path of a file").from_text,
        nargs="+",
        help="pictures as PNG, JPEG, IDX or .npy; or tables, for a model of tables",
    )
    parser.add_argument(
        "--top",
        metavar="K",
        type=kinds.whole(1).from_text,
        default=1,
        help="number of most likely classes to list (default: 1)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=kinds.path("the path of a file").from_text,
        help="CSV file for the predictions of a table; existing files are not overwritten",
    )
    parser.add_argument(
        "--escape-formulas",
        action="store_true",
        help="apostrophe before text in --out that a spreadsheet would compute as a formula "
        "(= + - @ in front); numbers are unchanged",
    )
    parser.add_argument(
        "--json", action="store_true", help="output as a JSON list, and nothing else"
    )
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

    model = open_model(arguments, *arguments.files)
    if knows_tables(model):
        from anynet.cli import tables

        return tables.predict(
            model,
            arguments.files,
            out=arguments.out,
            top=arguments.top,
            as_json=arguments.json,
            escape_formulas=arguments.escape_formulas,
        )
    for flag, given in (("out", arguments.out), ("escape-formulas", arguments.escape_formulas)):
        if given:
            message = f"--{flag} is for models of tables: --json prints the answers for pictures"
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
        say_json(answers)
    elif answered:
        say_text(as_table(answered))
    return code


def unanswered(path: Path, index: int, error: DataError) -> dict[str, Any]:
    """Describe a picture in which nothing can be made out, with the keys of an answer."""
    missing: dict[str, Any] = {"class": None, "probability": None, "top": [], "error": str(error)}
    return {"file": str(path), "index": index, **missing}
