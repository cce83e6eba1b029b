"""``anynet train``: from a data set to a run folder."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anynet.backends import Backend, get_backend, set_threads
from anynet.cli import kinds, recipe, runs
from anynet.cli.augmentation import preprocessed, preprocessing_of
from anynet.cli.config import BEGINNING, read_config
from anynet.cli.interrupts import exit_code, terminable
from anynet.cli.options import TrainOptions, add_options
from anynet.cli.reports import Report
from anynet.cli.tables import CLASS_WEIGHT, defaults_for, load_data, score
from anynet.cli.terminal import complain, say, say_json
from anynet.cli.values import ValueReport
from anynet.data import Dataset
from anynet.data.files import one_line
from anynet.data.splits import train_validation_split
from anynet.errors import AnynetError, TrainingInterrupted
from anynet.training import Model, fit
from anynet.training.checkpoint.folder import CheckpointFolder
from anynet.training.model_file import CHECKPOINTS

#: Columns of a table that are listed when training begins.
MOST_COLUMNS = 12


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a network and write a run folder",
        description="Train a network. Ctrl-C ends training and keeps the best epoch so far; "
        "with --checkpoint-every, anynet resume continues it.",
        usage="anynet train [DATASET] [options]",
    )
    add_options(parser)
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=kinds.path("the path of a TOML file").from_text,
        help="TOML file of options by their names here; the command line overrides it",
    )
    parser.set_defaults(run=run, usage_error=parser.error)


def options_of(arguments: argparse.Namespace) -> TrainOptions:
    """Merge: the command line goes before the config file, and that before the defaults."""
    given = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("run", "usage_error", "config")
    }
    filed = read_config(arguments.config) if arguments.config else {}
    options = TrainOptions(**{**defaults_for({**filed, **given}), **filed, **given})
    if not options.dataset:
        arguments.usage_error("name a DATASET, such as digits")
    return options


def run(arguments: argparse.Namespace) -> int:
    """Train, and write the run folder; after Ctrl-C that of the best epoch so far."""
    # What may be missing is imported now: better told before training than after.
    from anynet.cli.artifacts import to_toml, write_run, write_text
    from anynet.cli.progress import download_bar

    options = options_of(arguments)
    recipe.optimizer_of(options)  # refused before data are fetched, if it is
    if options.threads is not None:
        set_threads(options.threads)
    silent = options.quiet or options.json
    folder = options.out or runs.default_folder(options.dataset)
    every, code = options.checkpoint_every, 0
    new = runs.new_folder(folder, numbered=options.out is None)
    with terminable(), new as scratch:
        backend = get_backend(options.backend, options.device, options.dtype, options.precision)
        with download_bar(options.dataset, silent=silent) as show:
            dataset = load_data(options, show)
        options = recipe.resolve(options, dataset, backend)
        dataset = preprocessed(dataset, preprocessing_of(options))
        ingredients = recipe.ingredients(options, dataset)
        if not silent:
            for note in dataset.notes:
                complain(note, "anynet: note: ")
            say(*introduction(options, dataset, backend))
        if every is None:
            try:
                model = train(options, dataset, backend, ingredients, silent)
            except TrainingInterrupted as stop:
                if not isinstance(stop.model, Model):  # no epoch was finished
                    raise
                model, code = stop.model, exit_code(stop)
            with runs.kept(model, scratch):
                report, result = measure(model, options, dataset)
                write_run(scratch, model, report, options, result)
        else:
            (scratch / CHECKPOINTS).mkdir()
            write_text(scratch / runs.CONFIG_FILE, to_toml(options))
    if every is not None:
        with terminable(), runs.going_on(new.path, every) as checkpoints:
            write_text(checkpoints.path / BEGINNING, to_toml(options))
            model = train(options, dataset, backend, ingredients, silent, checkpoints)
            with runs.kept(model, new.path):
                report, result = measure(model, options, dataset)
                write_run(new.path, model, report, options, result)
    tell(report, result | {"run": str(folder.with_name(new.path.name))}, options.json)
    return code


def tell(report: Report | ValueReport, result: dict[str, Any], as_json: bool) -> None:
    """Print what a run has come to."""
    if result["stopped"] == "interrupted":
        kept = f"kept epoch {result['best_epoch']}, the best of {result['epochs']}"
        complain(f"interrupted: {kept}", "anynet: ")
    if result["warning"]:
        complain(result["warning"], "anynet: warning: ")
    if as_json:
        say_json(result)
    else:
        say(f"test {_told(report)}", f"run folder {result['run']}")


def introduction(options: TrainOptions, dataset: Dataset, backend: Backend) -> list[str]:
    """Return lines that tell what is trained, on which data, and where it is computed."""
    about = backend.describe()
    sizes = [dataset.n_inputs, *options.layers, dataset.n_outputs]
    held_out = options.validation or 0
    products = f", products in {options.precision}" if options.precision else ""
    where = (
        f"{about['name']} {about['version']} on {about['device']}, {about['dtype']}"
        f"{products}: {about['reason']}"
    )
    what = (
        f"{dataset.name}: {len(dataset.train[0]) - held_out:,} rows to train on, {held_out:,} held "
        f"out, {len(dataset.test[0]):,} to test; layers {'-'.join(map(str, sizes))}"
    )
    return [where, *_target(dataset), what]


def _target(dataset: Dataset) -> list[str]:
    """Return a line on what is predicted of a table, and from which columns."""
    if dataset.preprocessing is None:
        return []
    target, encoders = dataset.preprocessing.target, dataset.preprocessing.encoders
    columns = ", ".join(f"{each.column} ({each.kind})" for each in encoders[:MOST_COLUMNS])
    if len(encoders) > MOST_COLUMNS:
        columns += f" and {len(encoders) - MOST_COLUMNS} more"
    what = f"{len(dataset.classes)} classes" if dataset.classes else "values"
    return [f"{target.task} of {target.column} ({what}) by {columns}"]


def _told(report: Report | ValueReport) -> str:
    """Say in a line how well the test set was predicted."""
    measures = report.measures()
    if isinstance(report, Report):
        beside = [
            f"{shown} {measures[name]:.4f}"
            for name, shown in (
                ("baseline_accuracy", "most frequent class"),
                ("balanced_accuracy", "balanced"),
                ("roc_auc", "ROC AUC"),
            )
            if name in measures
        ]
        return f"accuracy {measures['accuracy']:.4f}" + (
            f" ({', '.join(beside)})" if beside else ""
        )
    return (
        f"R² {measures['r2']:.4f}, error {measures['rmse']:.6g} (root of the mean square), "
        f"{measures['mae']:.6g} (mean); always predicting the mean: R² 0, error "
        f"{measures['baseline_rmse']:.6g}"
    )


def train(
    options: TrainOptions,
    dataset: Dataset,
    backend: Backend,
    ingredients: dict[str, Any],
    silent: bool,
    checkpoints: CheckpointFolder | None = None,
) -> Model:
    """Train, and show how it goes."""
    from anynet.cli.progress import ProgressBar

    training, validation = split(options, dataset)
    metric = "accuracy" if dataset.classes else "R²"
    with (
        one_memory_error(backend),
        ProgressBar(options.epochs, len(training[0]), silent=silent, metric=metric) as bar,
    ):
        return fit(
            data=training,
            validation=validation,
            **ingredients,
            epochs=options.epochs,
            batch_size=options.batch_size,
            patience=options.patience,
            target_accuracy=options.target_accuracy,
            min_delta=options.min_delta,
            clip_norm=options.clip_norm,
            average=options.average,
            max_norm=options.max_norm,
            seed=options.seed,
            backend=backend,
            resident=False if options.stream else None,
            callbacks=[bar.finish],
            progress=bar.update if bar.live else None,
            metadata=dataset.metadata | _notes(options),
            checkpoint=checkpoints,
        )


@contextmanager
def one_memory_error(backend: Backend) -> Iterator[None]:
    """Raise MemoryError for whatever the backend's library raises when memory is short."""
    try:
        yield
    except AnynetError:
        raise
    except Exception as error:
        if not isinstance(error, MemoryError) and backend.is_out_of_memory(error):
            raise MemoryError(one_line(error)) from error
        raise


