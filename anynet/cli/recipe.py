"""From the options to the objects that training takes: network, optimizer, schedule."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from anynet.backends import Backend
from anynet.cli.augmentation import augmentations_of, resolve_strengths
from anynet.cli.kinds import did_you_mean
from anynet.cli.options import TrainOptions
from anynet.data import Dataset, Source, dataset_names
from anynet.data.splits import TEST_FRACTION
from anynet.errors import InvalidArgumentError
from anynet.nn import Network, mlp
from anynet.nn.losses import CrossEntropy, Loss, SquaredError
from anynet.optim import (
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    Exponential,
    InverseScaling,
    OneCycle,
    Optimizer,
    ReduceOnPlateau,
    RMSprop,
    Schedule,
    Step,
    Warmup,
)
from anynet.training.scoring import scoring_of

#: Of the rows for training, as many are held out by default, or a tenth (of tables a fifth) if that
#: is less.
VALIDATION_ROWS = 5000


def resolve(options: TrainOptions, dataset: Dataset, backend: Backend) -> TrainOptions:
    """Settle what was left open, so that the result alone repeats the run.

    Raises
    ------
    InvalidArgumentError
        Options do not go together, or the data set has too few rows for them.
    """
    rows, is_table = len(dataset.train[0]), dataset.preprocessing is not None
    validation = options.validation
    if validation is None:
        part = 5 if is_table else 10  # tables are small, and a score of a dozen rows is none
        validation = max(1, min(VALIDATION_ROWS, rows // part))
    if validation >= rows:
        message = (
            f"--validation {validation} leaves nothing to train on: "
            f"{dataset.name} has {rows} training rows"
        )
        raise InvalidArgumentError(message)
    if validation == 0 and options.scoring is not None:
        message = "--scoring scores the rows held out: --validation must be at least 1"
        raise InvalidArgumentError(message)
    rate, weight_decay = options.learning_rate, options.weight_decay
    if rate is None:
        slow = 0.005 if is_table else 0.001
        rate = 0.1 if options.optimizer == "sgd" else slow
    if weight_decay is None:
        weight_decay = 0.01 if options.optimizer == "adamw" else 0.0
    test, task = options.test, options.task
    if dataset.preprocessing is not None:
        test = test.absolute() if isinstance(test, Path) else test or TEST_FRACTION
        task = dataset.preprocessing.target.task
    name = options.dataset
    if name not in dataset_names():  # then it is a path
        name = str(Path(name).expanduser().absolute())
    return replace(
        resolve_strengths(options),
        dataset=name,
        test=test,
        task=task,
        data_dir=options.data_dir and options.data_dir.absolute(),
        validation=validation,
        learning_rate=rate,
        weight_decay=weight_decay,
        backend=backend.name,
        device=backend.device_name(),
        stream=isinstance(dataset.train[0], Source),  # which decides the order of an epoch
    )


def ingredients(options: TrainOptions, dataset: Dataset) -> dict[str, Any]:
    """Make the arguments of ``fit`` that are objects.

    Raises
    ------
    InvalidArgumentError
        Options do not go together.
    """
    loss = loss_of(options, dataset)
    return {
        "network": network_of(options, dataset),
        "optimizer": optimizer_of(options),
        "learning_rate": schedule_of(options),
        "loss": loss,
        "class_weight": class_weight_of(options, dataset),
        "scoring": scoring_of(options.scoring, loss),
        "augment": augmentations_of(options, dataset),
        "image_shape": dataset.image_shape,
        "adversarial": options.adversarial and options.adversarial / dataset.scale,
    }


def network_of(options: TrainOptions, dataset: Dataset) -> Network:
    """Describe the network: its inputs and outputs are those of the data."""
    scale, offset = dataset.scale, 0.0
    if options.signed_inputs:
        scale, offset = 2 * scale, -1.0
    return mlp(
        [dataset.n_inputs, *options.layers, dataset.n_outputs],
        activation=options.activation,
        dropout=options.dropout,
        input_dropout=options.input_dropout,
        layer_norm=options.layer_norm,
        initializer=options.initializer,
        scale=scale,
        offset=offset,
    )


def optimizer_of(options: TrainOptions) -> Optimizer:
    """Make the optimizer.

    Raises
    ------
    InvalidArgumentError
        Momentum is asked of an optimizer that has a rule of its own for it.
    """
    decay = options.weight_decay or 0.0
    if options.optimizer == "sgd":
        return SGD(momentum=options.momentum, nesterov=options.nesterov, weight_decay=decay)
    if options.momentum or options.nesterov:
        message = f"--momentum and --nesterov are options of sgd, not of {options.optimizer}"
        raise InvalidArgumentError(message)
    others: dict[str, Any] = {"rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}
    optimizer: Optimizer = others[options.optimizer](weight_decay=decay)
    return optimizer


def schedule_of(options: TrainOptions) -> Schedule:
    """Make the schedule of the learning rate."""
    assert options.learning_rate is not None, "resolve the options first"
    rate, decay, epochs = options.learning_rate, options.decay, options.epochs
    schedules: dict[str, Schedule] = {
        "constant": Constant(rate),
        "exponential": Exponential(rate, decay=decay),
        "step": Step(rate, factor=decay, epochs=options.decay_epochs),
        "cosine": Cosine(rate, epochs=epochs),
        "one-cycle": OneCycle(rate, epochs=epochs),
        "inverse-scaling": InverseScaling(rate),
        "plateau": ReduceOnPlateau(rate, factor=decay, patience=options.decay_epochs),
    }
    schedule = schedules[options.schedule]
    return Warmup(schedule, options.warmup) if options.warmup else schedule


def class_weight_of(options: TrainOptions, dataset: Dataset) -> str | dict[int, float] | None:
    """Return the factors by the numbers of the classes.

    Raises
    ------
    InvalidArgumentError
        There are no classes, or none of a name.
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
            near = did_you_mean(name, dataset.classes)
            message = f"--class-weight: {dataset.name} has no class {name!r}{near}"
            raise InvalidArgumentError(message)
        factors[dataset.classes.index(name)] = float(factor)
    return factors


def loss_of(options: TrainOptions, dataset: Dataset) -> Loss:
    """Make the loss: cross-entropy for classes, squared error for values.

    Raises
    ------
    InvalidArgumentError
        Labels are to be smoothed, and there are none.
    """
    if not dataset.classes:
        if options.label_smoothing:
            message = "--label-smoothing is an option for classes, not for values"
            raise InvalidArgumentError(message)
        return SquaredError()
    return CrossEntropy(options.label_smoothing)
