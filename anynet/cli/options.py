"""The options of ``anynet train``: one table, from which argparse and TOML files are both read."""

import argparse
import math
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from anynet.augment import (
    AUGMENTATIONS,
    Affine,
    Elastic,
    Erase,
    Flip,
    Mixup,
    Noise,
    NormaliseWidth,
)
from anynet.augment.common import LARGEST_DISPLACEMENT
from anynet.augment.preprocess import PREPROCESSINGS
from anynet.cli import kinds
from anynet.cli.kinds import Kind
from anynet.data.tables.kinds import KINDS as COLUMN_KINDS
from anynet.data.tables.marks import DECIMALS, THOUSANDS
from anynet.data.tables.target import TASKS
from anynet.nn import ACTIVATIONS
from anynet.nn.initializers import INITIALIZERS

SCHEDULES = ("exponential", "constant", "step", "cosine", "one-cycle", "inverse-scaling", "plateau")
OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw")

#: What is decided otherwise for tables, which have few rows and many kinds of inputs.
TABLE_DEFAULTS: dict[str, Any] = {
    "optimizer": "adam",
    "epochs": 200,
    "batch_size": 32,
    "patience": 20,
    "target_accuracy": 1.0,
}

#: Options whose defaults a named data set overrides; all others keep those of the report.
DATASET_DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {  # small and few images: new versions of them, and an average against the noise
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

_FOLDER = "the path of a folder"


def option(default: Any, kind: Kind, help: str, metavar: str | None = None) -> Any:
    """Describe one option; the name is that of the dataclass field."""
    return field(default=default, metadata={"kind": kind, "help": help, "metavar": metavar})


def _strength(default: float, limit: float, help: str) -> Any:
    """Describe the strength of an augmentation; its class's own is the default."""
    return option(None, kinds.real(0, limit), f"{help} (default: {default:g})")


@dataclass(frozen=True)
class TrainOptions:
    """Everything that decides a training run. ``None`` means: decided when the data are known."""

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
        kinds.choice(*TASKS),
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
        kinds.character(*DECIMALS),
        "decimal separator of numbers in text, '.' or ',' (default: inferred from each column)",
        "MARK",
    )
    thousands: str | None = option(
        None,
        kinds.character(*THOUSANDS),
        "thousands separator: ',', '.', ' ' or \"'\", or '' for none (default: inferred)",
        "MARK",
    )
    test: float | Path | None = option(  # noqa: RUF009
        None,
        kinds.share_or_path(),
        "share of the rows held out as the test set, or the path of a table of test rows (default: "
        "0.2)",
        "SHARE|FILE",
    )
    layers: tuple[int, ...] = option(
        (128, 64), kinds.sizes(), "sizes of the hidden layers", "SIZES"
    )
    activation: str = option(
        "relu",
        kinds.choice(*ACTIVATIONS, "scaled_tanh"),
        "activation function of the hidden layers",
    )
    initializer: str | None = option(
        None,
        kinds.choice(*INITIALIZERS),
        "distribution of the initial weights (default: chosen for the activation)",
    )
    signed_inputs: bool = option(
        False, kinds.switch(), "scaling of the inputs to [-1, 1] instead of [0, 1]"
    )
    dropout: float = option(
        0.0, kinds.fraction(), "probability of dropping a hidden unit in a step"
    )
    input_dropout: float = option(
        0.0, kinds.fraction(), "probability of dropping an input in a step"
    )
    layer_norm: bool = option(False, kinds.switch(), "layer normalisation of each hidden layer")
    optimizer: str = option("sgd", kinds.choice(*OPTIMIZERS), "optimization algorithm")
    learning_rate: float | None = option(
        None,
        kinds.real(0, positive=True),
        "initial learning rate (default: 0.1 for sgd, otherwise 0.001; 0.005 for tables)",
    )
    momentum: float = option(0.0, kinds.fraction(), "momentum of sgd")
    nesterov: bool = option(False, kinds.switch(), "Nesterov momentum for sgd")
    weight_decay: float | None = option(
        None, kinds.real(0), "coefficient of the weight decay (default: 0; 0.01 for adamw)"
    )
    schedule: str = option("exponential", kinds.choice(*SCHEDULES), "schedule of the learning rate")
    decay: float = option(
        0.95,
        kinds.real(0, 1, positive=True),
        "decay factor of the schedules exponential (applied after each epoch), step and plateau",
    )
    decay_epochs: int = option(
        2,
        kinds.whole(1),
        "number of epochs between decays (schedule step) or without improvement (plateau)",
        "EPOCHS",
    )
    warmup: float = option(
        0.0, kinds.real(0), "number of epochs in which the learning rate rises from 0", "EPOCHS"
    )
    clip_norm: float | None = option(
        None, kinds.real(0, positive=True), "maximum norm of the gradient (default: no maximum)"
    )
    max_norm: float | None = option(
        None,
        kinds.real(0, positive=True),
        "maximum norm of the incoming weights of a unit (default: no maximum)",
    )
    adversarial: float | None = option(
        None,
        kinds.real(0, positive=True),
        "size of adversarial perturbations, in inputs scaled to [0, 1]; half of the loss is that "
        "of perturbed samples (default: no perturbations)",
    )
    average: float | None = option(
        None, kinds.fraction(), "decay of the moving average of the weights (default: no average)"
    )
    label_smoothing: float = option(
        0.0, kinds.fraction(), "label smoothing: share of each label spread over all classes"
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
        kinds.some(*PREPROCESSINGS),
        "steps applied to all images, including the test set and the input of anynet predict",
        "NAMES",
    )
    preprocess_width: int | None = option(
        None, kinds.whole(1), f"width: width of the ink in pixels (default: {NormaliseWidth.width})"
    )
    augment: tuple[str, ...] = option(
        (),
        kinds.some(*AUGMENTATIONS),
        "random deformations of the training images, new in every epoch",
        "NAMES",
    )
    augment_rotation: float | None = _strength(
        Affine.rotation, 90, "affine: maximum rotation in degrees"
    )
    augment_shear: float | None = _strength(Affine.shear, 90, "affine: maximum shear in degrees")
    augment_scale: float | None = _strength(
        Affine.scale, 1, "affine: maximum relative change of size"
    )
    augment_shift: float | None = _strength(
        Affine.shift, LARGEST_DISPLACEMENT, "affine: maximum shift in pixels"
    )
    augment_halved: tuple[int, ...] = option(
        (), kinds.classes(), "affine: classes with half of the rotation and shear", "CLASSES"
    )
    augment_either: bool = option(
        False, kinds.switch(), "affine: either rotation or shear for an image, not both"
    )
    augment_alpha: float | None = _strength(
        Elastic.alpha, LARGEST_DISPLACEMENT, "elastic: strength of the deformation"
    )
    augment_sigma: float | None = option(
        None,
        kinds.real(0.5),
        f"elastic: smoothness of the deformation in pixels (default: {Elastic.sigma:g})",
    )
    augment_flip: float | None = _strength(
        Flip.probability, 1, "flip: probability of flipping an image"
    )
    augment_erase: float | None = _strength(
        Erase.area, 1, "erase: maximum share of an image that is erased"
    )
    augment_noise: float | None = _strength(
        Noise.strength, math.inf, "noise: standard deviation, relative to full ink"
    )
    augment_mixup: float | None = option(
        None,
        kinds.real(0, positive=True),
        f"mixup: parameter α of the Beta distribution (default: {Mixup.alpha:g})",
    )
    epochs: int = option(15, kinds.whole(1), "maximum number of epochs")
    batch_size: int = option(64, kinds.whole(1), "number of rows in a step", "ROWS")
    validation: int | None = option(
        None,
        kinds.whole(0),
        "number of training rows held out for validation (default: 5000, but at most a tenth of "
        "the rows, or a fifth for tables); 0: train on all rows and keep the last epoch",
        "ROWS",
    )
    scoring: str | None = option(
        None,
        kinds.text("the name of a score, such as balanced_accuracy"),
        "validation score that chooses the kept epoch: loss, or a scorer of scikit-learn such as "
        "balanced_accuracy, roc_auc or neg_log_loss (default: accuracy, or R² for values)",
        "NAME",
    )
    patience: int = option(
        5,
        kinds.whole(1),
        "number of epochs without a better validation score after which training stops",
        "EPOCHS",
    )
    min_delta: float = option(
        0.0, kinds.real(0), "minimum gain in the validation score that counts as better"
    )
    target_accuracy: float = option(
        0.99,
        kinds.real(0, 1, positive=True),
        "validation accuracy at which training stops; ignored with --scoring",
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
    dtype: str = option("float32", kinds.choice("float32", "float64"), "data type of the weights")
    precision: str | None = option(
        None,
        kinds.choice("tf32", "bfloat16", "float16"),
        "reduced precision of matrix products on GPUs (default: float32)",
    )
    threads: int | None = option(
        None,
        kinds.whole(1),
        "number of CPU threads (default: OMP_NUM_THREADS, otherwise one per core)",
    )
    stream: bool = option(
        False,
        kinds.switch(),
        "reading of the samples from disk during training, for a folder of arrays; automatic if it "
        "is larger than half of the available memory",
    )
    data_dir: Path | None = option(  # noqa: RUF009
        None, kinds.path(_FOLDER), "folder of local data files", "DIR"
    )
    out: Path | None = option(  # noqa: RUF009
        None, kinds.path(_FOLDER), "run folder to write (default: runs/DATASET-DATE-TIME)", "DIR"
    )
    json: bool = option(False, kinds.switch(), "output as one JSON object, and nothing else")
    quiet: bool = option(False, kinds.switch(), "output of the result without progress")


#: How the help of the command is divided: the first option of each part, and its title.
PARTS = {
    "target": "tables: CSV, Parquet, Arrow (defaults: "
    + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in TABLE_DEFAULTS.items())
    + ")",
    "layers": "network (the data determine its inputs and outputs)",
    "optimizer": "optimization and regularization",
    "preprocess": "preprocessing and augmentation of images",
    "epochs": "duration, validation and checkpoints",
    "backend": "backend and data",
    "json": "output",
}

