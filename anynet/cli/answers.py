"""What a model says of each row, for programs (JSON, CSV) and for people (a table)."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli.reports import table


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


def as_csv(columns: Sequence[tuple[str, Sequence[Any]]]) -> str:
    """Write named columns of equal length as CSV, numbers in the shortest form that reads back."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*(values for _, values in columns), strict=True))
    return text.getvalue()
