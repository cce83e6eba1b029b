"""Model files: safetensors, with the configuration as JSON in its metadata. No pickle."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.config import from_config
from anynet.data.files import expanded, one_line, replacing
from anynet.errors import AnynetError, InvalidArgumentError, ModelFileError
from anynet.nn.layers import LAYERS
from anynet.nn.losses import LOSSES, Loss
from anynet.nn.network import Network

FORMAT = 1
KEY = "anynet"
MODEL_FILE = "model.safetensors"  # its name in a run folder
MOST_CONFIGURATION = 90_000_000  # bytes; safetensors reads a header of 100 MB, which has more in it
STATE = "state"  # before the names of tensors that are not parameters
CHECKPOINTS = "checkpoints"  # a folder in it, as long as the run is unfinished


class SavedModel(NamedTuple):
    """The content of a model file, on the host."""

    network: Network
    params: tuple[dict[str, np.ndarray], ...]
    loss: Loss
    dtype: str
    metadata: dict[str, Any]
    states: tuple[dict[str, np.ndarray], ...] = ()


def write_model(
    path: str | os.PathLike[str],
    arrays: dict[str, np.ndarray],
    network: Network,
    loss: Loss,
    metadata: dict[str, Any],
) -> None:
    """Write a model file: beside the target first, then renamed over it."""
    _write(path, arrays, describe_model(network, loss) | {"metadata": metadata})


def write_ensemble(
    path: str | os.PathLike[str],
    arrays: list[dict[str, np.ndarray]],
    members: list[tuple[Network, Loss]],
    metadata: dict[str, Any],
) -> None:
    """Write an ensemble file; the tensors of member k are called ``k.`` and what they are."""
    named = {
        f"{member}.{name}": array
        for member, tensors in enumerate(arrays)
        for name, array in tensors.items()
    }
    described = [describe_model(network, loss) for network, loss in members]
    _write(path, named, {"members": described, "metadata": metadata})


def foreign_layers(network: Network) -> list[str]:
    """Name the layers whose class is not anynet's: no file can hold them, for it has no code."""
    return [
        f"layer {index} is a {_class_of(layer)}"
        for index, layer in enumerate(network.layers)
        if _is_foreign(layer, LAYERS)
    ]


def foreign_parts(network: Network, loss: Loss) -> list[str]:
    """Name the layers and the loss whose class is not anynet's."""
    own_loss = [f"the loss is a {_class_of(loss)}"] if _is_foreign(loss, LOSSES) else []
    return foreign_layers(network) + own_loss


def _is_foreign(part: Any, classes: Mapping[str, Any]) -> bool:
    return type(part) not in classes.values()


