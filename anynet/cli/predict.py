"""``anynet predict RUN FILE…``: what a trained model sees in pictures."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli import kinds
from anynet.cli.options import add_model_options
from anynet.cli.reports import complain, table
from anynet.errors import DataError


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("predict", help="class and probability of pictures")
    add_model_options(parser)
    parser.add_argument(
        "files", metavar="FILE", type=Path, nargs="+", help="PNG, JPEG, IDX or .npy"
    )
    parser.add_argument(
        "--top", metavar="K", type=kinds.whole(1).from_text, default=1, help="show the K likeliest"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each picture; a file that cannot be read is named, and the others told."""
    from anynet.cli.models import classes_of, image_format, open_model
    from anynet.cli.pictures import read_rows

    model = open_model(arguments)
    wanted = image_format(model)
    answers, code = [], 0
    for path in arguments.files:
        try:
            rows = read_rows(path, model.network.n_inputs, wanted)
        except DataError as error:
            complain(str(error))
            code = 1
            continue
        likely = np.asarray(model.predict_proba(rows))
        for index, probabilities in enumerate(likely):
            answers.append(_answer(path, index, probabilities, classes_of(model), arguments.top))
    if arguments.json:
        print(json.dumps(answers))
    elif answers:
        print(_table(answers))
    return code


def _answer(
    path: Path, index: int, probabilities: Any, classes: tuple[str, ...], top: int
) -> dict[str, Any]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    likeliest = [{"class": classes[i], "probability": float(probabilities[i])} for i in order]
    return {"file": str(path), "index": index, **likeliest[0], "top": likeliest}


def _table(answers: list[dict[str, Any]]) -> str:
    """Line up the answers under a header; with several likeliest classes, these are numbered."""
    top = len(answers[0]["top"])
    numbers = [f" {place}" for place in range(1, top + 1)] if top > 1 else [""]
    names = [name + number for number in numbers for name in ("class", "probability")]
    rows = [["file", "index", *names]]
    for answer in answers:
        pairs = [(each["class"], f"{each['probability']:.4f}") for each in answer["top"]]
        rows.append(
            [answer["file"], str(answer["index"]), *(cell for pair in pairs for cell in pair)]
        )
    return table(rows, left=len(rows[0]))
