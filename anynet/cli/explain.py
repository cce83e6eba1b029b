"""``anynet explain RUN DATA``: what a model's predictions depend on, as text and as a picture."""

import argparse
import itertools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli import kinds
from anynet.cli.models import AnyModel, image_format, knows_tables, open_model
from anynet.cli.options import add_json, add_model_options, add_options, add_value
from anynet.cli.runs import refuse_as_data, refuse_existing
from anynet.cli.terminal import complain, say, say_json, say_text, table, warn
from anynet.data import Source, dataset_names
from anynet.data.tables import Preprocessing, Table
from anynet.data.tables.load import rows_to_score
from anynet.errors import DataError, InvalidArgumentError
from anynet.inspect import Importance, partial_dependence, permutation_importance

#: Rows whose predictions are computed again for each value of a column.
PARTIAL_ROWS = 1000

#: Columns of which more are not listed.
MOST_COLUMNS = 30

WIDEST_BAR = 20

#: Number of predictions of all rows that takes a while.
MANY = 2000

#: Endings of files that hold pictures.
PICTURES = (".png", ".jpg", ".jpeg", ".npy", ".idx", ".gz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "For a table: how much the score falls when a column is shuffled (permutation importance), "
        "or how the prediction depends on one column (--partial). For images: which pixels speak "
        "for the predicted class (gradient times input). DATA may also be pictures, which are "
        "shown as the network sees them, with the nearest training examples."
    )
    add_model_options(parser)
    what = "data set, table, or pictures as PNG, JPEG, IDX or .npy"
    add_value(parser, "data", kinds.text("a data set"), metavar="DATA", nargs="+", help=what)
    what = "PNG file to write; existing files are not overwritten (default: explain-DATA.png)"
    add_value(parser, "--out", kinds.FILE, metavar="FILE", help=what)
    what = "tables: column whose effect on the prediction is drawn instead"
    add_value(parser, "--partial", kinds.text("a column"), metavar="COLUMN", help=what)
    what = "number of times that each column is shuffled (default: 10)"
    add_value(parser, "--repeats", kinds.whole(2), metavar="N", default=10, help=what)
    what = "scorer of scikit-learn, such as neg_log_loss (default: accuracy, or R² for values)"
    add_value(parser, "--scoring", kinds.text("the name of a score"), metavar="NAME", help=what)
    what = "maximum number of rows of a table, drawn at random (default: 5000)"
    add_value(parser, "--rows", kinds.whole(2), metavar="N", default=5000, help=what)
    what = "images: number of correct predictions to draw, and of mistakes (default: 10)"
    add_value(parser, "--images", kinds.whole(1, 20), metavar="N", default=10, help=what)
    add_options(parser, "data_dir", "header", "seed", suppress=False)
    add_json(parser, "one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Explain the model on the data, and draw the picture."""
    if arguments.out is not None:
        refuse_existing(arguments.out)
    model = open_model(arguments, *map(Path, arguments.data))
    tabular = knows_tables(model)
    if arguments.partial is not None and not tabular:
        message = "--partial is for models of tables"
        raise InvalidArgumentError(message)
    if not tabular and image_format(model) is not None:
        from anynet.cli.explain_images import explain_dataset, explain_pictures

        if all(map(_is_picture, arguments.data)):
            return explain_pictures(model, list(map(Path, arguments.data)), arguments)
        return explain_dataset(model, _single(arguments), arguments)
    source = _single(arguments)
    refuse_as_data(source)
    if not tabular:
        return _explain_features(model, source, arguments)
    return (_explain_column if arguments.partial else _explain_table)(model, source, arguments)


def _is_picture(name: str) -> bool:
    ending = Path(name).suffix.lower()
    file = ending in PICTURES or (Path(name).is_file() and ending != ".npz")
    return file and name not in dataset_names()


def _single(arguments: argparse.Namespace) -> str:
    """Return the only data set.

    Raises
    ------
    InvalidArgumentError
        If there are several.
    """
    if len(arguments.data) > 1:
        count = len(arguments.data)
        message = f"expected one data set or table, or one or more pictures, got {count} names"
        raise InvalidArgumentError(message)
    source: str = arguments.data[0]
    return source


def picture_path(arguments: argparse.Namespace) -> Path:
    """Return where the picture is written: a new file, numbered if the first name is taken."""
    if arguments.out is not None:
        out: Path = arguments.out
        return out
    stem = f"explain-{Path(arguments.data[0]).stem}"
    numbered = (Path(f"{stem}-{number}.png") for number in itertools.count(2))
    names = itertools.chain([Path(f"{stem}.png")], numbered)
    return next(path for path in names if not os.path.lexists(path))


def _explain_table(model: AnyModel, source: str, arguments: argparse.Namespace) -> int:
    """Print and draw the importance of the columns of a table."""
    rows, what = rows_to_score(model, source, header=arguments.header)
    target = Preprocessing.of(model).target
    if target.column not in Preprocessing.of(model).read(rows)[0].columns:
        message = (
            f"{source} has no column {target.column!r}: importance is the drop of the score, which "
            f"needs the target of each row; --partial COLUMN needs none, and anynet predict "
            f"predicts such rows"
        )
        raise DataError(message)
    if what.startswith("rows, on which"):
        warn("the rows are those of training: what was learnt by heart looks important, too")
    chosen = _sample(rows, arguments.rows, arguments.seed)
    found = permutation_importance(model, chosen, **_how(arguments))
    description = f"{chosen.n_rows:,} {what} of {Path(source).name}"
    return _show(found, description, arguments)


def _explain_features(model: AnyModel, source: str, arguments: argparse.Namespace) -> int:
    """Print and draw the importance of the inputs of a model without images."""
    from anynet.cli.job import load_samples
    from anynet.cli.models import check_fit

    dataset = load_samples(source, arguments.data_dir)
    check_fit(model, dataset)
    x, y = dataset.test
    rows = _drawn(len(y), arguments.rows, arguments.seed)
    if dataset.n_inputs * arguments.repeats > MANY:
        count = f"{dataset.n_inputs:,} columns are shuffled {arguments.repeats} times"
        complain(f"{count}: fewer --repeats or --rows take less time", "anynet: note: ")
    x = x.read(rows) if isinstance(x, Source) else x[rows]
    found = permutation_importance(model, x, y[rows], **_how(arguments))
    return _show(found, f"{len(rows):,} test rows of {dataset.name}", arguments)


def _how(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "scoring": arguments.scoring,
        "n_repeats": arguments.repeats,
        "seed": arguments.seed,
    }


def _drawn(n_rows: int, most: int, seed: int) -> np.ndarray:
    """Return the numbers of the rows to use, in order."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, most, replace=False))


def _sample(rows: Table, most: int, seed: int) -> Table:
    return rows.take(_drawn(rows.n_rows, most, seed)) if rows.n_rows > most else rows


def _show(found: Importance, description: str, arguments: argparse.Namespace) -> int:
    """Print the importance of columns, and draw it."""
    from anynet.cli.inspect_plots import save_importance

    out = picture_path(arguments)
    save_importance(out, found, description)
    if arguments.json:
        columns = [
            {
                "column": found.columns[at],
                "importance": float(found.mean[at]),
                "interval": found.interval[at].tolist(),
                "repeats": found.drops[at].tolist(),
            }
            for at in found.order
        ]
        about = {"scoring": found.scoring, "score": found.score, "rows": description}
        say_json({**about, "columns": columns, "picture": str(out)})
        return 0
    say(
        f"{found.scoring} {found.score:.4f} on {description}",
        f"mean drop when a column is shuffled ({arguments.repeats} times) ± 2 standard deviations",
        "",
    )
    largest = max(float(found.mean.max()), 1e-12)
    lines = []
    for at in found.order[:MOST_COLUMNS]:
        mean, half = found.mean[at], found.interval[at][1] - found.mean[at]
        bar = "█" * max(0, round(float(mean) / largest * WIDEST_BAR))
        lines.append([found.columns[at], f"{mean:z8.4f} ± {half:.4f}", bar])
    say_text(table(lines, left=3))
    if len(found.columns) > MOST_COLUMNS:
        say(f"the {MOST_COLUMNS} most important of {len(found.columns)} columns")
    say("", f"{out}: the same as a picture")
    return 0


def _explain_column(model: AnyModel, source: str, arguments: argparse.Namespace) -> int:
    """Print and draw how the prediction depends on a column."""
    from anynet.cli.inspect_plots import save_partial

    rows, what = rows_to_score(model, source, header=arguments.header)
    chosen = _sample(rows, min(arguments.rows, PARTIAL_ROWS), arguments.seed)
    found = partial_dependence(model, chosen, arguments.partial)
    out = picture_path(arguments)
    target = Preprocessing.of(model).target
    classes = target.task == "classification"
    description = f"{chosen.n_rows:,} {what} of {Path(source).name}"
    label = f"probability of {target.column} =" if classes else "mean prediction of"
    save_partial(out, found, label, description)
    values = [value if isinstance(value, str) else float(value) for value in found.values.tolist()]
    if arguments.json:
        average = dict(zip(found.targets, found.average.tolist(), strict=True))
        about = {"column": found.column, "rows": description, "values": values}
        say_json({**about, "average": average, "picture": str(out)})
        return 0
    say(f"mean prediction of {target.column} when {found.column} is the same in {description}", "")
    named = [f"{target.column} = {each}" for each in found.targets] if classes else found.targets
    head = [found.column, *named]
    digits = 4 if classes else _decimals(found.average)
    cells = [
        [
            value if isinstance(value, str) else f"{value:.6g}",
            *(f"{mean:z.{digits}f}" for mean in means),
        ]
        for value, means in zip(values, found.average.T.tolist(), strict=True)
    ]
    step = max(1, len(cells) // MOST_COLUMNS)
    say_text(table([head, *cells[::step]]))
    say("", f"{out}: the same as a picture{', with single rows' * (len(found.targets) == 1)}")
    return 0


def _decimals(values: np.ndarray) -> int:
    """Return the number of decimals that show three digits of the range of values."""
    spread = float(np.ptp(values)) or float(np.max(np.abs(values))) or 1.0
    return min(max(0, 2 - math.floor(math.log10(spread))), 12)
