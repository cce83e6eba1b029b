"""The options of ``anynet train``: one table, from which argparse and TOML files are both read."""

import argparse
from collections import ChainMap
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from anynet.augment import AUGMENTATIONS
from anynet.augment.common import LARGEST_DISPLACEMENT
from anynet.augment.preprocess import PREPROCESSINGS
from anynet.backends.parallel import PARALLEL
from anynet.cli import kinds
from anynet.cli.kinds import FRACTION, SWITCH, Kind
from anynet.data.tables.kinds import KINDS as COLUMN_KINDS
from anynet.data.tables.marks import DECIMALS, THOUSANDS
from anynet.data.tables.target import TASKS
from anynet.nn import ACTIVATIONS, INITIALIZERS
from anynet.optim.optimizers import OPTIMIZERS
from anynet.optim.schedules import SCHEDULES, Warmup
from anynet.tabular import PRESETS
from anynet.training.calibration import METHODS
from anynet.training.options import TIES

#: Classes that process images, before training or in each step, by the name in an option.
IMAGE_PARTS: Any = ChainMap(AUGMENTATIONS, PREPROCESSINGS)  # type: ignore[arg-type]

#: Defaults of tables, which have few rows and several types of inputs.
TABLE_DEFAULTS: dict[str, Any] = {
    "optimizer": "adam",
    "epochs": 200,
    "batch_size": 32,
    "patience": 20,
    "target_accuracy": 1.0,
}

#: Options whose defaults a named data set overrides; all others keep those of the report.
DATASET_DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {  # few and small images: augmented, and weights averaged against the noise
        "layers": (256, 128),
        "optimizer": "adam",
        "learning_rate": 0.003,
        "epochs": 60,
        "batch_size": 32,
        "patience": 20,
        "target_accuracy": 1.0,
        "average": 0.99,
        "augment": ("affine",),
        "augment_rotation": 10.0,
        "augment_shear": 10.0,
        "augment_scale": 0.1,
        "augment_shift": 0.7,
    },
}


def option(
    default: Any,
    kind: Kind,
    help: str,
    metavar: str | None = None,
    part: tuple[str, str] | None = None,
) -> Any:
    """Return the field of one option, which has its name.

    Parameters
    ----------
    default : object
    kind : Kind
    help : str
        A noun phrase.
    metavar : str, optional
    part : (str, str), optional
        The class in ``IMAGE_PARTS`` that the option is for, and its field.
    """
    metadata = {"kind": kind, "help": help, "metavar": metavar, "part": part}
    return field(default=default, metadata=metadata)


def part_option(part: str, name: str, kind: Kind, help: str, metavar: str | None = None) -> Any:
    """Return the field of an option for a class in ``IMAGE_PARTS``, whose default it has."""
    default = getattr(IMAGE_PARTS[part], name)
    help = f"{part}: {help}"
    if type(default) in (int, float):  # decided when it is known whether the part is used
        help, default = f"{help} (default: {default:g})", None
    return option(default, kind, help, metavar, (part, name))


def schedule_names() -> list[str]:
    """Return the names of the registered schedules on the command line."""
    return [kind.replace("_", "-") for kind in SCHEDULES if kind != Warmup.kind]


def activation_names() -> list[str]:
    """Return the names of the registered activations, and of those that ``mlp`` adds."""
    return [*ACTIVATIONS, "scaled_tanh"]


#: The preset of tables, and that of a chosen number of networks.
AUTO, SIMPLE = "auto", "fast"

COUNT, POSITIVE, NOT_NEGATIVE = kinds.whole(1), kinds.real(0, positive=True), kinds.real(0)
SHARE, RATE = kinds.real(0, 1), kinds.real(0, 1, positive=True)