KINDS: dict[str, Kind] = {each.name: each.metadata["kind"] for each in fields(TrainOptions)}


def add_options(parser: argparse.ArgumentParser, *names: str, suppress: bool | None = None) -> None:
    """Add the named options of the table to `parser`; without names all are added.

    Suppressed defaults, the rule where all are added, leave in the parsed namespace only what was
    given, so that the rest can come from a file.
    """
    suppress = not names if suppress is None else suppress
    part: argparse._ActionsContainer = parser
    for each in fields(TrainOptions):
        if not names and each.name in PARTS:
            part = parser.add_argument_group(PARTS[each.name])
        if names and each.name not in names:
            continue
        if each.name == "dataset":
            part.add_argument(
                "dataset", metavar="DATASET", nargs="?", default=argparse.SUPPRESS, help=_help(each)
            )
            continue
        flag = "--" + each.name.replace("_", "-")
        default = argparse.SUPPRESS if suppress else each.default
        how: dict[str, Any] = {"default": default, "help": _help(each)}
        if each.default is False:
            how["action"] = argparse.BooleanOptionalAction
        else:
            how["type"] = each.metadata["kind"].from_text
            how["metavar"] = each.metadata["metavar"] or each.name.rpartition("_")[2].upper()
        part.add_argument(flag, **how)


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the model of a command."""
    run = kinds.path("a run folder or a model file").from_text
    parser.add_argument("model", metavar="RUN", type=run, help="run folder or model file")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add RUN, and where its model is to compute."""
    add_run(parser)
    add_options(parser, "backend", "device", "threads")
    dtype = KINDS["dtype"].from_text
    parser.add_argument(
        "--dtype", type=dtype, help="data type: float32 or float64 (default: that of the model)"
    )


def _help(each: Field[Any]) -> str:
    """The help of one option, with its values, and its default where the text does not say it."""
    says: str = each.metadata["help"]
    default: Any = each.default
    if each.metadata["kind"].names:
        says += f": {', '.join(each.metadata['kind'].names)}"
    if default is None or default is False or default in ("", ()):
        return says
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    return f"{says} (default: {default})"
