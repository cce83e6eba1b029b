"""``anynet example``: write small files to try the other commands on, without a download."""

import argparse
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli import kinds
from anynet.cli.options import add_value
from anynet.cli.predict import as_csv
from anynet.cli.terminal import say
from anynet.data.datasets import load_digits
from anynet.data.files import folder_of, replacing
from anynet.errors import InvalidArgumentError

ROWS, NEW_ROWS = 400, 6

#: The row of the digits' test set that is drawn.
DIGIT = 3

STUDY = """\
optimizer = "adam"
epochs = 10

[grid]
layers = [[32], [64], [64, 32]]
learning-rate = [0.001, 0.01]
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Write ship.csv (a made-up table, whose column survived is to be predicted), new.csv (rows "
        "of it without that column), photo.png (a handwritten digit) and study.toml (a grid for "
        "anynet study). Existing files are never overwritten."
    )
    what = "folder to write to (default: the current one)"
    add_value(parser, "folder", kinds.FOLDER, metavar="DIR", nargs="?", default=Path(), help=what)


def run(arguments: argparse.Namespace) -> int:
    """Write all of the files, or none."""
    folder: Path = arguments.folder
    table = passengers(np.random.default_rng(0), ROWS + NEW_ROWS)
    known = [(name, values[:ROWS]) for name, values in table.items()]
    new = [(name, values[ROWS:]) for name, values in table.items() if name != "survived"]
    files = {
        "ship.csv": (as_csv(known).encode(), f"{ROWS} passengers, with a column survived"),
        "new.csv": (as_csv(new).encode(), f"{NEW_ROWS} passengers without that column"),
        "photo.png": (photo(), f"a handwritten {DIGIT}"),
        "study.toml": (STUDY.encode(), "a grid of layers and learning rates"),
    }
    if existing := [name for name in files if os.path.lexists(folder / name)]:
        message = f"{folder} already holds {', '.join(existing)}: choose another DIR"
        raise InvalidArgumentError(message)
    written: list[Path] = []
    with folder_of(folder / next(iter(files))):
        try:
            for name, (content, _) in files.items():
                path = folder / name
                with replacing(path, new=True) as file:
                    file.write(content)
                written.append(path)
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise
    say(*(f"{folder / name}: {what}" for name, (_, what) in files.items()))
    return 0


def passengers(rng: np.random.Generator, n: int) -> dict[str, list[Any]]:
    """Draw made-up passengers of a ship, of whom some survived; some ages are missing."""
    deck = rng.integers(1, 4, n)
    woman = rng.random(n) < 0.4
    age = np.clip(rng.normal(32, 14, n), 1, 80).round()
    fare = (rng.lognormal(0, 0.4, n) * 60 / deck**1.5).round(2)
    chance = 1 / (1 + np.exp(0.03 * age + 1.1 * deck - 3.2 * woman - 2))
    survived = rng.random(n) < chance
    unknown = rng.random(n) < 0.1
    return {
        "class": [("first", "second", "third")[each - 1] for each in deck],
        "sex": ["female" if each else "male" for each in woman],
        "age": ["" if absent else int(years) for years, absent in zip(age, unknown, strict=True)],
        "fare": fare.tolist(),
        "port": rng.choice(["Cobh", "Cherbourg", "Southampton"], n).tolist(),
        "survived": ["yes" if each else "no" for each in survived],
    }


def photo() -> bytes:
    """Return a digit of the test set as a PNG: dark on light, 160 by 160 pixels."""
    from PIL import Image

    digits = load_digits()
    x, y = digits.test
    ink = x[np.flatnonzero(y == DIGIT)[0]].reshape(8, 8) * digits.scale
    small = Image.fromarray((235 - 200 * ink).astype(np.uint8))
    margin = Image.new("L", (12, 12), 235)
    margin.paste(small, (2, 2))
    content = io.BytesIO()
    margin.resize((160, 160), Image.Resampling.BICUBIC).save(content, "PNG")
    return content.getvalue()