@dataclass(frozen=True)
class TrainOptions:
    """All options of a training run. ``None`` means: decided when the data are known."""

    dataset: str = option(
        "",
        kinds.text("the name or path of a data set"),
        "name of a data set, or path of a folder, an .npz file or a table such as .csv",
    )
    target: str | None = option(
        None, kinds.text("the name of a column"), "name of the column to predict", "COLUMN"
    )
    task: str | None = option(
        None,
        kinds.choice(lambda: TASKS),
        "kind of prediction (default: detected from the target's values)",
    )
    columns: tuple[str, ...] = option(
        (),
        kinds.assignments(COLUMN_KINDS),
        f"types of columns that override detection, such as zip=category,id=ignored; one of "
        f"{', '.join(COLUMN_KINDS)}",
        "NAME=KIND,…",
    )
    decimal: str | None = option(
        None,
        kinds.character(DECIMALS),
        "decimal separator of numbers in text, '.' or ',' (default: inferred from each column)",
        "MARK",
    )
    thousands: str | None = option(
        None,
        kinds.character(THOUSANDS),
        "thousands separator: ',', '.', ' ' or \"'\", or '' for none (default: inferred)",
        "MARK",
    )
    header: bool = option(
        True, SWITCH, "column names in the first line of a text file, otherwise column 1, column 2…"
    )
    test: float | Path | None = option(  # noqa: RUF009
        None,
        kinds.share_or_path(),
        "share of the rows held out as the test set, or the path of a table of test rows; 0: train "
        "on all rows, without a test score (default: 0.2)",
        "SHARE|FILE",
    )
    preset: str | None = option(
        None,
        kinds.choice(lambda: list(PRESETS)),
        f"networks that are trained together and predict together (default: {AUTO}, unless an "
        f"option of a single network is given, such as --layers or --epochs)",
    )
    members: int | None = option(
        None,
        COUNT,
        f"number of networks of a preset, by default {SIMPLE} (default: that of the preset)",
        "NETWORKS",
    )
    layers: tuple[int, ...] = option(
        (128, 64), kinds.whole_numbers(1, "128,64"), "sizes of the hidden layers", "SIZES"
    )
    activation: str = option(
        "relu",
        kinds.choice(activation_names),
        "activation function of the hidden layers",
    )
    initializer: str | None = option(
        None,
        kinds.choice(lambda: list(INITIALIZERS)),
        "distribution of the initial weights (default: chosen for the activation)",
    )
    signed_inputs: bool = option(
        False, SWITCH, "scaling of the inputs to [-1, 1] instead of [0, 1]"
    )
    dropout: float = option(0.0, FRACTION, "probability of dropping a hidden unit in a step")
    input_dropout: float = option(0.0, FRACTION, "probability of dropping an input in a step")
    layer_norm: bool = option(False, SWITCH, "layer normalisation of each hidden layer")
    batch_norm: bool = option(False, SWITCH, "batch normalisation of each hidden layer")
    optimizer: str = option("sgd", kinds.choice(lambda: list(OPTIMIZERS)), "optimization algorithm")
    learning_rate: float | None = option(
        None,
        POSITIVE,
        "initial learning rate (default: 0.1 for sgd, otherwise 0.001; 0.005 for tables)",
    )
    momentum: float = option(0.0, FRACTION, "momentum of sgd")
    nesterov: bool = option(False, SWITCH, "Nesterov momentum for sgd")
    weight_decay: float | None = option(
        None, NOT_NEGATIVE, "coefficient of the weight decay (default: 0; 0.01 for adamw)"
    )
    schedule: str = option(
        "exponential", kinds.choice(schedule_names), "schedule of the learning rate"
    )
    decay: float = option(
        0.95,
        RATE,
        "decay factor of the schedules exponential (applied after each epoch), step and plateau",
    )
    decay_epochs: int = option(
        2,
        COUNT,
        "number of epochs between decays (schedule step) or without improvement (plateau)",
        "EPOCHS",
    )
    warmup: float = option(
        0.0, NOT_NEGATIVE, "number of epochs in which the learning rate rises from 0", "EPOCHS"
    )
    clip_norm: float | None = option(
        None, POSITIVE, "maximum norm of the gradient (default: no maximum)"
    )
    max_norm: float | None = option(
        None, POSITIVE, "maximum norm of the incoming weights of a unit (default: no maximum)"
    )
    adversarial: float | None = option(
        None,
        POSITIVE,
        "size of adversarial perturbations, in inputs scaled to [0, 1]; half of the loss is that "
        "of perturbed samples (default: no perturbations)",
    )
    average: float | None = option(
        None, FRACTION, "decay of the moving average of the weights (default: no average)"
    )
    label_smoothing: float = option(
        0.0, FRACTION, "label smoothing: share of each label spread over all classes"
    )
    class_weight: str | tuple[str, ...] | None = option(
        None,
        kinds.class_weights(),
        "balanced, or the factor of each class in the loss and the validation score, as yes=3,no=1 "
        "(default: 1)",
        "WEIGHTS",
    )
    preprocess: tuple[str, ...] = option(
        (),
        kinds.some(lambda: list(PREPROCESSINGS)),
        "steps applied to all images, including the test set and the input of anynet predict",
        "NAMES",
    )
    preprocess_width: int | None = part_option(
        "width", "width", COUNT, "width of the ink in pixels"
    )
    augment: tuple[str, ...] = option(
        (),
        kinds.some(lambda: list(AUGMENTATIONS)),
        "random deformations of the training images, new in every epoch",
        "NAMES",
    )
    augment_rotation: float | None = part_option(
        "affine", "rotation", kinds.real(0, 90), "maximum rotation in degrees"
    )
    augment_shear: float | None = part_option(
        "affine", "shear", kinds.real(0, 90), "maximum shear in degrees"
    )
    augment_scale: float | None = part_option(
        "affine", "scale", SHARE, "maximum relative change of size"
    )
    augment_shift: float | None = part_option(
        "affine", "shift", kinds.real(0, LARGEST_DISPLACEMENT), "maximum shift in pixels"
    )
    augment_halved: tuple[int, ...] = part_option(
        "affine",
        "halved",
        kinds.whole_numbers(0, "1,7"),
        "classes with half of the rotation and shear",
        "CLASSES",
    )
    augment_either: bool = part_option(
        "affine", "either", SWITCH, "either rotation or shear for an image, not both"
    )
    augment_alpha: float | None = part_option(
        "elastic", "alpha", kinds.real(0, LARGEST_DISPLACEMENT), "strength of the deformation"
    )
    augment_sigma: float | None = part_option(
        "elastic", "sigma", kinds.real(0.5), "smoothness of the deformation in pixels"
    )
    augment_flip: float | None = part_option(
        "flip", "probability", SHARE, "probability of flipping an image"
    )
    augment_erase: float | None = part_option(
        "erase", "area", SHARE, "maximum share of an image that is erased"
    )
    augment_noise: float | None = part_option(
        "noise", "strength", NOT_NEGATIVE, "standard deviation, relative to full ink"
    )
    augment_mixup: float | None = part_option(
        "mixup", "alpha", POSITIVE, "parameter α of the Beta distribution"
    )
    epochs: int = option(15, COUNT, "maximum number of epochs")
    batch_size: int = option(64, COUNT, "number of rows in a step", "ROWS")
    drop_last: bool = option(
        False, SWITCH, "omission of the rows that do not fill a batch, other ones in each epoch"
    )
    validation: int | float | None = option(
        None,
        kinds.count_or_share(),
        "number or share of the training rows held out for validation (default: 5000, but at most "
        "a tenth of the rows, or a fifth for tables; a fifth for each network of a preset); 0: "
        "train on all rows and keep the last epoch",
        "ROWS|SHARE",
    )
    scoring: str | None = option(
        None,
        kinds.text("the name of a score, such as balanced_accuracy"),
        "validation score that chooses the kept epoch: loss, or a scorer of scikit-learn such as "
        "balanced_accuracy, roc_auc or neg_log_loss (default: loss for tables, otherwise accuracy)",
        "NAME",
    )
    ties: str = option(
        "first",
        kinds.choice(lambda: TIES),
        "kept epoch among those with the same best validation score: first or last",
    )
    calibrate: str | None = option(
        None,
        kinds.choice(lambda: METHODS),
        "calibration of the probabilities by the validation rows, after training (default: none)",
        "METHOD",
    )
    patience: int = option(
        5,
        COUNT,
        "number of epochs without a better validation score after which training stops",
        "EPOCHS",
    )
    min_delta: float = option(
        0.0, NOT_NEGATIVE, "minimum gain in the validation score that counts as better"
    )
    target_accuracy: float = option(
        0.99, RATE, "validation accuracy at which training stops; ignored with --scoring"
    )
    time_limit: float | None = option(
        None,
        POSITIVE,
        "training time in seconds after which training ends with the epoch (default: no limit)",
        "SECONDS",
    )
    checkpoint_every: int | str | None = option(
        None,
        kinds.interval(),
        "number of epochs, or of minutes as 10min, between checkpoints (default: no checkpoints)",
        "N",
    )
    seed: int = option(
        0,
        kinds.whole(0),
        "seed of the weights, the order of the rows, dropout and the held-out rows",
    )
    backend: str = option(
        "auto", kinds.text("the name of a backend"), "array library: numpy, cupy, torch, jax"
    )
    device: str | None = option(
        None,
        kinds.text("a device"),
        "device such as cpu, cuda, cuda:1, mps (default: chosen by the backend)",
    )
    dtype: str = option(
        "float32", kinds.choice(lambda: ("float32", "float64")), "data type of the weights"
    )
    precision: str | None = option(
        None,
        kinds.choice(lambda: ("tf32", "bfloat16", "float16")),
        "reduced precision of matrix products on GPUs (default: float32)",
    )
    threads: int | None = option(
        None, COUNT, "number of CPU threads (default: OMP_NUM_THREADS, otherwise one per core)"
    )
    parallel: str | None = option(
        None,
        kinds.choice(lambda: PARALLEL),
        "division of each batch: mpi among processes of mpiexec or srun, torch of torchrun, jax "
        "among all devices of JAX; auto: what the backend and the launcher show (default: one "
        "process)",
        "ENGINE",
    )
    stream: bool = option(
        False,
        SWITCH,
        "reading of the samples from disk during training, for a folder of arrays; automatic if it "
        "is larger than half of the available memory",
    )
    data_dir: Path | None = option(  # noqa: RUF009
        None, kinds.FOLDER, "folder of local data files", "DIR"
    )
    out: Path | None = option(  # noqa: RUF009
        None, kinds.FOLDER, "run folder to write (default: runs/DATASET-DATE-TIME)", "DIR"
    )
    log: tuple[str, ...] = option(
        (),
        kinds.log_targets(),
        "record of each epoch, in FILE.csv, FILE.jsonl, tensorboard:DIR, mlflow or "
        "mlflow:EXPERIMENT; several with commas",
        "TARGETS",
    )
    json: bool = option(False, SWITCH, "output as one JSON object, and nothing else")
    quiet: bool = option(False, SWITCH, "output of the result without progress")


