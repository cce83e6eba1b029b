"""``anynet predict RUN FILE…``: predictions for pictures, or for rows of tables."""

import argparse
import csv
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from anynet.augment import preprocess
from anynet.cli import kinds
from anynet.cli.models import (
    AnyModel,
    classes_of,
    first_of,
    image_format,
    knows_tables,
    open_model,
    preprocessing_in,
)
from anynet.cli.network_inputs import NetworkInputs
from anynet.cli.options import add_json, add_model_options, add_options, add_value
from anynet.cli.runs import refuse_existing
from anynet.cli.terminal import complain, say, say_json, say_text, table, warn
from anynet.data.files import replacing
from anynet.data.tables import Preprocessing, read_table
from anynet.data.tables.target import Classes, Target
from anynet.errors import DataError, InvalidArgumentError

#: First characters of cells that spreadsheets compute, with their full-width forms.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
#: Signed numbers with any separators of digits: ``-1``, ``+1.5e-3``, ``-1,5 %``.
_NUMBER = re.compile(r"[+-][\d., '_]*\d(e[+-]?\d+)? ?%?|[+-](inf|infinity|nan)?", re.IGNORECASE)

#: Probability below which a prediction is marked as uncertain.
CERTAIN = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_model_options(parser)
    add_options(parser, "header", suppress=False)
    what = "pictures as PNG, JPEG, IDX or .npy; or tables, for a model of tables"
    add_value(parser, "files", kinds.FILE, metavar="FILE", nargs="+", help=what)
    what = "number of most likely classes to list (default: 1)"
    add_value(parser, "--top", kinds.whole(1), metavar="K", default=1, help=what)
    what = "CSV file for the predictions of a table; existing files are not overwritten"
    add_value(parser, "--out", kinds.FILE, metavar="FILE", help=what)
    what = (
        "PNG file for the inputs of the network, with the predicted classes, or new folder for one "
        "file each: pictures as they were centred and scaled"
    )
    add_value(
        parser, "--show", kinds.path("the path of a file or folder"), metavar="PATH", help=what
    )
    parser.add_argument(
        "--escape-formulas",
        action="store_true",
        help="apostrophe before text in --out that a spreadsheet would compute as a formula "
        "(= + - @ in front); numbers are unchanged",
    )
    add_json(parser, "a JSON list")


def run(arguments: argparse.Namespace) -> int:
    """Print the predictions; return 1 if there is a picture without one."""
    model = open_model(arguments, *arguments.files)
    if knows_tables(model):
        if arguments.show is not None:
            message = "--show draws pictures, and the model was trained on a table"
            raise InvalidArgumentError(message)
        return _predict_rows(model, arguments)
    for flag, given in (("out", arguments.out), ("escape-formulas", arguments.escape_formulas)):
        if given:
            message = f"--{flag} is for models of tables: --json prints the answers for pictures"
            raise InvalidArgumentError(message)
    return _predict_pictures(model, arguments)


def _predict_pictures(model: AnyModel, arguments: argparse.Namespace) -> int:
    """Print a prediction for each picture, and report those in which nothing can be recognised."""
    from anynet.cli.pictures import read_rows  # needs optional packages

    wanted, steps, classes = image_format(model), preprocessing_in(model), classes_of(model)
    show = None if arguments.show is None else NetworkInputs.of(arguments.show, wanted)
    answers: list[dict[str, Any]] = []
    code = 0
    for path in arguments.files:
        try:
            found: Sequence[Any] = read_rows(path, first_of(model).network.n_inputs, wanted)
        except DataError as error:
            complain(str(error))
            code = 1
            continue
        missing: dict[str, Any] = {"class": None, "probability": None, "top": []}
        of_file: list[dict[str, Any]] = [
            {"file": str(path), "index": i, **missing, "error": str(row), "certain": False}
            for i, row in enumerate(found)
            if isinstance(row, DataError)
        ]
        indices = [i for i, row in enumerate(found) if not isinstance(row, DataError)]
        if indices:
            rows = np.stack([found[i] for i in indices])
            rows = preprocess(rows, steps, wanted.shape if wanted else None)
            likely = np.asarray(model.predict_proba(rows))
            predicted = class_answers(path, likely, classes, arguments.top, indices)
            of_file += [
                {**answer, "certain": answer["probability"] >= CERTAIN} for answer in predicted
            ]
            if show is not None:
                show.add(rows, predicted)
        answers += sorted(of_file, key=lambda answer: int(answer["index"]))
    missed = [answer["error"] for answer in answers if answer["class"] is None]
    for reason in missed:
        complain(reason)
    written = "" if show is None else show.write()
    if arguments.json:
        say_json(answers)
    elif answered := [answer for answer in answers if answer["class"] is not None]:
        say_text(as_table(answered))
        if written:
            say(written)
    return 1 if missed else code


