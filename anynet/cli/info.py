"""``anynet info RUN``: what a model is, how it was trained, and how well it does."""

import argparse
import json
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from anynet.cli.options import TrainOptions, add_json, add_model
from anynet.cli.records import Curves, Record
from anynet.cli.terminal import say, say_json, say_text, table
from anynet.config import to_config
from anynet.data.dataset import IMAGE_STEPS, TABLE
from anynet.data.display import shortened
from anynet.data.tables import Preprocessing
from anynet.errors import ModelFileError
from anynet.nn import Network
from anynet.study.results import shown
from anynet.training.model import layer_table
from anynet.training.model_file import CHECKPOINTS

NOT_RECORDED = "not recorded"

#: Characters of a curve, and its longest length.
BARS = "▁▂▃▄▅▆▇█"
WIDEST = 60

#: Columns of the history that are not drawn.
NOT_DRAWN = ("epoch", "seconds")

#: Options that are shown elsewhere, or do not concern training.
ELSEWHERE = (
    *("dataset", "target", "task", "backend", "device", "dtype", "precision", "seed"),
    *("data-dir", "threads", "stream", "checkpoint-every"),
)

VERSIONS = ("anynet", "python", "numpy", "backend")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Print what a model is: its layers, the data and options of its training, its scores, its "
        "learning curves, and the versions of the packages. RUN may be a run folder, finished or "
        "not, a model file, a saved estimator, or a folder of checkpoints."
    )
    add_model(parser)
    add_json(parser, "one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the facts of a run."""
    record = Record.read(arguments.model)
    if arguments.json:
        say_json(as_json(record))
        return 0
    say(f"{record.path}: {kind_of(record)}")
    for title, text in (
        ("network", _network(record)),
        ("data", _facts(data_of(record))),
        ("training", _facts(training_of(record))),
        ("scores", _facts(scores_of(record))),
        (_curves_title(record), _curve_lines(record.curve)),
        ("versions", _facts(versions_of(record))),
    ):
        say("", title)
        say_text(text or f"  {NOT_RECORDED}")
    return 0


def kind_of(record: Record) -> str:
    """Return what is at the path: one sentence without an end."""
    count = len(record.networks)
    what = "a single network" if count == 1 else f"{count} networks"
    if not record.finished:
        known = "no readable checkpoint"
        if count:
            known = f"{what} after epoch {record.n_epochs or 0} of {record.total or NOT_RECORDED}"
        is_run = (record.path / CHECKPOINTS).is_dir()
        again = f"; anynet resume {record.path} continues it" if is_run else ""
        return f"unfinished run, {known}{again}"
    estimator = record.metadata.get("estimator")
    if isinstance(estimator, dict):
        return f"{estimator.get('name', 'estimator')}, {what}"
    if record.saved is not None and record.saved.is_ensemble:
        what = f"ensemble of {count} network{'s' * (count > 1)}"
    return f"run of anynet train, {what}" if record.options else f"model file, {what}"


def _network(record: Record) -> str:
    """Return the table of the layers, the number of parameters, and the size of the file."""
    if not record.networks:
        return ""
    alike: dict[str, list[Network]] = {}
    for network in record.networks:
        alike.setdefault(json.dumps(network.to_config()), []).append(network)
    parts = []
    for networks in alike.values():
        title = f"{len(networks)} of {len(record.networks)} networks:\n" if len(alike) > 1 else ""
        parts.append(title + table(layer_table(networks[0], defaults=False), left=3))
    size = record.file.stat().st_size if record.file is not None else 0
    total = f"{record.n_parameters:,} parameters"
    if len(record.networks) > 1:
        total += f" of {len(record.networks)} networks"
    facts = {"parameters": total, "file": f"{record.file}, {_bytes(size)}"}
    if record.saved is not None:
        first = record.saved.models[0]
        facts["data type"] = first.dtype
        facts["loss"] = f"{first.loss.kind}, which predicts {first.loss.task}"
        if record.saved.weights:
            weights = [f"{weight:.3g}" for weight in record.saved.weights]
            facts["weights"] = f"{shortened(weights)} in the mean prediction"
    return _indented("\n".join(parts)) + "\n\n" + _facts(facts)


def data_of(record: Record) -> dict[str, str]:
    """Return facts about the data of training."""
    metadata = record.metadata
    facts = {"data set": record.dataset or NOT_RECORDED}
    if metadata.get(TABLE) is not None:
        try:
            made = Preprocessing.from_config(metadata[TABLE])
        except ModelFileError as error:
            return facts | {"table": str(error)}
        columns = [f"{each.column} ({each.kind})" for each in made.encoders]
        facts["target"] = f"{made.target.column}, {made.target.task}"
        facts["columns"] = shortened(columns, 12)
        if made.ignored:
            facts["not used"] = shortened(made.ignored)
    if record.networks:
        network = record.networks[0]
        facts["inputs"] = f"{network.n_inputs:,}"
        image = metadata.get("image")
        if isinstance(image, dict) and isinstance(image.get("shape"), list):
            facts["inputs"] += f": images {' × '.join(map(str, image['shape']))}"
        facts["outputs"] = f"{network.n_outputs:,}"
    if isinstance(metadata.get("classes"), list):
        facts["classes"] = shortened(map(str, metadata["classes"]))
    if metadata.get(IMAGE_STEPS):
        facts["preprocessing"] = ", ".join(str(each.get("kind")) for each in metadata[IMAGE_STEPS])
    return facts


def training_of(record: Record) -> dict[str, str]:
    """Return facts about the training."""
    about = record.about
    facts = {"options": chosen_options(record.options) or NOT_RECORDED}
    if not record.options and record.finished:
        estimator = record.metadata.get("estimator")
        if isinstance(estimator, dict):
            facts["options"] = ", ".join(_parameters(estimator)) or NOT_RECORDED
    for name in ("seed", "backend", "device", "dtype", "precision"):
        if name in record.options:
            facts[name] = str(record.options[name])
    epochs = about.get("epochs", record.n_epochs)
    facts["epochs"] = NOT_RECORDED if epochs is None else str(epochs)
    if "best_epoch" in about:
        best = about["best_epoch"]
        text = shortened(map(str, best)) if isinstance(best, list) else str(best)
        facts["best epoch"] = text
    if "stopped" in about:
        facts["stopped"] = str(about["stopped"])
    seconds = record.seconds
    facts["time"] = NOT_RECORDED if seconds is None else f"{seconds:.3g} s"
    return facts


def chosen_options(options: dict[str, Any]) -> str:
    """Return the options that differ from the defaults of ``TrainOptions``, as text."""
    defaults = vars(TrainOptions())
    words = []
    for name, value in options.items():
        default = defaults.get(name.replace("-", "_"))
        default = list(default) if isinstance(default, tuple) else default
        if name not in ELSEWHERE and value != default and not (default is None and value == 0):
            words.append(f"{name.replace('-', ' ')} {shown(value)}")
    return ", ".join(words) or ("defaults" if options else "")


def _parameters(estimator: dict[str, Any]) -> list[str]:
    """Return the parameters of a saved estimator that are plain values, other than None."""
    given = estimator.get("parameters")
    plain = given.items() if isinstance(given, dict) else ()
    made = []
    for name, value in plain:
        values = value.get("tuple") if isinstance(value, dict) else value
        if isinstance(values, (list, int, float, str)) and values is not False:
            made.append(f"{name} {shown(values)}")
    return made


def scores_of(record: Record) -> dict[str, str]:
    """Return the scores that the run has recorded."""
    beginnings = ("test_", "validation_", "train_")
    return {
        name.replace("_", " "): f"{value:.4f}" if abs(value) < 1e4 else f"{value:.6g}"
        for name, value in record.about.items()
        if name.startswith(beginnings) and isinstance(value, int | float)
    }


def versions_of(record: Record) -> dict[str, str]:
    """Return the versions of the packages, and when the run was finished."""
    facts = {name: str(record.about[name]) for name in VERSIONS if name in record.about}
    finished = record.about.get("finished")
    if isinstance(finished, datetime):
        facts["finished"] = finished.isoformat(sep=" ")
    return facts


def _curves_title(record: Record) -> str:
    if record.n_epochs is None:
        return "learning curves"
    several = f", median of {len(record.curves)} networks" if len(record.curves) > 1 else ""
    return f"learning curves ({record.n_epochs} epochs{several})"


def _curve_lines(curves: Curves) -> str:
    rows = []
    for name, values in curves.items():
        known = [value for value in values if value is not None]
        if name in NOT_DRAWN or not known:
            continue
        ends = f"{known[0]:.4g} → {known[-1]:.4g}"
        extremes = f"{min(known):.4g} to {max(known):.4g}"
        rows.append([f"  {name.replace('_', ' ')}", sparkline(values), ends, f"({extremes})"])
    return table(rows, left=4) if rows else ""


def sparkline(values: Sequence[float | None]) -> str:
    """Return values as bars of a line: the smallest is the lowest bar, the largest the highest.

    More than WIDEST values are averaged in groups. A missing value is a space.
    """
    width = min(len(values), WIDEST)
    edges = [at * len(values) // width for at in range(width + 1)] if width else []
    groups = [values[low:high] for low, high in pairwise(edges)]
    means = [
        sum(known) / len(known) if (known := [v for v in some if v is not None]) else None
        for some in groups
    ]
    present = [mean for mean in means if mean is not None]
    if not present:
        return ""
    low, span = min(present), max(present) - min(present)
    top = len(BARS) - 1
    return "".join(
        " " if mean is None else BARS[round((mean - low) / span * top) if span else 0]
        for mean in means
    )


def _facts(facts: dict[str, str]) -> str:
    return table([[f"  {name}", fact] for name, fact in facts.items()], left=2) if facts else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def as_json(record: Record) -> dict[str, Any]:
    """Return all facts of a run in types of JSON."""
    saved = record.saved
    metadata = {
        name: value
        for name, value in record.metadata.items()
        if name not in (TABLE, "estimator", "members")
    }
    return {
        "run": str(record.path),
        "kind": kind_of(record),
        "finished": record.finished,
        "ensemble": saved is not None and saved.is_ensemble,
        "networks": [
            {
                "inputs": network.n_inputs,
                "outputs": network.n_outputs,
                "parameters": network.n_parameters,
                "layers": [to_config(layer) for layer in network.layers],
            }
            for network in record.networks
        ],
        "parameters": record.n_parameters,
        "bytes": record.file.stat().st_size if record.file is not None else None,
        "dtype": saved.models[0].dtype if saved is not None else None,
        "loss": to_config(saved.models[0].loss) if saved is not None else None,
        "data": {"dataset": record.dataset, **metadata},
        "table": data_of(record) if record.metadata.get(TABLE) is not None else None,
        "options": record.options,
        "about": record.about,
        "curves": record.curves,
    }