def _notes(options: TrainOptions) -> dict[str, Any]:
    """Return what a model keeps of its options: what its scores are compared with."""
    return {} if options.class_weight is None else {CLASS_WEIGHT: options.class_weight}


def split(options: TrainOptions, dataset: Dataset) -> tuple[Any, Any]:
    """Hold rows out of the training set, the same for the same seed; None if none are."""
    assert options.validation is not None, "resolve the options first"
    x, y = dataset.train
    if options.validation == 0:
        return (x, y), None
    kept, held_out = train_validation_split(len(x), options.validation, options.seed)
    return (x[kept], y[kept]), (x[held_out], y[held_out])


def measure(
    model: Model, options: TrainOptions, dataset: Dataset
) -> tuple[Report | ValueReport, dict[str, Any]]:
    """Score the model on all three parts of the data."""
    assert model.history is not None
    training, validation = split(options, dataset)
    report = score(model, *dataset.test, dataset)
    records = model.history.records
    seconds = sum(record.seconds for record in records)
    weighted = options.class_weight is not None
    warnings = [model.history.warning, report.warning(weighted=weighted)]
    return report, {
        "dataset": dataset.name,
        **{f"test_{name}": value for name, value in report.measures().items()},
        f"validation_{report.metric}": None if validation is None else model.score(*validation),
        f"train_{report.metric}": model.score(*training),
        "epochs": len(records),
        "best_epoch": model.history.best_epoch,
        "stopped": model.history.stopped,
        "warning": "; ".join(filter(None, warnings)),
        "notes": list(dataset.notes),
        "seconds": seconds,
        "samples_per_second": len(training[0]) * len(records) / max(seconds, 1e-9),
        "backend": options.backend,
        "device": options.device,
        "dtype": options.dtype,
        "precision": options.precision,
    }
