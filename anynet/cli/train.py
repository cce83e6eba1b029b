"""``anynet train``: from a data set to a run folder."""

import argparse
from typing import Any

from anynet.cli import kinds, recipe, runs
from anynet.cli.config import BEGINNING, read_config
from anynet.cli.job import Job, defaults_for
from anynet.cli.options import TrainOptions, add_options, add_value, given_options
from anynet.cli.reports import Report, ValueReport
from anynet.cli.terminal import complain, exit_code, say, say_json, terminable, warn
from anynet.errors import TrainingInterrupted
from anynet.training import Model, StopReason
from anynet.training.model_file import CHECKPOINTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.usage = "anynet train [DATASET] [options]"
    parser.description = (
        "Train a network. Ctrl-C ends training and keeps the best epoch so far; with "
        "--checkpoint-every, anynet resume continues it."
    )
    add_options(parser)
    add_value(
        parser,
        "--config",
        kinds.TOML_FILE,
        metavar="FILE",
        help="TOML file of options by their names here; the command line overrides it",
    )


def options_of(arguments: argparse.Namespace) -> TrainOptions:
    """Merge options: the command line overrides the config file, and that the defaults."""
    given = given_options(arguments)
    filed = read_config(arguments.config) if arguments.config else {}
    options = TrainOptions(**{**defaults_for({**filed, **given}), **filed, **given})
    if not options.dataset:
        arguments.usage_error("name a DATASET, such as digits")
    return options


def run(arguments: argparse.Namespace) -> int:
    """Train, and write the run folder; after Ctrl-C that of the best epoch so far."""
    # Optional packages are imported before training, so that a missing one is reported before it.
    from anynet.cli.artifacts import to_toml, write_run

    options = options_of(arguments)
    recipe.optimizer_of(options)  # its errors are reported before data are fetched
    silent = options.quiet or options.json
    folder = options.out or runs.default_folder(options.dataset)
    every, code = options.checkpoint_every, 0
    with terminable(), runs.new_folder(folder, numbered=options.out is None) as new:
        job = Job.load(options, silent=silent)
        started = to_toml(job.options)
        if job.arguments and not silent:
            job.introduce()
        if every is None:
            try:
                model = job.train(silent=silent)
            except TrainingInterrupted as stop:
                if not isinstance(stop.model, Model):  # no epoch was finished
                    raise
                model, code = stop.model, exit_code(stop)
            report, result = write_run(new.scratch, model, job)
        else:
            (new.scratch / CHECKPOINTS).mkdir()
            runs.write_text(new.scratch / runs.CONFIG_FILE, started)
    if every is not None:
        with terminable(), runs.going_on(new.path, every) as checkpoints:
            runs.write_text(checkpoints.path / BEGINNING, started)
            model = job.train(silent=silent, checkpoints=checkpoints)
            report, result = write_run(new.path, model, job)
    print_result(model, report, {**result, "run": str(folder.with_name(new.path.name))}, job)
    return code


def print_result(
    model: Model, report: Report | ValueReport, result: dict[str, Any], job: Job
) -> None:
    """Print the result of a run, as text or as JSON."""
    assert model.history is not None
    if model.history.stop_reason is StopReason.INTERRUPTED:
        kept = f"kept epoch {result['best_epoch']}, the best of {result['epochs']}"
        complain(f"interrupted: {kept}", "anynet: ")
    warn(result["warning"])
    if job.given.json:
        say_json(result)
    else:
        say(f"test {report.summary()}", f"run folder {result['run']}")
