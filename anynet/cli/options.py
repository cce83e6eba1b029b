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
from anynet.augment.preprocess import PREPROCESSINGS
from anynet.cli import kinds
from anynet.cli.kinds import Kind
from anynet.data.tables.kinds import KINDS as COLUMN_KINDS
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
        "name, folder, .npz, or table such as .csv",
    )
    target: str | None = option(
        None, kinds.text("the name of a column"), "the column to predict", "COLUMN"
    )
    task: str | None = option(
        None, kinds.choice(*TASKS), "what to predict of it (default: as its values suggest)"
    )
    columns: tuple[str, ...] = option(
        (),
        kinds.assignments(COLUMN_KINDS),
        f"what columns hold, if not what their values suggest, as zip=category,id=ignored; one of "
        f"{', '.join(COLUMN_KINDS)}",
        "NAME=KIND,…",
    )
    test: float | Path | None = option(  # noqa: RUF009
        None,
        kinds.share_or_path(),
        "share of the rows to hold out for the test, or a table of test rows (default: 0.2)",
        "SHARE|FILE",
    )
    layers: tuple[int, ...] = option(
        (128, 64), kinds.sizes(), "sizes of the hidden layers", "SIZES"
    )
    activation: str = option(
        "relu", kinds.choice(*ACTIVATIONS, "scaled_tanh"), "of the hidden layers"
    )
    initializer: str | None = option(
        None, kinds.choice(*INITIALIZERS), "of the weights (default: what suits the activation)"
    )
    signed_inputs: bool = option(
        False, kinds.switch(), "images as numbers in [-1, 1] instead of [0, 1]"
    )
    dropout: float = option(0.0, kinds.fraction(), "share of hidden units dropped in a step")
    input_dropout: float = option(0.0, kinds.fraction(), "share of inputs dropped in a step")
    layer_norm: bool = option(False, kinds.switch(), "normalise each hidden layer")
    optimizer: str = option("sgd", kinds.choice(*OPTIMIZERS), "how gradients become updates")
    learning_rate: float | None = option(
        None,
        kinds.real(0, positive=True),
        "step size (default: 0.1 for sgd, else 0.001, or 0.005 for tables)",
    )
    momentum: float = option(0.0, kinds.fraction(), "of sgd")
    nesterov: bool = option(False, kinds.switch(), "look ahead along the momentum")
    weight_decay: float | None = option(
        None, kinds.real(0), "pull of the weights to zero (default: 0; 0.01 for adamw)"
    )
    schedule: str = option("exponential", kinds.choice(*SCHEDULES), "of the learning rate")
    decay: float = option(
        0.95, kinds.real(0, 1, positive=True), "factor of exponential (each epoch), step, plateau"
    )
    decay_epochs: int = option(
        2, kinds.whole(1), "step: epochs between cuts; plateau: epochs to wait", "EPOCHS"
    )
    warmup: float = option(0.0, kinds.real(0), "epochs in which the rate rises from 0", "EPOCHS")
    clip_norm: float | None = option(
        None, kinds.real(0, positive=True), "longest gradient allowed (default: any)"
    )
    max_norm: float | None = option(
        None, kinds.real(0, positive=True), "longest incoming weights of a unit (default: any)"
    )
    adversarial: float | None = option(
        None,
        kinds.real(0, positive=True),
        "distance to samples of larger loss, which are half of it; in inputs scaled to [0, 1]",
    )
    average: float | None = option(
        None, kinds.fraction(), "decay of a moving average of the weights (default: no average)"
    )
    label_smoothing: float = option(0.0, kinds.fraction(), "share of each label spread over all")
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
        "done to all images, those of the test set and of anynet predict too",
        "NAMES",
    )
    preprocess_width: int | None = option(
        None, kinds.whole(1), f"width: of the ink, in pixels (default: {NormaliseWidth.width})"
    )
    augment: tuple[str, ...] = option(
        (), kinds.some(*AUGMENTATIONS), "new versions of the images in every epoch", "NAMES"
    )
    augment_rotation: float | None = _strength(Affine.rotation, 90, "affine: degrees at most")
    augment_shear: float | None = _strength(Affine.shear, 90, "affine: slant in degrees at most")
    augment_scale: float | None = _strength(Affine.scale, 1, "affine: share of either side at most")
    augment_shift: float | None = _strength(Affine.shift, math.inf, "affine: pixels at most")
    augment_halved: tuple[int, ...] = option(
        (), kinds.classes(), "affine: classes that turn and slant by half as much", "CLASSES"
    )
    augment_either: bool = option(False, kinds.switch(), "affine: turn or slant, never both")
    augment_alpha: float | None = _strength(Elastic.alpha, math.inf, "elastic: size")
    augment_sigma: float | None = option(
        None, kinds.real(0.5), f"elastic: smoothness in pixels (default: {Elastic.sigma:g})"
    )
    augment_flip: float | None = _strength(Flip.probability, 1, "flip: share of the images")
    augment_erase: float | None = _strength(Erase.area, 1, "erase: share of an image at most")
    augment_noise: float | None = _strength(Noise.strength, math.inf, "noise: as a share of ink")
    augment_mixup: float | None = option(
        None, kinds.real(0, positive=True), f"mixup: of Beta's (default: {Mixup.alpha:g})"
    )
    epochs: int = option(15, kinds.whole(1), "passes over the training rows, at most")
    batch_size: int = option(64, kinds.whole(1), "rows in a step", "ROWS")
    validation: int | None = option(
        None,
        kinds.whole(0),
        "training rows held out (default: 5000, or a tenth if fewer; a fifth for tables); with 0 "
        "all are trained on, and the last epoch is kept",
        "ROWS",
    )
    scoring: str | None = option(
        None,
        kinds.text("the name of a score, such as balanced_accuracy"),
        "validation score that chooses the kept epoch: loss, or a scorer of scikit-learn such as "
        "balanced_accuracy, roc_auc or neg_log_loss (default: accuracy, or R² for values)",
        "NAME",
    )
    patience: int = option(5, kinds.whole(1), "epochs without a better validation score", "EPOCHS")
    min_delta: float = option(0.0, kinds.real(0), "least gain that counts as better")
    target_accuracy: float = option(
        0.99,
        kinds.real(0, 1, positive=True),
        "validation accuracy that ends training; ignored with --scoring",
    )
    checkpoint_every: int | str | None = option(
        None, kinds.interval(), "epochs or minutes (10min) between checkpoints (default: none)", "N"
    )
    seed: int = option(0, kinds.whole(0), "of weights, order, dropout and the held-out rows")
    backend: str = option("auto", kinds.text("the name of a backend"), "numpy, cupy, torch, jax")
    device: str | None = option(None, kinds.text("a device"), "cpu, cuda, cuda:1, mps")
    dtype: str = option("float32", kinds.choice("float32", "float64"), "of the weights")
    precision: str | None = option(
        None, kinds.choice("tf32", "bfloat16", "float16"), "of products on GPUs (default: float32)"
    )
    threads: int | None = option(
        None, kinds.whole(1), "of the CPU (default: OMP_NUM_THREADS, else one a core)"
    )
    stream: bool = option(
        False,
        kinds.switch(),
        "read the samples from disk while training: a folder of arrays, on its own if it is "
        "larger than half of the free memory",
    )
    data_dir: Path | None = option(  # noqa: RUF009
        None, kinds.path(_FOLDER), "where local data files are", "DIR"
    )
    out: Path | None = option(  # noqa: RUF009
        None, kinds.path(_FOLDER), "the run folder (default: runs/DATASET-DATE-TIME)", "DIR"
    )
    json: bool = option(False, kinds.switch(), "print one JSON object and nothing else")
    quiet: bool = option(False, kinds.switch(), "print the result, but no progress")


#: How the help of the command is divided: the first option of each part, and its title.
PARTS = {
    "target": "a table: CSV, Parquet, Arrow (trained by "
    + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in TABLE_DEFAULTS.items())
    + " unless you say otherwise)",
    "layers": "the network (the data decide its inputs and outputs)",
    "optimizer": "how it learns",
    "preprocess": "what the images go through",
    "epochs": "how long, and on what",
    "backend": "where",
    "json": "what is said",
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
            part.add_argument("dataset", nargs="?", default=argparse.SUPPRESS, help=_help(each))
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


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add RUN, and where its model is to compute."""
    parser.add_argument("model", metavar="RUN", type=Path, help="a run folder or a model file")
    add_options(parser, "backend", "device", "threads")
    dtype = KINDS["dtype"].from_text
    parser.add_argument("--dtype", type=dtype, help="float32 or float64 (default: the model's)")


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
