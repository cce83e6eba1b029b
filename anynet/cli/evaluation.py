"""The result of ``anynet evaluate``, and its files: pictures, and the rows of errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from anynet.cli.label_report import LabelReport
from anynet.cli.mistakes import Mistake
from anynet.cli.predict import as_csv
from anynet.cli.reports import Report
from anynet.cli.runs import write_text
from anynet.cli.value_report import ValueReport
from anynet.data import Dataset, Source
from anynet.data.tables import Table

AnyReport: TypeAlias = Report | LabelReport | ValueReport


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a model, and the rows that they are of.

    Attributes
    ----------
    name : str
        Name of the data set.
    what : str
        What its rows are.
    report : Report, LabelReport or ValueReport
    images : Dataset or None
        The samples, not preprocessed, if they may be images.
    table : Table or None
        The raw rows of a table.
    """

    name: str
    what: str
    report: AnyReport
    images: Dataset | None = None
    table: Table | None = None

    def located(self, worst: Sequence[Mistake]) -> list[Mistake]:
        """Return mistakes by the lines of their file, if it has lines."""
        lines = None if self.table is None else self.table.lines
        if lines is None:
            return list(worst)
        return [one._replace(row=int(lines[one.row]), place="line") for one in worst]


def write_pictures(
    folder: Path, found: Evaluation, worst: Sequence[Mistake], n_wrong: int | None
) -> None:
    """Draw the scores and the worst predictions; write the latter of a table as CSV."""
    from anynet.cli import evaluation_plots, plots  # need optional packages
    from anynet.cli.artifacts import draw

    report, name = found.report, f"{found.name}, {found.what}"
    if isinstance(report, ValueReport):
        draw(plots.save_predictions, folder / "predicted.png", report, name)
        draw(evaluation_plots.save_residuals, folder / "residuals.png", report, name)
    else:
        if isinstance(report, Report):
            draw(plots.save_confusion, folder / "confusion.png", report, name)
        if report.reliability is not None:
            what = "correct predictions" if isinstance(report, Report) else "labels that are 1"
            path = folder / "reliability.png"
            draw(evaluation_plots.save_reliability, path, report.reliability, what, name)
    if not worst:
        return
    if found.table is not None:
        write_text(folder / "errors.csv", _rows_of(found.table, worst))
    elif found.images is not None and found.images.image_shape is not None:
        title = f"{len(worst)} of {n_wrong:,} errors: true class → predicted class, probability"
        captions = [one.caption for one in worst]
        ink = ink_of(found.images, [one.row for one in worst])
        draw(evaluation_plots.save_examples, folder / "errors.png", ink, captions, title)


def file_names(folder: Path) -> list[str]:
    """Return the names of the files in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())


def ink_of(dataset: Dataset, rows: Sequence[int]) -> np.ndarray:
    """Return test images (N, H, W) with 0 for paper and 1 for full ink."""
    assert dataset.image_shape is not None, "there is something to draw"
    x, index = dataset.test[0], np.asarray(rows)
    images = np.asarray(x.read(index) if isinstance(x, Source) else x[index], dtype=np.float64)
    paper, top = dataset.image_shades or (0.0, 1 / dataset.scale)
    ink: np.ndarray = (images.reshape(-1, *dataset.image_shape) - paper) / (top - paper)
    return ink


def _rows_of(table: Table, worst: Sequence[Mistake]) -> str:
    """Return the rows of mistakes as CSV, with the prediction in front."""
    rows = table.take(np.array([one.row for one in worst]))
    columns = [
        ("predicted", [one.predicted for one in worst]),
        (worst[0].measure, [one.size for one in worst]),
        *((name, values.tolist()) for name, values in rows.columns.items()),
    ]
    if rows.lines is not None:
        columns.insert(0, ("line", rows.lines.tolist()))
    return as_csv(columns)
