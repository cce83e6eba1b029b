"""``anynet study find-rate``: one short run with a rising learning rate, and its suggestion."""

import argparse
import csv
import io
from typing import Any

from anynet.cli import kinds, runs
from anynet.cli.job import Job, defaults_for
from anynet.cli.options import (
    OF_PRESETS,
    TrainOptions,
    add_data,
    add_json,
    add_options,
    add_value,
    given_options,
)
from anynet.cli.terminal import say, say_json, terminable
from anynet.data import Source
from anynet.training import RateSearch, find_learning_rate
from anynet.training.rate_search import WITHOUT_EFFECT

NAME = "find-rate"

#: Options of ``anynet train`` that have no effect on the search, or another form here.
LEFT_OUT = (
    *("dataset", "out", "log", "json", *OF_PRESETS, *WITHOUT_EFFECT),
    *("schedule", "decay", "decay_epochs", "warmup", "average", "calibrate", "checkpoint_every"),
    *("stream", "parallel"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the study."""
    parser.description = (
        "Train a few hundred steps while the learning rate rises, and suggest a tenth of the rate "
        "with the lowest smoothed loss. The options are those of anynet train."
    )
    add_data(parser)
    rate = kinds.real(0, positive=True)
    add_value(parser, "--low", rate, default=1e-6, help="lowest learning rate (default: 1e-06)")
    add_value(parser, "--high", rate, default=10.0, help="highest learning rate (default: 10)")
    what = "number of steps (default: 200)"
    add_value(parser, "--steps", kinds.whole(20), default=200, help=what)
    names = [name for name in TrainOptions.__dataclass_fields__ if name not in LEFT_OUT]
    add_options(parser, *names)
    what = "folder to write (default: runs/find-rate-DATASET-DATE-TIME)"
    add_value(parser, "--out", kinds.FOLDER, metavar="DIR", help=what)
    add_json(parser, "one JSON object")
    parser.set_defaults(study=NAME)


def run(arguments: argparse.Namespace) -> int:
    """Search, and write the curve and its picture."""
    from anynet.cli.plots import save_rate_search  # a missing package is reported before training

    options = TrainOptions(**{**defaults_for(given_options(arguments)), **_given(arguments)})
    silent = options.quiet or arguments.json
    folder = arguments.out or runs.default_folder(f"{NAME}-{runs.name_of(options.dataset)}")
    with terminable(), runs.new_folder(folder, numbered=arguments.out is None) as new:
        job = Job.load(options, silent=silent)
        if not silent:
            say(job.plan()[0])
        found = _search(job, arguments)
        runs.write_text(new.scratch / f"{NAME}.csv", _csv(found))
        title = f"{job.title}; {job.options.optimizer}, batch size {job.options.batch_size}"
        save_rate_search(new.scratch / f"{NAME}.png", found, title)
    where = folder.with_name(new.path.name)
    if arguments.json:
        about = {"dataset": job.dataset.name, "optimizer": job.options.optimizer}
        result = {"suggestion": found.suggestion, "warning": found.warning, "folder": str(where)}
        say_json(about | result)
        return 0
    say(
        f"suggested learning rate {found.suggestion:g}: a tenth of the rate with the lowest loss",
        f"picture {where / NAME}.png",
    )
    return 0


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    given = given_options(arguments)
    return {name: value for name, value in given.items() if name not in ("out", "json")}


def _search(job: Job, arguments: argparse.Namespace) -> RateSearch:
    """Search on the rows that a run would train on."""
    x, y = job.dataset.train
    if not isinstance(x, Source):
        kept, _ = job.split()
        x, y = x[kept], y[kept]
    used = {name: each for name, each in job.arguments.items() if name not in WITHOUT_EFFECT}
    how = {"low": arguments.low, "high": arguments.high, "steps": arguments.steps}
    with job.memory_errors():
        return find_learning_rate(data=(x, y), backend=job.backend, **how, **used)


def _csv(found: RateSearch) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["learning_rate", "loss", "smoothed_loss"])
    columns = (found.rates, found.losses, found.smoothed)
    writer.writerows(zip(*(column.tolist() for column in columns), strict=True))
    return text.getvalue()
