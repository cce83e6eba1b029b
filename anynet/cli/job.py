"""One training run: its options, data set and backend, from loading to scoring."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from anynet.backends import Backend, find_group, get_backend, set_threads
from anynet.cli import recipe, runs
from anynet.cli.models import AnyModel, histories_of
from anynet.cli.options import DATASET_DEFAULTS, OF_PRESETS, TABLE_DEFAULTS, TrainOptions
from anynet.cli.progress import ProgressBar, download_bar
from anynet.cli.reports import CLASS_WEIGHT, Report, class_report, row_report
from anynet.cli.terminal import complain, say, warn
from anynet.cli.value_report import ValueReport
from anynet.data import Dataset, dataset_names, load_dataset
from anynet.data.fetch import Progress
from anynet.data.files import in_unicode, one_line
from anynet.data.read import is_too_large, open_dataset
from anynet.data.subset import stratified_split, train_validation_split
from anynet.data.tables import is_table, load_tabular_dataset, read_table
from anynet.data.tables.table import some
from anynet.errors import AnynetError, InvalidArgumentError
from anynet.tabular import get_preset
from anynet.training import Model, calibrate, fit, resume
from anynet.training.calibration import TEMPERATURE
from anynet.training.checkpoint.folder import CheckpointFolder
from anynet.training.checkpoint.snapshot import GIVEN
from anynet.training.history import Callback

#: Columns of a table that are listed when training begins.
MOST_COLUMNS = 12

TABLE_OPTIONS = ("target", "task", "columns", "decimal", "thousands", "header", "test")


@dataclass(frozen=True)
class Job:
    """A training run of the command line.

    Attributes
    ----------
    given : TrainOptions
        The options as the user gave them.
    dataset : Dataset
        The data set, its images preprocessed.
    backend : Backend
    """

    given: TrainOptions
    dataset: Dataset
    backend: Backend

    @classmethod
    def load(cls, options: TrainOptions, *, silent: bool) -> "Job":
        """Make the backend, and load and preprocess the data set.

        Raises
        ------
        BackendError
            If the backend does not work here.
        DataError
            If the data are absent or damaged.
        InvalidArgumentError
            If options do not suit the data set.
        """
        if options.threads is not None:
            set_threads(options.threads)
        backend = get_backend(options.backend, options.device, options.dtype, options.precision)
        with download_bar(options.dataset, silent=silent) as show:
            dataset = load_data(options, show)
        steps = recipe.preprocessing_of(options)
        return cls(options, recipe.preprocessed(dataset, steps), backend)

    @cached_property
    def options(self) -> TrainOptions:
        """The options that repeat the run, see ``recipe.resolve``."""
        return recipe.resolve(self.given, self.dataset, self.backend)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The network and the options of ``fit``."""
        network = recipe.network_of(self.options, self.dataset)
        return {"network": network, **vars(recipe.fit_options(self.options, self.dataset))}

    def changed(self, **options: Any) -> "Job":
        """Return the job with other options, on the same data and backend."""
        return replace(self, given=replace(self.given, **options))

    @property
    def held_out(self) -> int:
        """The number of validation rows."""
        return int(self.options.validation or 0)

    @property
    def title(self) -> str:
        """What is trained on what, for pictures."""
        sizes = [self.dataset.n_inputs, *self.options.layers, self.dataset.n_outputs]
        return f"{in_unicode(self.dataset.name)}, {'-'.join(map(str, sizes))}"

    def introduce(self) -> None:
        """Print what is trained, on which data and where, and notes on the data."""
        options, dataset = self.options, self.dataset
        for note in dataset.notes:
            complain(note, "anynet: note: ")
        about, group = self.backend.describe(), find_group(options.parallel, self.backend)
        products = f", products in {options.precision}" if options.precision else ""
        say(
            f"{about['name']} {about['version']} on {about['device']}, {about['dtype']}{products}: "
            f"{'; '.join(filter(None, [about['reason'], group.reason]))}",
            *_describe_table(dataset),
            *self.plan(),
        )

    def plan(self) -> list[str]:
        """Return lines on the rows and the network."""
        options, dataset = self.options, self.dataset
        sizes = [dataset.n_inputs, *options.layers, dataset.n_outputs]
        rows = (
            f"{dataset.name}: {len(dataset.train[0]) - self.held_out:,} rows to train on, "
            f"{self.held_out:,} held out, {len(dataset.test[0]):,} to test"
            f"{share_of_test(options)}; layers {'-'.join(map(str, sizes))}"
        )
        if dataset.preprocessing is None:
            return [rows]
        return [rows, "a single network, as its options ask for; without them: preset auto"]

    def train(
        self,
        *,
        silent: bool,
        checkpoints: CheckpointFolder | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Model:
        """Train with a progress bar, from the newest checkpoint if there is one."""
        options, data = self.options, self.dataset.train
        validation: Any = options.validation or None
        begun = find_group(options.parallel, self.backend).decide(lambda: _begun(checkpoints))
        if begun is not None:
            own_arrays = begun["validation"] == GIVEN
            validation = None  # the checkpoint has the number
        else:
            is_table = self.dataset.preprocessing is not None  # its split is stratified
            balanced = options.class_weight == "balanced"
            own_arrays = validation is not None and (is_table or balanced)
        if own_arrays:  # each part has balanced weights of its own, or an earlier version began it
            data, validation = self._split_copies()
        with self._shown(silent) as bar:
            how: dict[str, Any] = {
                "validation": validation,
                "backend": self.backend,
                "parallel": options.parallel,
                "resident": False if options.stream else None,
                "callbacks": [bar.finish, *callbacks],
                "progress": bar.update if bar.live else None,
            }
            if begun is not None:
                return resume(checkpoints, data, epochs=options.epochs, **how)
            weights = {CLASS_WEIGHT: options.class_weight} if options.class_weight else {}
            return fit(
                data=data,
                metadata=self.dataset.metadata | weights,
                checkpoint=checkpoints,
                **self.arguments,
                **how,
            )

    def calibrated(self, model: AnyModel) -> AnyModel:
        """Return a trained model calibrated by the validation rows, if the options ask for it.

        A warning reports rows that determine no temperature.
        """
        if self.options.calibrate is None:
            return model
        (x, y), (_, held_out) = self.dataset.train, self.split()
        try:
            return calibrate(model, (x[held_out], y[held_out]))
        except InvalidArgumentError as error:
            warn(f"the model is not calibrated: {error}")
            return model

    @contextmanager
    def _shown(self, silent: bool) -> Iterator[ProgressBar]:
        """Show progress in the block."""
        metric = "accuracy" if self.dataset.classes else "R²"
        rows = len(self.dataset.train[0]) - self.held_out
        bar = ProgressBar(self.options.epochs, rows, silent=silent, metric=metric)
        with self.memory_errors(), closing(bar):
            yield bar

    @contextmanager
    def memory_errors(self) -> Iterator[None]:
        """Raise MemoryError for errors of memory of any library in the block."""
        try:
            yield
        except (AnynetError, MemoryError):
            raise
        except Exception as error:
            if self.backend.is_out_of_memory(error):
                raise MemoryError(one_line(error)) from error
            raise

    def split(self, seed: int | None = None) -> tuple[Any, Any]:
        """Return the indices of the rows to train on and of those held out.

        They are those of ``fit``; but those of tables, which are small, are stratified.
        """
        rows, seed = len(self.dataset.train[0]), self.options.seed if seed is None else seed
        if not self.held_out:
            return np.arange(rows), np.arange(0)
        if self.dataset.preprocessing is not None:
            return stratified_split(self.dataset.train[1], self.held_out, seed)
        return train_validation_split(rows, self.held_out, seed)

    def _split_copies(self) -> tuple[Any, Any]:
        (x, y), (kept, held_out) = self.dataset.train, self.split()
        return (x[kept], y[kept]), (x[held_out], y[held_out])

    def measure(self, model: AnyModel) -> tuple[Report | ValueReport | None, dict[str, Any]]:
        """Score a trained model on all parts of the data.

        Returns
        -------
        report : Report, ValueReport or None
            Of the test set; None if there is none.
        result : dict
            The numbers that the command prints and records.
        """
        options, test = self.options, self.dataset.test
        preprocessing = self.dataset.preprocessing
        report: Report | ValueReport | None = None
        if preprocessing is None:
            report = class_report(model, *test, self.dataset.classes)
        elif len(test[0]):
            report = row_report(model, *test, preprocessing)
        trained = self.trained(model)
        warnings = [trained.pop("warning", "")]
        measured: dict[str, float] = {}
        if report is not None:
            measured = report.measures()
            warnings.append(report.warning(weighted=options.class_weight is not None))
        records = [record for history in histories_of(model) for record in history.records]
        seconds = sum(record.seconds for record in records)
        rows = len(self.dataset.train[0]) - self.held_out
        return report, {
            "dataset": self.dataset.name,
            **{f"test_{name}": value for name, value in measured.items()},
            **trained,
            "warning": "; ".join(filter(None, warnings)),
            "notes": list(self.dataset.notes),
            "seconds": seconds,
            "samples_per_second": rows * len(records) / max(seconds, 1e-9),
            **{n: getattr(options, n) for n in ("backend", "device", "dtype", "precision")},
        }

    @property
    def metric(self) -> str:
        """The name of the scores in results."""
        return "accuracy" if self.dataset.classes else "r2"

    def trained(self, model: Any) -> dict[str, Any]:
        """Return the results of training: the scores of its rows, and its epochs."""
        (x, y), (history,) = self.dataset.train, histories_of(model)
        kept, held_out = self.split()
        predicted = np.asarray(model.predict(x))
        return {
            f"validation_{self.metric}": self._score(y[held_out], predicted[held_out]),
            f"train_{self.metric}": self._score(y[kept], predicted[kept]),
            "epochs": len(history.records),
            "best_epoch": history.best_epoch,
            "stopped": history.stopped,
            TEMPERATURE: model.metadata.get(TEMPERATURE),
            "warning": history.warning,
        }

    def _score(self, true: Any, predicted: Any) -> float | None:
        """Return accuracy or R²; None without rows."""
        if not len(true):
            return None
        if self.dataset.classes:
            return float(np.mean(true == predicted))
        return ValueReport(true, predicted, "").score


def _begun(checkpoints: CheckpointFolder | None) -> dict[str, Any] | None:
    """Return the arguments of the run that continues; None for a run that begins."""
    if checkpoints is None or not checkpoints.files():
        return None
    arguments: dict[str, Any] = checkpoints.newest().content["arguments"]
    return arguments


def share_of_test(options: TrainOptions) -> str:
    """Return how the test rows of a table were chosen, for a printed line."""
    share = options.test
    if not isinstance(share, float):
        return ""
    return f" (--test {share:g}: a share of all rows)" if share else " (--test 0: no test score)"


def _describe_table(dataset: Dataset) -> list[str]:
    """Return a line on the target of a table and the columns that predict it."""
    if dataset.preprocessing is None:
        return []
    target, encoders = dataset.preprocessing.target, dataset.preprocessing.encoders
    columns = ", ".join(f"{each.column} ({each.kind})" for each in encoders[:MOST_COLUMNS])
    if len(encoders) > MOST_COLUMNS:
        columns += f" and {len(encoders) - MOST_COLUMNS} more"
    what = f"{len(dataset.classes)} classes" if dataset.classes else "values"
    return [f"{target.task} of {target.column} ({what}) by {columns}"]


def defaults_for(values: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults that the data set overrides, given the options that were chosen.

    A default learning rate belongs to the default optimizer, and strengths of augmentations belong
    to the default augmentations: where others are chosen, the general defaults apply. Momentum is
    an option of SGD, and chooses it.
    """
    defaults = table_defaults(values) or DATASET_DEFAULTS.get(values.get("dataset", ""), {})
    dropped: set[str] = set()
    if {"optimizer", "momentum", "nesterov"} & {*values}:
        dropped |= {"optimizer", "learning_rate"}
    if "augment" in values:
        dropped |= {name for name in defaults if name.startswith("augment")}
    return {name: default for name, default in defaults.items() if name not in dropped}


def table_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of tables if the data set is one, otherwise none."""
    dataset = values.get("dataset", "")
    return TABLE_DEFAULTS if values.get("target") is not None or is_table(dataset) else {}


def load_data(options: TrainOptions, progress: Progress | None = None) -> Dataset:
    """Load the data set that the options name: a table if it has a target.

    Raises
    ------
    InvalidArgumentError
        If options of tables are given for another data set, a table has no target, or the name is
        that of a run or a configuration.
    DataError
        If the data are absent, damaged, or nothing can be learnt from them.
    """
    name = options.dataset
    runs.refuse_as_data(name)
    if name in dataset_names() or (options.target is None and not is_table(name)):
        given = [each for each in TABLE_OPTIONS if getattr(options, each) not in (None, (), True)]
        given += [each for each in reversed(OF_PRESETS) if getattr(options, each) is not None]
        if given:
            message = f"--{given[0]} is an option of tables, and {name!r} is not a table"
            raise InvalidArgumentError(message)
        return load_samples(name, options.data_dir, progress, stream=options.stream)
    if options.stream:
        message = (
            "--stream is for folders of arrays: tables are encoded in memory; those of numbers "
            "alone are streamed from Python, by anynet.open_source"
        )
        raise InvalidArgumentError(message)
    if options.target is None:
        has = some(read_table(name, header=options.header).columns)
        message = f"choose the column of {name} to predict, by --target COLUMN: it has {has}"
        raise InvalidArgumentError(message)
    return load_tabular_dataset(
        name,
        options.target,
        task=options.task,
        columns=dict(each.rpartition("=")[::2] for each in options.columns),
        test=recipe.test_of(options),
        decimal=options.decimal,
        thousands=options.thousands,
        header=options.header,
        encoding=get_preset(options.preset).encoding if options.preset else None,
    )


def load_samples(
    name: str, data_dir: Path | None, progress: Progress | None = None, *, stream: bool = False
) -> Dataset:
    """Load a data set other than a table; open it on disk if asked to, or if it is too large."""
    if stream or (name not in dataset_names() and is_too_large(name)):
        return open_dataset(name)
    return load_dataset(name, data_dir, progress=progress)
