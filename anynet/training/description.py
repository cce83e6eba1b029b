"""The arguments of a run as JSON, and back: what a checkpoint needs to set a run up again."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anynet.augment import AUGMENTATIONS
from anynet.backends import Backend, lives_on, to_numpy
from anynet.config import from_config, is_registered, register, to_config
from anynet.data.sources.source import Source
from anynet.data.subset import Subset
from anynet.errors import CheckpointError
from anynet.nn.network import Network
from anynet.optim.optimizers import OPTIMIZERS
from anynet.optim.schedules import SCHEDULES
from anynet.training.form import check_form
from anynet.training.options import OPTION_NAMES, FitOptions

if TYPE_CHECKING:
    from anynet.training.run import Run

for family, kinds in (
    ("optimizer", OPTIMIZERS),
    ("schedule", SCHEDULES),
    ("augmentation", AUGMENTATIONS),
    ("options", {"fit": FitOptions}),
):
    for part in kinds.values():
        register(family)(part)

GIVEN = "given"  # in place of held-out arrays, which are not kept
SAMPLED_BYTES, RUNS = 2**26, 16  # of the inputs, for their fingerprint, and in how many pieces


def describe(run: Run) -> dict[str, Any]:
    """Return the arguments of ``fit`` that make this run, the data left out."""
    validation: Any = None
    if run.held_out is not None:
        shared = run.held_out.rows is run.training.rows
        validation = run.held_out.n_samples if shared else GIVEN
    options = {name: _described(getattr(run.options, name)) for name in OPTION_NAMES}
    return options | {
        "network": run.step.network.to_config(),
        "validation": validation,
        "seed": str(run.options.seed),  # of any size, which no other number is
        "metadata": run.metadata,
    }


def _described(value: Any) -> Any:
    """Return a value as JSON has it; for a part that is not registered, the name of its class."""
    if isinstance(value, (tuple, list)):
        return [_described(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str, dict)):
        return value
    if any(is_registered(family, value) for family in FAMILIES):
        return to_config(value)
    return {"kind": None, "own": f"{type(value).__module__}.{type(value).__qualname__}"}


FAMILIES = ("loss", "optimizer", "schedule", "augmentation")


def arguments_from(
    description: dict[str, Any], own: dict[str, Any]
) -> tuple[Network, FitOptions, dict[str, Any]]:
    """Return what ``describe`` has put down: network, options, and the arguments beside them.

    Parameters
    ----------
    description : dict
    own : dict
        Options that replace those of the description, except None.

    Raises
    ------
    CheckpointError
        If a part is not registered, and was not given.
    KeyError, TypeError, ValueError
        If it is no description, or an option in it is unknown.
    """
    form: dict[str, Any] = {"validation": int | str | None, "seed": str, "metadata": dict}
    form |= {"loss": dict, "optimizer": dict, "learning_rate": dict, "epochs": int}
    check_form({name: description[name] for name in form}, form, "arguments")
    rest = dict(description)
    network = Network.from_config(rest.pop("network"))
    arguments = {name: rest.pop(name) for name in ("validation", "metadata")}
    own = {name: value for name, value in own.items() if value is not None}
    config = {name: value for name, value in rest.items() if name not in own}
    for name, value in config.items():
        parts = [] if name == "class_weight" else _listed(value)
        foreign = [str(one["own"]) for one in parts if one.get("kind") is None]
        if foreign:
            message = (
                f"the run's {name} is of a class that is not registered, {', '.join(foreign)}: "
                f"give it again, resume(…, {name}=…)"
            )
            raise CheckpointError(message)
    config["seed"] = int(config["seed"])
    options = from_config("options", {"kind": FitOptions.kind, **config})
    return network, replace(options, **own), arguments


def _listed(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


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