def _class_of(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def describe_model(network: Network, loss: Loss) -> dict[str, Any]:
    """Return what a model is besides its parameters, JSON-able.

    Raises
    ------
    InvalidArgumentError
        If a layer or the loss is of a class that is not anynet's.
    """
    if foreign := foreign_parts(network, loss):
        message = (
            f"the model cannot be saved: {', '.join(foreign)}, and a model file holds only classes "
            f"of anynet; save model.params by other means"
        )
        raise InvalidArgumentError(message)
    return {
        "network": network.to_config(),
        "loss": {"kind": loss.kind} | dataclasses.asdict(loss),  # type: ignore[call-overload]
    }


def _write(
    path: str | os.PathLike[str], arrays: dict[str, np.ndarray], config: dict[str, Any]
) -> None:
    from safetensors.numpy import save

    text = to_json({"format": FORMAT} | config)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = save(contiguous, {KEY: text})
    with replacing(expanded(path)) as file:
        file.write(content)


def to_json(config: dict[str, Any]) -> str:
    """Return what a model file holds besides its tensors, the metadata among it, as JSON.

    Raises
    ------
    InvalidArgumentError
        If JSON cannot hold it, or it is too long for a safetensors file.
    """
    try:
        text = json.dumps(config, default=_of_numpy)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"a model's metadata must be what JSON can hold: {error}"
        raise InvalidArgumentError(message) from error
    if len(text) > MOST_CONFIGURATION:
        message = (
            f"a model's metadata takes {len(text)} bytes as JSON: expected at most "
            f"{MOST_CONFIGURATION}, which readers of safetensors accept"
        )
        raise InvalidArgumentError(message)
    return text


def _of_numpy(value: Any) -> Any:
    """Return a NumPy scalar, such as a rate taken out of an array, as Python's number."""
    if isinstance(value, np.generic):
        return value.item()
    message = f"{type(value).__name__} {value!r}"
    raise TypeError(message)


def read_model(path: str | os.PathLike[str]) -> SavedModel:
    """Read and check a model file, or the one in a run folder.

    Raises
    ------
    ModelFileError
        If it is absent, damaged, of another version, or its tensors do not fit its network.
    """
    path = expanded(path)
    if path.is_dir():
        folder, path = path, path / MODEL_FILE
        if (folder / CHECKPOINTS).is_dir():
            message = f"the run in {folder} is unfinished: anynet resume {folder} finishes it"
            raise ModelFileError(message)
        if not path.exists():
            message = (
                f"there is no model in {folder}: expected a file that Model.save wrote, or a "
                f"folder of anynet train, which holds one as {MODEL_FILE}"
            )
            raise ModelFileError(message)
    arrays, config = _read(path)
    if "members" in config:
        message = f"{path} is an ensemble: read it with anynet.Ensemble.load"
        raise ModelFileError(message)
    return _rebuild(path, arrays, config, config.get("metadata"))


def is_ensemble(path: str | os.PathLike[str]) -> bool:
    """Whether a file that anynet wrote holds an ensemble.

    Raises
    ------
    ModelFileError
        If it is absent, damaged, or of another version.
    """
    return "members" in _read(expanded(path))[1]


def read_ensemble(path: str | os.PathLike[str]) -> tuple[list[SavedModel], dict[str, Any]]:
    """Read and check an ensemble file; return its members and metadata.

    Raises
    ------
    ModelFileError
        As ``read_model`` does, and if it is a single model.
    """
    arrays, config = _read(expanded(path))
    members = config.get("members")
    if not isinstance(members, list) or not members:
        message = f"{path} is not an ensemble: a single model is read with anynet.load"
        raise ModelFileError(message)
    parts: list[dict[str, np.ndarray]] = [{} for _ in members]
    for name, array in arrays.items():
        member, _, rest = name.partition(".")
        if not member.isdecimal() or int(member) >= len(members):
            message = f"{path}: tensor {name} is of no member: there are {len(members)}"
            raise ModelFileError(message)
        parts[int(member)][rest] = array
    saved = [
        _rebuild(path, part, described, {}) for part, described in zip(parts, members, strict=True)
    ]
    return saved, config.get("metadata") or {}


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the tensors and the configuration of a file that anynet wrote."""
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        message = f"{path} is a folder: expected a file that anynet saved"
        raise ModelFileError(message)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                message = f"{path} is a safetensors file, but not a model that anynet saved"
                raise ModelFileError(message)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        message = f"{path} does not exist: a run folder holds its model as {MODEL_FILE}"
        raise ModelFileError(message) from error
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        message = f"{path} cannot be read as a model: {one_line(error)}"
        raise ModelFileError(message) from error
    try:
        config = json.loads(text)
        if config["format"] != FORMAT:
            message = (
                f"{path} has model format {config['format']!r}, this version of anynet reads "
                f"{FORMAT}: install the version that wrote it"
            )
            raise ModelFileError(message)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        message = f"{path} holds a configuration that this version cannot read: {error}"
        raise ModelFileError(message) from error
    return arrays, config


def _rebuild(
    path: Any, arrays: dict[str, np.ndarray], config: dict[str, Any], metadata: Any
) -> SavedModel:
    try:
        network = Network.from_config(config["network"])
        loss: Loss = from_config("loss", config["loss"])
        metadata = dict(metadata)
    except (AnynetError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        message = f"{path} holds a configuration that this version cannot read: {error}"
        raise ModelFileError(message) from error
    params, states = _place(path, arrays, network)
    return SavedModel(network, params, loss, _dtype(arrays), metadata, states)


def _place(path: Any, arrays: dict[str, np.ndarray], network: Network) -> Any:
    """Arrange named tensors as parameters and states of the network, whose shapes must agree."""
    _check_tensors(
        path,
        {n: array for n, array in arrays.items() if not n.startswith(STATE)},
        parameter_shapes(network),
    )
    states = network.init_states()  # after the check: a damaged file may claim any width
    _check_tensors(
        path,
        {n: array for n, array in arrays.items() if n.startswith(STATE)},
        {name: leaf.shape for name, leaf in tree.flatten(states, STATE)},
    )
    params = tuple({n: arrays[f"{at}.{n}"] for n in own} for at, own in enumerate(network.shapes()))
    return params, tree.rebuild(states, arrays, STATE)


def _check_tensors(
    path: Any, arrays: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]]
) -> None:
    found = {name: array.shape for name, array in arrays.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            message = (
                f"{path}: tensor {name} should have shape {expected.get(name, 'none: unknown')}, "
                f"got {found.get(name, 'none: missing')}"
            )
            raise ModelFileError(message)
        if arrays[name].dtype not in (np.float32, np.float64):
            message = (
                f"{path}: tensor {name} should be float32 or float64, got {arrays[name].dtype}"
            )
            raise ModelFileError(message)


def parameter_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all parameters by their names in files, without drawing them."""
    shapes = enumerate(network.shapes())
    return {f"{index}.{name}": shape for index, own in shapes for name, shape in own.items()}


def _dtype(arrays: dict[str, np.ndarray]) -> str:
    return str(next(iter(arrays.values())).dtype) if arrays else "float32"
