"""Options from a TOML file: one of the user's, or the one that a run has left behind."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from anynet.cli.options import KINDS, TrainOptions
from anynet.cli.synonyms import near_option
from anynet.errors import InvalidArgumentError

#: Facts about a finished run that stand in its config.toml and are no options.
ABOUT = "about"

#: Python's reader of TOML takes time that grows with the square of a key's length.
MOST_BYTES = 1 << 16


def read_config(path: Path) -> dict[str, Any]:
    """Read the options in a TOML file.

    Keys are the names of the flags, with dashes or underscores. A file with a table ``[about]``
    was written by a run and holds all of its options: those that it lacks had no value.

    Raises
    ------
    InvalidArgumentError
        The file is absent or not TOML, a key is unknown, or a value is of the wrong kind.
    """
    table = read_toml(path)
    about = table.pop(ABOUT, None)
    if about is not None and not isinstance(about, dict):
        message = f"{path}: {ABOUT} is a table of notes, not an option"
        raise InvalidArgumentError(message)
    recorded = {} if about is None else {each.name: each.default for each in fields(TrainOptions)}
    return recorded | options_from(table, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, whatever it holds.

    Raises
    ------
    InvalidArgumentError
        The file is absent, not TOML, or too large to be a configuration.
    """
    if path.is_dir():
        message = f"{path} is a folder: expected a TOML file, such as the config.toml of a run"
        raise InvalidArgumentError(message)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        message = f"cannot read the config file {path}: {error.strerror or error}"
        raise InvalidArgumentError(message) from error
    if len(content) > MOST_BYTES:
        message = f"{path} is longer than {MOST_BYTES} bytes, too long for a configuration"
        raise InvalidArgumentError(message)
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # bytes that are no text are a ValueError too
        message = f"{path} is not a TOML file: {error}"
        raise InvalidArgumentError(message) from error


def options_from(table: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Check a TOML table and turn it into option values; `source` is named in errors."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in KINDS:
            near = near_option(key, (known.replace("_", "-") for known in KINDS)).partition(" ")[0]
            hint = f"; did you mean {near!r}?" if near else ""
            message = f"{source}: there is no option {key!r}{hint}"
            raise InvalidArgumentError(message)
        if name in values:
            message = f"{source}: {name.replace('_', '-')!r} is given twice"
            raise InvalidArgumentError(message)
        try:
            values[name] = KINDS[name].from_toml(value)
        except ValueError as error:
            message = f"{source}: {key}: {error}"
            raise InvalidArgumentError(message) from error
    return values
