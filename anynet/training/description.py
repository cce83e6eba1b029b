"""The arguments of a run as JSON, and back: what a checkpoint needs to set a run up again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from anynet.backends import Backend, lives_on, to_numpy
from anynet.config import from_config, is_registered, to_config
from anynet.data.sources.source import Source
from anynet.data.subset import Subset
from anynet.errors import CheckpointError
from anynet.nn.network import Network

if TYPE_CHECKING:
    from anynet.training.run import Run

#: The arguments of ``fit`` that are parts, each with its family.
PARTS = {
    "loss": "loss",
    "optimizer": "optimizer",
    "learning_rate": "schedule",
    "augment": "augmentation",
}
GIVEN = "given"  # in place of held-out arrays, which are not kept
SAMPLED_BYTES, RUNS = 2**26, 16  # of the inputs, for their fingerprint, and in how many pieces


def describe(run: Run) -> dict[str, Any]:
    """Return the arguments of ``fit`` that make this run, the data left out."""
    step, stopping, held_out = run.step, run.stopping, run.held_out
    augmentations = () if step.augment is None else step.augment.augmentations
    validation: Any = None
    if held_out is not None:
        shared = held_out.rows is run.training.rows
        validation = held_out.n_samples if shared else GIVEN
    return {
        "network": step.network.to_config(),
        "loss": _described("loss", step.loss),
        "optimizer": _described("optimizer", step.optimizer),
        "learning_rate": _described("schedule", step.schedule),
        "validation": validation,
        "epochs": run.epochs,
        "batch_size": run.batch_size,
        "patience": stopping.patience,
        "target_accuracy": stopping.target,
        "min_delta": stopping.min_delta,
        "clip_norm": step.clip_norm,
        "average": step.average,
        "max_norm": step.max_norm,
        "adversarial": step.adversarial,
        "class_weight": run.class_weight,
        "scoring": run.scoring,
        "augment": [_described("augmentation", one) for one in augmentations],
        "image_shape": None if step.augment is None else step.augment.layout.shape,
        "shuffle": run.shuffle,
        "seed": str(run.seed),  # of any size, which no other number is
        "metadata": run.metadata,
    }


def arguments_from(description: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that ``describe`` has put down; ``own`` ones go before them.

    Raises
    ------
    CheckpointError
        If a part is of a class of the user's own, and was not given.
    KeyError, TypeError, ValueError
        If it is no description, or an option in it is unknown.
    """
    arguments = dict(description)
    arguments["network"] = Network.from_config(description["network"])
    arguments["seed"] = int(description["seed"])
    if isinstance(description["class_weight"], dict):  # whose keys JSON made text
        factors = description["class_weight"].items()
        arguments["class_weight"] = {int(label): factor for label, factor in factors}
    for name, family in PARTS.items():
        described = description[name]
        if own.get(name) is not None:
            arguments[name] = own[name]
            continue
        foreign = [str(one["own"]) for one in _listed(described) if one.get("kind") is None]
        if foreign:
            message = (
                f"the run's {name} is of a class that is not anynet's, {', '.join(foreign)}: "
                f"give it again, resume(…, {name}=…)"
            )
            raise CheckpointError(message)
        rebuilt = [from_config(family, one) for one in _listed(described)]
        arguments[name] = rebuilt if isinstance(described, list) else rebuilt[0]
    return arguments


def _listed(described: Any) -> list[dict[str, Any]]:
    return described if isinstance(described, list) else [described]


def describe_backend(backend: Backend) -> dict[str, Any]:
    """Return what ``get_backend`` takes."""
    return {
        "name": backend.name,
        "device": backend.device_name(),
        "dtype": backend.dtype,
        "precision": backend.precision,
    }


def fingerprint(samples: Subset, backend: Backend) -> dict[str, Any]:
    """Tell data apart: shapes, all targets and weights, and inputs of rows spread evenly.

    It is the same wherever the arrays live, and for any dtype that holds the values. The rows are
    taken in runs, for a file of tables is decoded in blocks.
    """
    rows, n_samples = samples.rows, samples.n_samples
    most = max(1, SAMPLED_BYTES // RUNS // max(1, rows.nbytes // rows.n_samples))
    length = min(most, -(-n_samples // RUNS))
    code = hashlib.blake2b(digest_size=16)
    for start in np.unique(np.linspace(0, n_samples - length, RUNS).astype(np.int64)):
        index = samples.order(np.arange(start, start + length, dtype=np.int32))
        code.update(index.tobytes())
        code.update(_values(_select(rows.x, index, backend), backend))
    for column in samples.targets():
        if column is not None:
            code.update(_values(to_numpy(column), backend))
    return {
        "rows": n_samples,
        "columns": int(rows.x.shape[1]),
        "digest": code.hexdigest(),
        "blocks": _blocks(samples),
    }


def _blocks(samples: Subset) -> str:
    """Tell apart how samples on disk are shuffled; nothing for those in memory."""
    borders = samples.blocks()
    if borders is None:
        return ""
    code = hashlib.blake2b(borders.astype(np.int64).tobytes(), digest_size=16)
    return f"{code.hexdigest()} {samples.rows.x.window_rows}"


def _select(x: Any, index: np.ndarray, backend: Backend) -> np.ndarray:
    if isinstance(x, Source):
        return x[index].read(np.arange(len(index)))
    if not lives_on(x, backend):
        return np.asarray(x[index])
    return backend.to_host(backend.xp.take(x, backend.to_device(index), axis=0))


def _values(array: np.ndarray, backend: Backend) -> bytes:
    with np.errstate(over="ignore"):
        return array.astype(backend.dtype).tobytes()


def _described(family: str, part: Any) -> dict[str, Any]:
    """Return the configuration of a part; of one that is not registered, its class."""
    if not is_registered(family, part) or not _inner_are_registered(part):
        return {"kind": None, "own": f"{type(part).__module__}.{type(part).__qualname__}"}
    return to_config(part)


def _inner_are_registered(part: Any) -> bool:
    inner = getattr(part, "schedule", None)  # of Warmup
    return inner is None or is_registered("schedule", inner)
