"""Write, read and check the files of models and ensembles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anynet import tree
from anynet.config import from_config, is_registered, to_config
from anynet.data.files import expanded
from anynet.errors import AnynetError, InvalidArgumentError, ModelFileError
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.training.checkpoint import container

KEY = "anynet"
MODEL_FILE = "model.safetensors"  # its name in a run folder
CHECKPOINTS = "checkpoints"  # a folder in a run folder, while the run is unfinished
STATE = "state"  # prefix of the names of tensors that are not parameters


class SavedModels(NamedTuple):
    """The content of a model file or an ensemble file."""

    models: list[SavedModel]
    metadata: dict[str, Any]
    is_ensemble: bool
    weights: Any  # of the members of an ensemble, unchecked; None if they are equal


class SavedModel(NamedTuple):
    """The content of a model file, on the host."""

    network: Network
    params: Any  # like Params, of NumPy arrays
    loss: Loss
    states: Any = ()  # like LayerStates, of NumPy arrays

    @property
    def dtype(self) -> str:
        """The type of the parameters."""
        leaves = tree.leaves(self.params)
        return str(leaves[0].dtype) if leaves else "float32"


def write_model(path: str | os.PathLike[str], model: SavedModel, metadata: dict[str, Any]) -> None:
    """Write a model file; an existing file is replaced at the end.

    Raises
    ------
    InvalidArgumentError
        If a part is not registered, or JSON cannot represent the metadata.
    OSError
        If the file cannot be written.
    """
    content = describe_model(model.network, model.loss) | {"metadata": metadata}
    container.write_container(expanded(path), KEY, container.Container(_named(model), content))


def write_ensemble(
    path: str | os.PathLike[str],
    models: Sequence[SavedModel],
    metadata: dict[str, Any],
    weights: Sequence[float] | None = None,
) -> None:
    """Write an ensemble file; the tensors of member k are named ``k.…``; see ``write_model``.

    ``weights`` are those of the members, None if they are equal.
    """
    arrays = {
        f"{member}.{name}": array
        for member, model in enumerate(models)
        for name, array in _named(model).items()
    }
    members = [describe_model(model.network, model.loss) for model in models]
    content = {"members": members, "metadata": metadata, "weights": weights}
    container.write_container(expanded(path), KEY, container.Container(arrays, content))


def _named(model: SavedModel) -> dict[str, np.ndarray]:
    return dict([*tree.flatten(model.params), *tree.flatten(model.states, STATE)])


def foreign_layers(network: Network) -> list[str]:
    """Describe the layers whose class is not registered, which files cannot contain."""
    return [
        f"layer {index} is a {_class_of(layer)}"
        for index, layer in enumerate(network.layers)
        if not is_registered("layer", layer)
    ]


def foreign_parts(network: Network, loss: Loss) -> list[str]:
    """Describe the layers and the loss whose class is not registered."""
    own_loss = [] if is_registered("loss", loss) else [f"the loss is a {_class_of(loss)}"]
    return foreign_layers(network) + own_loss


def _class_of(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def describe_model(network: Network, loss: Loss) -> dict[str, Any]:
    """Return the configuration of a model as JSON.

    Raises
    ------
    InvalidArgumentError
        If the class of a layer or of the loss is not registered.
    """
    if foreign := foreign_parts(network, loss):
        message = (
            f"the model cannot be saved: {', '.join(foreign)}, which is not registered: register "
            f"the class with anynet.register, or save model.params by other means"
        )
        raise InvalidArgumentError(message)
    return {"network": network.to_config(), "loss": to_config(loss)}


def read_models(path: str | os.PathLike[str]) -> SavedModels:
    """Read and check the file of a model or an ensemble, also in a run folder.

    Returns
    -------
    SavedModels

    Raises
    ------
    ModelFileError
        If the file is absent, damaged, has the format of another version, or its tensors do not
        fit its network.
    """
    path = _model_path(expanded(path))
    try:
        arrays, config = container.read_container(path, KEY, "model")
    except FileNotFoundError as error:
        message = f"{path} does not exist: a run folder holds its model as {MODEL_FILE}"
        raise ModelFileError(message) from error
    except (container.ContainerError, container.VersionError) as error:
        raise ModelFileError(str(error)) from error
    metadata = config.get("metadata") or {}
    if "members" not in config:
        return SavedModels([_rebuild(path, arrays, config, metadata)], metadata, False, None)
    members = config["members"]
    if not isinstance(members, list) or not members:
        message = f"{path} should hold a list of models, got {members!r}"
        raise ModelFileError(message)
    parts: list[dict[str, np.ndarray]] = [{} for _ in members]
    for name, array in arrays.items():
        member, _, rest = name.partition(".")
        if not member.isdecimal() or int(member) >= len(members):
            message = f"{path}: tensor {name} belongs to no member: there are {len(members)}"
            raise ModelFileError(message)
        parts[int(member)][rest] = array
    weights = config.get("weights")  # absent in files of earlier versions
    pairs = zip(parts, members, strict=True)
    models = [_rebuild(path, part, each, metadata) for part, each in pairs]
    return SavedModels(models, metadata, True, weights)


def _model_path(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (path / CHECKPOINTS).is_dir():
        message = f"the run in {path} is unfinished: anynet resume {path} finishes it"
        raise ModelFileError(message)
    if not (path / MODEL_FILE).exists():
        message = (
            f"there is no model in {path}: expected a file that Model.save wrote, or a folder of "
            f"anynet train, which holds one as {MODEL_FILE}"
        )
        raise ModelFileError(message)
    return path / MODEL_FILE


def _rebuild(path: Path, arrays: dict[str, np.ndarray], config: Any, metadata: Any) -> SavedModel:
    try:
        network = Network.from_config(config["network"])
        loss: Loss = from_config("loss", config["loss"])
        dict(metadata)
    except (AnynetError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        message = f"{path} holds a configuration that this version cannot read: {error}"
        raise ModelFileError(message) from error
    params = {name: a for name, a in arrays.items() if not name.startswith(STATE)}
    _check_tensors(path, params, parameter_shapes(network))
    states = network.init_states()  # after the check: a damaged file may claim any width
    others = {name: a for name, a in arrays.items() if name.startswith(STATE)}
    shapes = {name: leaf.shape for name, leaf in tree.flatten(states, STATE)}
    _check_tensors(path, others, shapes)
    placed = tuple({n: arrays[f"{at}.{n}"] for n in own} for at, own in enumerate(network.shapes()))
    return SavedModel(network, placed, loss, tree.rebuild(states, arrays, STATE))


def _check_tensors(
    path: Path, arrays: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]]
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