def _predict_rows(model: AnyModel, arguments: argparse.Namespace) -> int:
    """Predict the rows of tables: print them, or write them as CSV; all of them or none.

    With ``--out`` and ``--json`` the file is written and the JSON list is printed.
    """
    paths, out = arguments.files, arguments.out
    if arguments.escape_formulas and out is None:
        message = "--escape-formulas is for the CSV file of --out: add --out FILE"
        raise InvalidArgumentError(message)
    preprocessing = Preprocessing.of(model)
    target = preprocessing.target
    if out is not None:
        refuse_existing(out)
    if arguments.top > 1 and not isinstance(target, Classes):
        message = f"--top is for classes, and the model predicts values of {target.column!r}"
        raise InvalidArgumentError(message)
    likely = []
    for path in paths:
        x, notes = preprocessing.encode(read_table(path, header=arguments.header))
        for note in notes:
            warn(f"{path}: {note}")
        likely.append(np.asarray(model.predict_mean(x)))
    if out is not None:
        _write(out, paths, likely, target, arguments.escape_formulas)
        if not arguments.json:
            say(f"{out}: {sum(map(len, likely)):,} predictions of {target.column}")
            return 0
    answers = []
    for path, outputs in zip(paths, likely, strict=True):
        if isinstance(target, Classes):
            answers += class_answers(path, outputs, target.levels, arguments.top)
        else:
            values = map(float, target.decode(outputs[:, 0]))
            answers += [
                {"file": str(path), "index": i, "value": value} for i, value in enumerate(values)
            ]
    if arguments.json:
        say_json(answers)
    else:
        say_text(as_table(answers))
    return 0


def _write(
    out: Path, paths: Sequence[Path], likely: Sequence[Any], target: Target, escape_formulas: bool
) -> None:
    """Write predictions in the order of the rows; each line of several files names its file."""
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
        refuse_existing(out)  # it may have been created meanwhile


def class_answers(
    path: Path,
    likely: Any,
    classes: Sequence[str],
    top: int,
    indices: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """Return the most likely classes of each row.

    Parameters
    ----------
    path : Path
        The file of the rows.
    likely : array of shape (N, classes)
        Probabilities.
    classes : sequence of str
    top : int
        Number of classes to list for each row.
    indices : sequence of int, optional
        Numbers of the rows; 0 … N−1 by default.
    """
    answers = []
    for index, probabilities in zip(indices or range(len(likely)), likely, strict=True):
        order = np.argsort(-probabilities, kind="stable")[:top]
        likeliest = [{"class": classes[i], "probability": float(probabilities[i])} for i in order]
        answers.append({"file": str(path), "index": index, **likeliest[0], "top": likeliest})
    return answers


def as_table(answers: Sequence[dict[str, Any]]) -> str:
    """Return answers as a table; several classes for a row have numbered columns.

    A question mark follows the class of an uncertain answer.
    """
    if "value" in answers[0]:
        rows = [["file", "index", "value"]]
        rows += [[each["file"], str(each["index"]), f"{each['value']:.6g}"] for each in answers]
        return table(rows, left=2)
    top = len(answers[0]["top"])
    numbers = [f" {rank}" for rank in range(1, top + 1)] if top > 1 else [""]
    names = [name + number for number in numbers for name in ("class", "probability")]
    rows = [["file", "index", *names]]
    for answer in answers:
        cells = [answer["file"], str(answer["index"])]
        for each in answer["top"]:
            cells += [each["class"], f"{each['probability']:.4f}"]
        if not answer.get("certain", True):
            cells[2] += "?"
        rows.append(cells)
    return table(rows, left=len(rows[0]))


def as_csv(columns: Sequence[tuple[str, Sequence[Any]]], *, escape_formulas: bool = False) -> str:
    """Return named columns of equal length as CSV, numbers in the shortest exact form.

    With `escape_formulas`, text that a spreadsheet would compute gets an apostrophe in front.
    """
    if escape_formulas:
        columns = [
            (_as_text_cell(name), [_as_text_cell(value) for value in values])
            for name, values in columns
        ]
    lines: list[str] = []
    # Before Python 3.13, a carriage return in a cell is quoted only if it ends the lines as well.
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*(values for _, values in columns), strict=True))
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


def _as_text_cell(value: Any) -> Any:
    """Put an apostrophe before text that spreadsheets would compute; return numbers unchanged."""
    if not isinstance(value, str) or not _FORMULA.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"