#: Options of presets alone, and those that presets share with single networks.
OF_PRESETS = ("preset", "members")
WITH_PRESETS = (
    *("dataset", "target", "task", "columns", "decimal", "thousands", "header", "test"),
    *("class_weight", "validation", "scoring", "calibrate", "time_limit", "checkpoint_every"),
    *("seed", "backend", "device", "dtype", "precision", "threads", "parallel", "stream"),
    *("data_dir", "out", "log", "json", "quiet"),
)

#: Other names of options on the command line and in files.
ALIASES = {"eval_metric": "scoring"}

#: Sections of the help: the first option of each, and its title.
SECTIONS = {
    "target": "tables: CSV, Parquet, Arrow (defaults of a single network: "
    + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in TABLE_DEFAULTS.items())
    + ")",
    "layers": "network (the data determine its inputs and outputs)",
    "optimizer": "optimization and regularization",
    "preprocess": "preprocessing and augmentation of images",
    "epochs": "duration, validation and checkpoints",
    "backend": "backend and data",
    "log": "output",
}

KINDS: dict[str, Kind] = {each.name: each.metadata["kind"] for each in fields(TrainOptions)}

#: Options of one of IMAGE_PARTS: its name, and the field that the option sets.
STRENGTHS: dict[str, tuple[str, str]] = {
    each.name: each.metadata["part"] for each in fields(TrainOptions) if each.metadata["part"]
}


