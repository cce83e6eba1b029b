"""Decimal and thousands separators of numbers in text: inferred from whole columns, or given.

``1,016`` is 1016 in one country and 1.016 in another. A column is evident if a mark is followed by
other than three digits, or if a cell has several marks. A column that is ambiguous is decided by
the other columns of the table, then by the field separator of its file.
"""

from __future__ import annotations

import functools
import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from anynet.checks import check_choice
from anynet.errors import InvalidArgumentError

DECIMALS = (".", ",")
THOUSANDS = (",", ".", " ", "'", "")

#: Maximum number of characters of a number with separators.
LONGEST = 64

_CHARACTERS = {"": "", ",": ",", ".": r"\.", " ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}
_NUMERIC = re.compile("[+-]?[0-9.,' \u00a0\u2009\u202f\u2019]*[0-9][0-9.,]*([eE][+-]?[0-9]+)?")
_SHAPE = str.maketrans("12345678\u00a0\u2009\u202f\u2019", "99999999   '")


class Marks(NamedTuple):
    """The separators in the numbers of a column.

    Attributes
    ----------
    decimal : {".", ","}
        The decimal separator.
    thousands : {",", ".", " ", "'", ""}
        The thousands separator. " " stands for non-breaking and thin spaces too, "'" for the
        typographic apostrophe.
    """

    decimal: str = "."
    thousands: str = ""

    def plain(self, cell: str) -> str | None:
        """Return a number in Python's notation, or None if the cell is not such a number."""
        match = _pattern(self).fullmatch(cell) if len(cell) <= LONGEST else None
        if match is None or not (match["whole"] or match["fraction"]):
            return None
        whole = re.sub("[^0-9]", "", match["whole"] or "")
        if match["exponent"] and whole != (match["whole"] or ""):  # 1,016E+05 is not grouped
            return None
        point = "" if match["fraction"] is None else f".{match['fraction']}"
        return f"{match['sign']}{whole}{point}{match['exponent'] or ''}"


CANDIDATES = tuple(Marks(d, t) for t in ("", ",", ".", " ", "'") for d in DECIMALS if d != t)


class Judged(NamedTuple):
    """The conclusion for one column.

    Attributes
    ----------
    marks : Marks
        Its separators.
    evident : bool
        Whether the cells allow no other reading.
    marked : bool
        Whether any cell has a comma or a point, so that the decimal separator matters.
    complete : bool
        Whether all cells that look like numbers can be read.
    """

    marks: Marks
    evident: bool
    marked: bool
    complete: bool


def judge(
    cells: Collection[str],
    separator: str = ",",
    decimal: str | None = None,
    thousands: str | None = None,
    known: str | None = None,
) -> Judged | None:
    """Infer the separators in the numbers of a column.

    Parameters
    ----------
    cells : collection of str
        Its distinct values.
    separator : str
        The field separator of the file, which hints at the decimal separator.
    decimal, thousands : str, optional
        Given by the user, or by the training rows.
    known : str, optional
        The decimal separator of the other columns, which decides if this one is ambiguous.

    Returns
    -------
    Judged or None
        None if no cell is a number.
    """
    numeric = [cell for cell in cells if len(cell) <= LONGEST and _NUMERIC.fullmatch(cell)]
    shapes = Counter(map(_shape, numeric))
    counts = {
        each: sum(count for shape, count in shapes.items() if each.plain(shape) is not None)
        for each in CANDIDATES
        if decimal in (None, each.decimal) and thousands in (None, each.thousands)
    }
    if not numeric:
        return None
    most = max(counts.values())
    best = [each for each, count in counts.items() if count == most]
    found = {mark for shape in shapes for mark in ",." if mark in shape}
    evident = most > 0 and (not found or len({each.decimal for each in best}) == 1)
    if len({each.decimal for each in best}) > 1 and found:
        chosen = _decide(numeric, separator, found, known)
        best = [each for each in best if each.decimal == chosen]
        evident = chosen == known and (separator == "," or found != {"."})
    return Judged(best[0], evident, bool(found), most == shapes.total())


def agreed(judged: Iterable[Judged | None]) -> str | None:
    """Return the decimal separator of all columns that are evident, None if they differ."""
    shown = {each.marks.decimal for each in judged if each and each.marked and each.evident}
    return shown.pop() if len(shown) == 1 else None


def check_marks(decimal: str | None, thousands: str | None) -> None:
    """Check separators that a user chose.

    Raises
    ------
    InvalidArgumentError
        If they are unknown, or the same.
    """
    check_choice("decimal", decimal, (*DECIMALS, None))
    check_choice("thousands", thousands, (*THOUSANDS, None))
    if decimal is not None and decimal == thousands:
        message = f"decimal and thousands must differ, got {decimal!r} for both"
        raise InvalidArgumentError(message)


def note_on_marks(names: str, judged: Judged, examples: Mapping[str, str]) -> str:
    """Return a note on the separators of columns; `examples` maps cells to numbers."""
    marks = judged.marks
    cell = max(examples, key=len)
    used = f"decimal separator {marks.decimal!r}"
    used += f", thousands separator {marks.thousands!r}" if marks.thousands else ""
    note = f"{names}: numbers are read with {used} ({cell[:30]!r} as {examples[cell][:30]})"
    if judged.evident:
        return note
    return f"{note}; the values allow another reading: set decimal or thousands if this is wrong"


def _decide(numeric: list[str], separator: str, found: set[str], known: str | None) -> str:
    """Choose the decimal separator if each mark is followed by three digits."""
    if len(found) == 1:
        (mark,) = found
        groups = _groups(numeric, mark)
        if groups == "evident" or (groups == "likely" and separator != ","):
            return "." if mark == "," else ","
    return known or ("," if separator == ";" else ".")


def _groups(numeric: list[str], mark: str) -> str:
    """Judge by the numbers without a mark whether it separates thousands, "" if that is unknown.

    Numbers without the mark are whole. If the mark were a decimal separator, 2.500 beside 999 would
    have kept zeros that 999 lacks. Without such zeros thousands are likely if the numbers with the
    mark continue where those without it end, as in 998, 999, 1.001.
    """
    marked: list[float] = []
    others: list[float] = []
    for cell in numeric:
        plain = Marks(mark).plain(cell)
        if plain is not None:
            (marked if mark in cell else others).append(abs(float(plain)))
    if not marked or not others or max(others) >= 1000:
        return ""
    if any(cell.endswith("0") for cell in numeric if mark in cell):
        return "evident"
    return "likely" if statistics.median(others) > max(marked) else ""


def _shape(cell: str) -> str:
    """Return what decides how a cell is read: all digits become 9, except a leading zero."""
    shape = cell.translate(_SHAPE).replace("0", "9")
    return re.sub("^([+-]?)9", r"\g<1>0", shape) if cell.lstrip("+-").startswith("0") else shape


@functools.cache
def _pattern(marks: Marks) -> re.Pattern[str]:
    mark, point = _CHARACTERS[marks.thousands], _CHARACTERS[marks.decimal]
    grouped = f"|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}" if mark else ""
    return re.compile(
        f"(?P<sign>[+-]?)(?P<whole>[0-9]+{grouped})?"
        f"(?:{point}(?P<fraction>[0-9]*))?(?P<exponent>[eE][+-]?[0-9]+)?"
    )
