"""The worst predictions of a report: the surest errors, or the largest ones of values."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from anynet.cli.terminal import percent, table


class Mistake(NamedTuple):
    """One wrong prediction.

    Attributes
    ----------
    row : int
        Index among the rows that were scored, or the line of a file.
    true, predicted : str or float
        Names of classes or labels, or values.
    size : float
        Probability of the predicted class or of the surest wrong label; or predicted minus true.
    measure : str
        What `size` is: ``probability`` or ``error``.
    place : str
        What `row` is: ``row`` or ``line``.
    """

    row: int
    true: Any
    predicted: Any
    size: float
    measure: str
    place: str = "row"

    @property
    def caption(self) -> tuple[str, str]:
        """The mistake in two short lines, for a picture."""
        return f"{self.true} → {self.predicted}", percent(self.size)

    def as_json(self) -> dict[str, Any]:
        """Return the mistake in types of JSON."""
        names = {self.place: self.row, "true": self.true, "predicted": self.predicted}
        return {**names, self.measure: self.size}


def as_text(mistakes: Sequence[Mistake], n_wrong: int | None) -> str:
    """Return mistakes as a table.

    Parameters
    ----------
    mistakes : sequence of Mistake
    n_wrong : int or None
        Number of all mistakes; None for values, which all differ.
    """
    if not mistakes:
        return "no row is predicted wrongly"
    rows = [[mistakes[0].place, "true", "predicted", mistakes[0].measure]]
    for one in mistakes:
        known = (one.true, one.predicted)
        cells = [each if isinstance(each, str) else f"{each:.6g}" for each in known]
        size = f"{one.size:.4f}" if one.measure == "probability" else f"{one.size:+.6g}"
        rows.append([str(one.row), *cells, size])
    head = f"the {len(mistakes)} largest errors"
    if n_wrong is not None:
        head = f"the {len(mistakes)} of {n_wrong:,} errors with the highest probability"
    return f"{head}\n{table(rows)}"
