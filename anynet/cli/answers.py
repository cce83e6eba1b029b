"""The predictions of a model as JSON, CSV or a table for the terminal."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from anynet.cli.terminal import table

#: Spreadsheets compute a cell that begins with one of these; full-width forms count as well.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
#: Signed numbers, whatever separates their digits: ``-1``, ``+1.5e-3``, ``-1,5 %``.
_NUMBER = re.compile(r"[+-][\d., '_]*\d(e[+-]?\d+)? ?%?|[+-](inf|infinity|nan)?", re.IGNORECASE)


def class_answers(
    path: Path,
    likely: Any,
    classes: Sequence[str],
    top: int,
    indices: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """List the likeliest classes of each row, given probabilities (N, classes).

    The rows are numbered from 0, or by `indices`.
    """
    answers = []
    for index, probabilities in zip(indices or range(len(likely)), likely, strict=True):
        order = np.argsort(-probabilities, kind="stable")[:top]
        likeliest = [{"class": classes[i], "probability": float(probabilities[i])} for i in order]
        answers.append({"file": str(path), "index": index, **likeliest[0], "top": likeliest})
    return answers


def value_answers(path: Path, values: Any) -> list[dict[str, Any]]:
    """List the value of each row, given values (N,)."""
    return [
        {"file": str(path), "index": index, "value": float(value)}
        for index, value in enumerate(values)
    ]


def as_table(answers: Sequence[dict[str, Any]]) -> str:
    """Line up the answers under a header; with several likeliest classes, these are numbered.

    A question mark follows the class of an uncertain answer.
    """
    if "value" in answers[0]:
        rows = [["file", "index", "value"]]
        rows += [[each["file"], str(each["index"]), f"{each['value']:.6g}"] for each in answers]
        return table(rows, left=2)
    top = len(answers[0]["top"])
    numbers = [f" {place}" for place in range(1, top + 1)] if top > 1 else [""]
    names = [name + number for number in numbers for name in ("class", "probability")]
    rows = [["file", "index", *names]]
    for answer in answers:
        pairs = [(each["class"], f"{each['probability']:.4f}") for each in answer["top"]]
        if not answer.get("certain", True):
            pairs[0] = (f"{pairs[0][0]}?", pairs[0][1])
        rows.append(
            [answer["file"], str(answer["index"]), *(cell for pair in pairs for cell in pair)]
        )
    return table(rows, left=len(rows[0]))


def as_csv(columns: Sequence[tuple[str, Sequence[Any]]], *, escape_formulas: bool = False) -> str:
    """Write named columns of equal length as CSV, numbers in the shortest form that reads back.

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
    """Put an apostrophe before text that is a formula to a spreadsheet; keep numbers."""
    if not isinstance(value, str) or not _FORMULA.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"
