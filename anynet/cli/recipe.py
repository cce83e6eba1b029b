"""From options to the objects that training takes, and to images that are preprocessed."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from anynet.augment import preprocess
from anynet.backends import Backend
from anynet.checks import did_you_mean
from anynet.cli.options import IMAGE_PARTS, KINDS, STRENGTHS, TrainOptions, flag_of
from anynet.data import Dataset, Source, dataset_names
from anynet.data.subset import TEST_FRACTION
from anynet.errors import InvalidArgumentError
from anynet.nn import Network, mlp
from anynet.nn.losses import CrossEntropy, Loss, SquaredError
from anynet.optim import Optimizer, Schedule, Warmup
from anynet.optim.optimizers import OPTIMIZERS
from anynet.optim.schedules import SCHEDULES
from anynet.training.evaluate import LOSS, scoring_of
from anynet.training.options import OPTION_NAMES, FitOptions

#: Default number of validation rows, or a tenth (of tables a fifth) of the rows if that is less.
VALIDATION_ROWS = 5000

#: Options of ``FitOptions`` that are set in the network, the optimizer and the loss instead.
IN_PARTS = ("momentum", "weight_decay", "dropout", "label_smoothing")

#: Options of ``mlp`` that have the same name there.
OF_NETWORK = ("activation", "dropout", "input_dropout", "layer_norm", "batch_norm", "initializer")


def resolve(options: TrainOptions, dataset: Dataset, backend: Backend) -> TrainOptions:
    """Replace the options that are None by values, so that the result alone repeats the run.

    Raises
    ------
    InvalidArgumentError
        If options contradict each other, or the data set has too few rows for them.
    """
    rows, is_table = len(dataset.train[0]), dataset.preprocessing is not None
    validation, scoring = options.validation, options.scoring
    if validation is None:
        part = 5 if is_table else 10  # tables are small: a tenth would be too few rows to score
        validation = max(1, min(VALIDATION_ROWS, rows // part))
    validation = rows_to_hold_out(validation, dataset)
    if validation == 0 and scoring is not None:
        message = "--scoring scores the validation rows: --validation must be at least 1"
        raise InvalidArgumentError(message)
    if options.calibrate is not None and not (validation and dataset.classes):
        message = "--calibrate fits the probabilities of classes to validation rows: " + (
            "--validation must be at least 1" if dataset.classes else "leave it out for values"
        )
        raise InvalidArgumentError(message)
    if scoring is None and is_table and validation:
        scoring = LOSS  # the most accurate epoch may be overconfident
    rate, weight_decay = options.learning_rate, options.weight_decay
    if rate is None:
        slow = 0.005 if is_table else 0.001
        rate = 0.1 if options.optimizer == "sgd" else slow
    if weight_decay is None:
        weight_decay = float(getattr(OPTIMIZERS[options.optimizer], "weight_decay", 0.0))
    return replace(
        resolve_strengths(resolve_data(options, dataset, backend)),
        validation=validation,
        scoring=scoring,
        learning_rate=rate,
        weight_decay=weight_decay,
    )


def resolve_data(options: TrainOptions, dataset: Dataset, backend: Backend) -> TrainOptions:
    """Replace the options of the data and the backend by their values."""
    test, task = options.test, options.task
    if dataset.preprocessing is not None:
        test = test.absolute() if isinstance(test, Path) else test_of(options)
        task = dataset.preprocessing.target.task
    name = options.dataset
    if name not in dataset_names():  # then it is a path
        name = str(Path(name).expanduser().absolute())
    return replace(
        options,
        dataset=name,
        test=test,
        task=task,
        data_dir=options.data_dir and options.data_dir.absolute(),
        backend=backend.name,
        device=backend.device_name(),
        stream=isinstance(dataset.train[0], Source),  # which decides the order of an epoch
    )


def test_of(options: TrainOptions) -> Any:
    """Return the share of the test rows of a table, or the path of a table of them."""
    return TEST_FRACTION if options.test is None else options.test


def rows_to_hold_out(validation: int | float, dataset: Dataset) -> int:
    """Return the number of validation rows, of which the option may be the share.

    Raises
    ------
    InvalidArgumentError
        If they leave nothing to train on.
    """
    rows = len(dataset.train[0])
    count = max(1, round(validation * rows)) if isinstance(validation, float) else validation
    if count >= rows:
        message = (
            f"--validation {validation} leaves nothing to train on: "
            f"{dataset.name} has {rows} training rows"
        )
        raise InvalidArgumentError(message)
    return count


def fit_options(options: TrainOptions, dataset: Dataset) -> FitOptions:
    """Return resolved options as those of ``fit``; options of the same name are passed on.

    Raises
    ------
    InvalidArgumentError
        If options contradict each other, or do not suit the data set.
    """
    loss = loss_of(options, dataset)
    made = {
        "optimizer": optimizer_of(options),
        "learning_rate": schedule_of(options),
        "loss": loss,
        "class_weight": class_weight_of(options, dataset),
        "scoring": scoring_of(options.scoring, loss),
        "augment": augmentations_of(options, dataset),
        "image_shape": dataset.image_shape,
        "adversarial": options.adversarial and options.adversarial / dataset.scale,
    }
    passed = [name for name in OPTION_NAMES if name in KINDS and name not in IN_PARTS]
    return FitOptions(**{name: getattr(options, name) for name in passed} | made)


def network_of(options: TrainOptions, dataset: Dataset) -> Network:
    """Return the network; the data determine its inputs and outputs."""
    scale, offset = dataset.scale, 0.0
    if options.signed_inputs:
        scale, offset = 2 * scale, -1.0
    sizes = [dataset.n_inputs, *options.layers, dataset.n_outputs]
    passed = {name: getattr(options, name) for name in OF_NETWORK}
    return mlp(sizes, scale=scale, offset=offset, **passed)


def optimizer_of(options: TrainOptions) -> Optimizer:
    """Return the optimizer.

    Raises
    ------
    InvalidArgumentError
        If an option is given that the optimizer does not have, such as momentum.
    """
    kind = OPTIMIZERS[options.optimizer]
    known = {field.name for field in fields(kind)}
    given = {name: getattr(options, name) for name in ("momentum", "nesterov", "weight_decay")}
    for name, value in given.items():
        if value and name not in known:
            message = f"{flag_of(name)} is not an option of {options.optimizer}, but of sgd"
            raise InvalidArgumentError(message)
    given["weight_decay"] = options.weight_decay or 0.0
    chosen = {name: value for name, value in given.items() if name in known}
    if not options.momentum:
        chosen.pop("momentum", None)  # the optimizer's own
    optimizer: Optimizer = kind(**chosen)
    return optimizer


def schedule_of(options: TrainOptions) -> Schedule:
    """Return the schedule of the learning rate."""
    assert options.learning_rate is not None, "resolve the options first"
    decay = options.decay
    own: dict[str, dict[str, Any]] = {
        "exponential": {"decay": decay},
        "step": {"factor": decay, "epochs": options.decay_epochs},
        "plateau": {"factor": decay, "patience": options.decay_epochs},
    }
    kind = SCHEDULES[options.schedule.replace("-", "_")]
    schedule: Schedule = kind(options.learning_rate, **own.get(options.schedule, {}))
    return Warmup(schedule, options.warmup) if options.warmup else schedule


def class_weight_of(options: TrainOptions, dataset: Dataset) -> str | dict[int, float] | None:
    """Return the factors by the numbers of the classes.

    Raises
    ------
    InvalidArgumentError
        If the data set has no classes, or none of a given name.
    """
    given = options.class_weight
    if given is None:
        return None
    if not dataset.classes:
        message = "--class-weight is an option for classes, not for values"
        raise InvalidArgumentError(message)
    if isinstance(given, str):
        return given
    factors: dict[int, float] = {}
    for item in given:
        name, _, factor = item.rpartition("=")
        if name not in dataset.classes:
            hint = did_you_mean(name, dataset.classes)
            message = f"--class-weight: {dataset.name} has no class {name!r}{hint}"
            raise InvalidArgumentError(message)
        factors[dataset.classes.index(name)] = float(factor)
    return factors


def loss_of(options: TrainOptions, dataset: Dataset) -> Loss:
    """Return the loss: cross-entropy for classes, squared error for values.

    Raises
    ------
    InvalidArgumentError
        If labels are smoothed and the data set has values.
    """
    if dataset.classes:
        return CrossEntropy(options.label_smoothing)
    if options.label_smoothing:
        message = "--label-smoothing is an option for classes, not for values"
        raise InvalidArgumentError(message)
    return SquaredError()


def resolve_strengths(options: TrainOptions) -> TrainOptions:
    """Fill in the strengths of augmentations and preprocessing that were not given.

    Raises
    ------
    InvalidArgumentError
        If the strength of something is given that the options do not ask for.
    """
    filled: dict[str, Any] = {}
    for name, (kind, field) in STRENGTHS.items():
        given, which = getattr(options, name), name.partition("_")[0]
        if kind not in getattr(options, which):
            if given not in (None, (), False):
                flag = flag_of(name)
                message = f"{flag} is of {kind}: add {kind} to --{which}, or leave {flag} out"
                raise InvalidArgumentError(message)
        elif given is None:
            filled[name] = getattr(IMAGE_PARTS[kind](), field)
    return replace(options, **filled)


def augmentations_of(options: TrainOptions, dataset: Dataset | None = None) -> tuple[Any, ...]:
    """Return the augmentations, in the order in which they are named.

    Raises
    ------
    InvalidArgumentError
        If options contradict each other, or an augmentation of images is given for other samples.
    """
    made = _image_parts(options.augment, options)
    if dataset is None:
        return made
    of_images = [one.kind for one in made if one.needs_images]
    if of_images and dataset.image_shape is None:
        message = f"{dataset.name} has no images: leave {', '.join(of_images)} out of --augment"
        raise InvalidArgumentError(message)
    classes = len(dataset.classes)
    if absent := [label for label in options.augment_halved if label >= classes]:
        message = (
            f"--augment-halved takes classes by their numbers, 0 to {classes - 1} in "
            f"{dataset.name}, got {absent[0]}"
        )
        raise InvalidArgumentError(message)
    return made


def preprocessing_of(options: TrainOptions) -> tuple[Any, ...]:
    """Return the steps of preprocessing, in the order in which they are named."""
    return _image_parts(options.preprocess, options)


def _image_parts(kinds: tuple[str, ...], options: TrainOptions) -> tuple[Any, ...]:
    options = resolve_strengths(options)
    strengths: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, (kind, field) in STRENGTHS.items():
        if kind in strengths:
            strengths[kind][field] = getattr(options, name)
    return tuple(IMAGE_PARTS[kind](**values) for kind, values in strengths.items())


def preprocessed(dataset: Dataset, steps: Sequence[Any]) -> Dataset:
    """Return the data set with all of its images preprocessed.

    Raises
    ------
    InvalidArgumentError
        If its samples are not images, or stay on disk.
    """
    if not steps:
        return dataset
    if dataset.image_shape is None:
        message = f"--preprocess {steps[0].kind} is for images, and {dataset.name} has none"
        raise InvalidArgumentError(message)
    if isinstance(dataset.train[0], Source):
        message = (
            f"--preprocess {steps[0].kind} needs the images in memory: preprocess them before, "
            f"or train without --stream"
        )
        raise InvalidArgumentError(message)
    (x, y), (x_test, y_test) = dataset.train, dataset.test
    return replace(
        dataset,
        image_steps=tuple(steps),
        train=(preprocess(x, steps, dataset.image_shape), y),
        test=(preprocess(x_test, steps, dataset.image_shape), y_test),
    )
