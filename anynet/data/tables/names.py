"""The names of columns: text in one form, each once."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from anynet.errors import InvalidArgumentError


def as_name(name: Any) -> str:
    """Return the name of a column as text in Unicode's form NFC, in which "é" is one character.

    Raises
    ------
    InvalidArgumentError
        If it is no valid Unicode.
    """
    if isinstance(name, bytes):
        name = name.decode(errors="surrogateescape")
    text = unicodedata.normalize("NFC", str(name))
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            message = f"the column name {text!r} is not valid Unicode: rename the column"
            raise InvalidArgumentError(message) from error
    return text


def as_names(names: Sequence[Any]) -> list[str]:
    """Return the names of all columns of a table.

    Raises
    ------
    InvalidArgumentError
        If two are the same, as 1 and "1" are.
    """
    made: dict[str, int] = {}
    for place, name in enumerate(names):
        first = made.setdefault(as_name(name), place)
        if first != place:
            given = "" if names[first] == name else f", given as {names[first]!r} and {name!r}"
            message = (
                f"two columns are named {as_name(name)!r}, number {first + 1} and number "
                f"{place + 1}{given}: rename one"
            )
            raise InvalidArgumentError(message)
    return list(made)
