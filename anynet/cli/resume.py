"""``anynet resume RUN``: continue a run that was killed, interrupted, or ran out of disk space."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from anynet.backends import find_group
from anynet.cli import kinds, runs
from anynet.cli.config import ABOUT, BEGINNING, check_unchanged, read_config, read_toml
from anynet.cli.logs import logs
from anynet.cli.options import KINDS, TrainOptions, add_options, add_value, given_options
from anynet.cli.presets import load_job
from anynet.cli.terminal import complain, say_json, terminable
from anynet.cli.train import print_result, take_part
from anynet.errors import AnynetError, BackendError, InvalidArgumentError
from anynet.training.checkpoint.folder import CheckpointFolder
from anynet.training.processes import in_all

OPTIONS = (
    *("backend", "device", "precision", "threads", "parallel"),
    *("data_dir", "log", "json", "quiet"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Continue a run of anynet train --checkpoint-every from its newest checkpoint, and finish "
        "its folder. On the backend on which it began, the result is the same bit for bit; on "
        "another, to rounding."
    )
    add_value(parser, "run_folder", kinds.FOLDER, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "dataset", metavar="DATASET", nargs="?", help="new place of the data, if they have moved"
    )
    what = "total number of epochs; replaces the original value"
    add_value(parser, "--epochs", KINDS["epochs"], help=what)
    add_options(parser, *OPTIONS)


def run(arguments: argparse.Namespace) -> int:
    """Train the remaining epochs, and write the files of the run."""
    # Optional packages are imported before training, so that a missing one is reported before it.
    from anynet.cli.artifacts import to_toml, write_run

    folder = arguments.run_folder
    given = given_options(arguments)
    group = find_group(given.get("parallel"), given.get("backend"))
    runs.refuse_swapped(folder, *filter(None, [arguments.dataset and Path(arguments.dataset)]))
    if group.decide(lambda: runs.is_finished(folder)) and arguments.epochs is None:
        if group.is_first:
            _report_finished(folder, arguments)
        return 0
    with terminable(), ExitStack() as stack:
        with in_all(group):
            if group.is_first:
                checkpoints = stack.enter_context(runs.going_on(folder))
                options = _checked_options(arguments, checkpoints)
        if not group.is_first:
            return take_part(group.broadcast(TrainOptions()), group)
        group.broadcast(options)
        silent = options.quiet or options.json
        with in_all(group):
            try:
                job = load_job(options, silent=silent)
            except BackendError as error:
                error.add_note("to continue elsewhere, choose another --backend")
                raise
            config = to_toml(job.options)
            if not checkpoints.files():
                checkpoints.every = options.checkpoint_every or checkpoints.every
                runs.write_text(checkpoints.path / BEGINNING, config)
        if job.arguments and not silent:
            job.introduce()
        with (
            _recorded(folder / runs.CONFIG_FILE, config, checkpoints),
            logs(job.options, resume=True) as callbacks,
        ):
            model = job.train(silent=silent, checkpoints=checkpoints, callbacks=callbacks)
        report, result = write_run(folder, model, job)
    print_result(model, report, {**result, "run": str(folder)}, job)
    return 0


def _report_finished(folder: Path, arguments: argparse.Namespace) -> None:
    """Report that a run is finished."""
    runs.clear_done(folder)
    complain(f"{folder}: the run is finished, there is nothing left to do", "anynet: ")
    if getattr(arguments, "json", False):
        about = read_toml(folder / runs.CONFIG_FILE).get(ABOUT, {})
        say_json({**about, "run": str(folder)})


@contextmanager
def _recorded(config: Path, text: str, checkpoints: CheckpointFolder) -> Iterator[None]:
    """Write the options to a config.toml; restore it if they are refused, as other data are."""
    before, written = config.read_bytes().decode(), checkpoints.written
    runs.write_text(config, text)
    try:
        yield
    except AnynetError:
        if checkpoints.written == written:  # the run has not gone on
            runs.write_text(config, before)
        raise


def _checked_options(arguments: argparse.Namespace, checkpoints: CheckpointFolder) -> TrainOptions:
    """Return the options of the run, which must be those with which it began.

    Backend, device and precision are overridden together.

    Raises
    ------
    InvalidArgumentError
        If the run's file of options was changed, or an option does not suit the run.
    """
    beginning = checkpoints.path / BEGINNING
    if checkpoints.files() and beginning.is_file():
        check_unchanged(arguments.run_folder / runs.CONFIG_FILE, beginning)
    options = TrainOptions(**read_config(arguments.run_folder / runs.CONFIG_FILE))
    given = {k: value for k, value in given_options(arguments).items() if value is not None}
    if {"backend", "device", "precision"} & given.keys():
        options = replace(options, device=None, precision=None)
    options = replace(options, **given)
    if options.preset is not None and arguments.epochs is not None:
        message = "--epochs is an option of a single network, and the run is of a preset"
        raise InvalidArgumentError(message)
    return options
