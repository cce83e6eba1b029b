"""``anynet train``: from a data set to a run folder."""

import argparse
from contextlib import ExitStack
from typing import Any

from anynet.backends import Group, find_group
from anynet.cli import kinds, recipe, runs
from anynet.cli.config import BEGINNING, read_config
from anynet.cli.job import Job, defaults_for
from anynet.cli.logs import logs
from anynet.cli.models import AnyModel, histories_of
from anynet.cli.options import TrainOptions, add_options, add_value, given_options
from anynet.cli.presets import load_job, preset_for
from anynet.cli.reports import Report
from anynet.cli.terminal import complain, exit_code, say, say_json, terminable, warn
from anynet.cli.value_report import ValueReport
from anynet.errors import TrainingInterrupted
from anynet.training import Ensemble, Model, StopReason
from anynet.training.calibration import TEMPERATURE
from anynet.training.model_file import CHECKPOINTS
from anynet.training.processes import in_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.usage = "anynet train [DATASET] [options]"
    parser.description = (
        "Train a network, or for a table the networks of a preset: auto, unless an option of a "
        "single network such as --layers or --epochs is given. Ctrl-C ends training and keeps the "
        "best epoch so far; with --checkpoint-every, anynet resume continues it."
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
    chosen = {**filed, **given}
    options = TrainOptions(**{**(preset_for(chosen) or defaults_for(chosen)), **chosen})
    if not options.dataset:
        arguments.usage_error("name a DATASET, such as digits")
    return options


def run(arguments: argparse.Namespace) -> int:
    """Train, and write the run folder; after Ctrl-C that of the best epoch so far."""
    # Optional packages are imported before training, so that a missing one is reported before it.
    from anynet.cli.artifacts import to_toml, write_run

    options = options_of(arguments)
    recipe.optimizer_of(options)  # its errors are reported before data are fetched
    group = find_group(options.parallel, options.backend)
    if not group.is_first:
        return take_part(options, group)
    silent = options.quiet or options.json
    folder = options.out or runs.default_folder(options.dataset)
    every, code = options.checkpoint_every, 0
    model: AnyModel
    with ExitStack() as outer:
        with terminable(), ExitStack() as stack:
            with in_all(group):
                numbered = options.out is None
                new = stack.enter_context(runs.new_folder(folder, numbered=numbered))
                job = load_job(options, silent=silent)
                started = to_toml(job.options)
                callbacks = outer.enter_context(logs(job.options))
            if job.arguments and not silent:
                job.introduce()
            if every is None:
                try:
                    model = job.train(silent=silent, callbacks=callbacks)
                except TrainingInterrupted as stop:
                    if not isinstance(stop.model, (Model, Ensemble)):  # no epoch was finished
                        raise
                    model, code = stop.model, exit_code(stop)
                report, result = write_run(new.scratch, model, job)
            else:
                (new.scratch / CHECKPOINTS).mkdir()
                runs.write_text(new.scratch / runs.CONFIG_FILE, started)
        if every is not None:
            with terminable(), runs.going_on(new.path, every) as checkpoints:
                runs.write_text(checkpoints.path / BEGINNING, started)
                model = job.train(silent=silent, checkpoints=checkpoints, callbacks=callbacks)
                report, result = write_run(new.path, model, job)
    print_result(model, report, {**result, "run": str(folder.with_name(new.path.name))}, job)
    return code


def take_part(options: TrainOptions, group: Group) -> int:
    """Train in a process that writes and prints nothing: not the first of its group."""
    with terminable():
        with in_all(group):
            job = load_job(options, silent=True)
        job.train(silent=True)
    return 0


def print_result(
    model: AnyModel, report: Report | ValueReport | None, result: dict[str, Any], job: Job
) -> None:
    """Print the result of a run, as text or as JSON."""
    histories = histories_of(model)
    if any(each.stop_reason is StopReason.INTERRUPTED for each in histories):
        best = ", ".join(str(each.best_epoch) for each in histories)
        kept = f"kept epoch {best}, the best of {result['epochs']}"
        again = "--checkpoint-every makes runs that anynet resume continues"
        complain(f"interrupted: {kept}; {again}", "anynet: ")
    warn(result["warning"])
    if job.given.json:
        say_json(result)
        return
    if result.get(TEMPERATURE) is not None:
        say(f"calibrated by the validation rows: temperature {result[TEMPERATURE]:.4f}")
    score = "no test rows: no test score" if report is None else f"test {report.summary()}"
    say(score, f"run folder {result['run']}")
