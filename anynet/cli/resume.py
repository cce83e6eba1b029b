"""``anynet resume RUN``: go on with a run that was killed, interrupted, or ran out of disk."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from anynet.backends import Backend, get_backend, set_threads
from anynet.cli import kinds, recipe, runs
from anynet.cli.augmentation import preprocessed, preprocessing_of
from anynet.cli.config import ABOUT, BEGINNING, check_unchanged, read_config, read_toml
from anynet.cli.interrupts import terminable
from anynet.cli.options import TrainOptions, add_options
from anynet.cli.tables import load_data
from anynet.cli.terminal import complain, say, say_json
from anynet.cli.train import introduction, measure, one_memory_error, split, tell, train
from anynet.data import Dataset
from anynet.data.files import replacing
from anynet.errors import AnynetError, BackendError
from anynet.training import Model
from anynet.training import resume as resume_training
from anynet.training.checkpoint.folder import CheckpointFolder

OPTIONS = ("backend", "device", "precision", "threads", "data_dir", "json", "quiet")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "resume",
        help="continue an unfinished run",
        description="Continue a run of anynet train --checkpoint-every from its newest checkpoint, "
        "and finish its folder. On the backend on which it began, the result is the same bit for "
        "bit; on another, to rounding.",
    )
    folder = kinds.path("the folder of a run").from_text
    parser.add_argument("run_folder", metavar="RUN", type=folder, help="folder of the run")
    parser.add_argument(
        "dataset", metavar="DATASET", nargs="?", help="new place of the data, if they have moved"
    )
    epochs = kinds.whole(1).from_text
    parser.add_argument(
        "--epochs", type=epochs, help="total number of epochs; replaces the original value"
    )
    add_options(parser, *OPTIONS, suppress=True)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train what is left, and write the files of the run."""
    # What may be missing is imported now: better told before training than after.
    from anynet.cli.artifacts import to_toml, write_run, write_text
    from anynet.cli.progress import download_bar

    folder = arguments.run_folder
    runs.refuse_swapped(folder, *filter(None, [arguments.dataset and Path(arguments.dataset)]))
    if runs.is_finished(folder) and arguments.epochs is None:
        runs.clear_done(folder)
        complain(f"{folder}: the run is finished, there is nothing left to do", "anynet: ")
        if getattr(arguments, "json", False):
            about = read_toml(folder / runs.CONFIG_FILE).get(ABOUT, {})
            say_json({**about, "run": str(folder)})
        return 0
    with terminable(), runs.going_on(folder) as checkpoints:
        beginning = checkpoints.path / BEGINNING
        if checkpoints.files() and beginning.is_file():
            check_unchanged(folder / runs.CONFIG_FILE, beginning)
        options = _options(arguments)
        silent = options.quiet or options.json
        if options.threads is not None:
            set_threads(options.threads)
        backend = _backend(options)
        with download_bar(options.dataset, silent=silent) as show:
            dataset = load_data(options, show)
        options = recipe.resolve(options, dataset, backend)
        dataset = preprocessed(dataset, preprocessing_of(options))
        if not checkpoints.files():
            write_text(beginning, to_toml(options))
        if not silent:
            for note in dataset.notes:
                complain(note, "anynet: note: ")
            say(*introduction(options, dataset, backend))
        with _recorded(folder / runs.CONFIG_FILE, to_toml(options), checkpoints):
            model = _go_on(checkpoints, options, dataset, backend, silent)
        with runs.kept(model, folder):
            report, result = measure(model, options, dataset)
            write_run(folder, model, report, options, result)
    tell(report, result | {"run": str(folder)}, options.json)
    return 0


@contextmanager
def _recorded(config: Path, text: str, checkpoints: CheckpointFolder) -> Iterator[None]:
    """Write the options to a config.toml; restore it if they are refused, as other data are."""
    before, written = config.read_bytes(), checkpoints.written
    with replacing(config) as file:
        file.write(text.encode())
    try:
        yield
    except AnynetError:
        if checkpoints.written == written:  # the run has not gone on
            with replacing(config) as file:
                file.write(before)
        raise


def _options(arguments: argparse.Namespace) -> TrainOptions:
    """Return the run's own options; where it computes may be said anew, all of it or none."""
    options = TrainOptions(**read_config(arguments.run_folder / runs.CONFIG_FILE))
    given = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("run", "run_folder") and value is not None
    }
    if {"backend", "device", "precision"} & given.keys():
        options = replace(options, device=None, precision=None)
    return replace(options, **given)


def _backend(options: TrainOptions) -> Backend:
    try:
        return get_backend(options.backend, options.device, options.dtype, options.precision)
    except BackendError as error:
        error.add_note("to go on elsewhere, choose another --backend")
        raise


def _go_on(
    checkpoints: CheckpointFolder,
    options: TrainOptions,
    dataset: Dataset,
    backend: Backend,
    silent: bool,
) -> Model:
    """Train from the newest checkpoint, or from the start if none was written."""
    from anynet.cli.progress import ProgressBar

    if not checkpoints.files():
        checkpoints.every = options.checkpoint_every or checkpoints.every
        ingredients = recipe.ingredients(options, dataset)
        return train(options, dataset, backend, ingredients, silent, checkpoints)
    training, validation = split(options, dataset)
    metric = "accuracy" if dataset.classes else "R²"
    with (
        one_memory_error(backend),
        ProgressBar(options.epochs, len(training[0]), silent=silent, metric=metric) as bar,
    ):
        return resume_training(
            checkpoints,
            training,
            validation=validation,
            epochs=options.epochs,
            backend=backend,
            callbacks=[bar.finish],
            progress=bar.update if bar.live else None,
        )