def flag_of(name: str) -> str:
    """Return the flag of an option: ``--learning-rate`` of learning_rate."""
    return "--" + name.replace("_", "-")


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of ``TrainOptions`` among parsed arguments."""
    return {name: value for name, value in vars(arguments).items() if name in KINDS}


def add_options(parser: argparse.ArgumentParser, *names: str, suppress: bool = True) -> None:
    """Add the named options of the table to a parser, or all of them, in sections.

    Parameters
    ----------
    parser : ArgumentParser
    names : str
    suppress : bool
        Whether options that are not given are absent from the parsed arguments, so that a file or
        the data set can set them.
    """
    section: argparse._ActionsContainer = parser
    for each in fields(TrainOptions):
        if not names and each.name in SECTIONS:
            section = parser.add_argument_group(SECTIONS[each.name])
        if names and each.name not in names:
            continue
        default = argparse.SUPPRESS if suppress else each.default
        how: dict[str, Any] = {"default": default, "help": _help(each)}
        if each.name == "dataset":
            section.add_argument("dataset", metavar="DATASET", nargs="?", **how)
            continue
        if isinstance(each.default, bool):
            how["action"] = argparse.BooleanOptionalAction
        else:
            how["type"] = each.metadata["kind"].from_text
            how["metavar"] = each.metadata["metavar"] or each.name.rpartition("_")[2].upper()
        others = [other for other, name in ALIASES.items() if name == each.name]
        section.add_argument(*map(flag_of, [each.name, *others]), **how)


def add_value(parser: argparse.ArgumentParser, flag: str, kind: Kind, **how: Any) -> None:
    """Add an argument of one command whose values are of a kind."""
    parser.add_argument(flag, type=kind.from_text, **how)


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--json``; `what` names the output."""
    parser.add_argument("--json", action="store_true", help=f"output as {what}, and nothing else")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the model of a command."""
    kind = kinds.path("a run folder or a model file")
    add_value(parser, "model", kind, metavar="RUN", help="run folder or model file")


def add_data(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add DATASET to a command that needs one, or that has a default, in words."""
    what = "name of a data set, or path of a folder, an .npz file or a table"
    if default is None:
        parser.add_argument("dataset", metavar="DATASET", help=what)
    else:
        help = f"{what} (default: {default})"
        parser.add_argument("dataset", metavar="DATASET", nargs="?", help=help)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add RUN, and the options of the backend that loads its model."""
    add_model(parser)
    add_options(parser, "backend", "device", "threads", suppress=False)
    what = "data type: float32 or float64 (default: that of the model)"
    add_value(parser, "--dtype", KINDS["dtype"], help=what)


def _help(each: Field[Any]) -> str:
    """Return the help of an option with its values, and its default unless the text states it."""
    text: str = each.metadata["help"]
    default: Any = each.default
    if names := each.metadata["kind"].names():
        text += f": {', '.join(names)}"
    if default is None or isinstance(default, bool) or default in ("", ()):
        return text
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    return f"{text} (default: {default})"
