"""torch: a model as an nn.Sequential or its state dict, and back."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import numpy as np

import anynet
from anynet import tree
from anynet.backends import Backend, get_backend
from anynet.data.files import expanded, replacing
from anynet.errors import InvalidArgumentError
from anynet.export.common import fold_scales, host_pieces, own_form, require
from anynet.nn import Activation, Dense, Dropout, LayerNorm, Loss, Network
from anynet.nn.activations import ACTIVATIONS, LEAKY_SLOPE
from anynet.nn.layers import Layer
from anynet.training.inputs import choose_loss
from anynet.training.model import Model


class Module(NamedTuple):
    """One module of an ``nn.Sequential``: its class, its arguments, and its tensors by name."""

    name: str
    arguments: dict[str, Any]
    tensors: dict[str, np.ndarray]

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"nn.{self.name}({arguments})"


MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": LEAKY_SLOPE}),
    "elu": ("ELU", {"alpha": 1.0}),
    "selu": ("SELU", {}),
    "gelu": ("GELU", {"approximate": "tanh"}),
    "silu": ("SiLU", {}),
    "mish": ("Mish", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "identity": ("Identity", {}),
}
"""The module of each activation, and the arguments that make it the same function."""


def to_torch(model: Model) -> Any:
    """Turn a model into a ``torch.nn.Sequential`` on the CPU, in evaluation mode.

    Its outputs are the logits: softmax (or what else the loss's link is) is not part of it, as
    torch's losses expect. Scale layers become part of the weights.

    Parameters
    ----------
    model : Model

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    InvalidArgumentError
        If a Scale layer has no dense or normalisation layer next to it.
    BackendError
        If torch is missing.
    """
    torch = require("torch")
    modules = _modules(model)
    built = [getattr(torch.nn, module.name)(**module.arguments) for module in modules]
    sequential = torch.nn.Sequential(*built).to(getattr(torch, model.backend.dtype))
    state = {name: torch.from_numpy(array) for name, array in _state(modules).items()}
    sequential.load_state_dict(state)
    return sequential.eval()


def torch_state_dict(model: Model) -> dict[str, np.ndarray]:
    """Return the arrays of ``to_torch(model).state_dict()``, without needing torch.

    The names are those of the modules in the ``nn.Sequential``: ``0.weight`` (O, I), ``0.bias``
    (O,), and so on.

    Raises
    ------
    InvalidArgumentError
        As ``to_torch``.
    """
    return _state(_modules(model))


def save_torch(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the state dict as a safetensors file, whole or not at all; torch is not needed.

    ``safetensors.torch.load_file`` reads it. Its metadata hold the expression that makes the
    modules as ``sequential``, with ``loss``, ``classes`` and ``anynet_version``.

    Raises
    ------
    InvalidArgumentError
        As ``to_torch``.
    OSError
        If it cannot be written; a file that was there before is untouched.
    """
    from safetensors.numpy import save

    modules = _modules(model)
    notes = {
        "format": "pt",
        "anynet_version": anynet.__version__,
        "loss": model.loss.kind,
        "classes": json.dumps(model.metadata.get("classes")),
        "sequential": f"nn.Sequential({', '.join(map(str, modules))})",
    }
    content = save(_state(modules), notes)
    with replacing(expanded(path)) as file:
        file.write(content)


def from_torch(
    sequential: Any, loss: Loss | str, backend: Backend | str = "auto", device: str | None = None
) -> Model:
    """Turn a ``torch.nn.Sequential`` into a model.

    Parameters
    ----------
    sequential : torch.nn.Sequential
        Of Linear, LayerNorm, Dropout, Flatten and the activations that anynet has. It gives out
        logits: a softmax or sigmoid at its end belongs to the loss.
    loss : Loss or str
        What it was trained on, such as ``"cross_entropy"``, which decides what the model predicts.
    backend : Backend or str
        Where to place the model, see ``get_backend``; the dtype is that of the parameters.
    device : str, optional

    Returns
    -------
    Model

    Raises
    ------
    InvalidArgumentError
        If it is not a Sequential, or has a module that anynet has not.
    BackendError
        If torch is missing.
    """
    torch = require("torch")
    if not isinstance(sequential, torch.nn.Sequential):
        message = f"expected a torch.nn.Sequential, got {type(sequential).__name__}"
        raise InvalidArgumentError(message)
    pairs = [_layer_of(place, module) for place, module in enumerate(sequential)]
    dense = [params for layer, params in pairs if isinstance(layer, Dense)]
    if not dense:
        message = "expected at least one Linear module in the torch.nn.Sequential, found none"
        raise InvalidArgumentError(message)
    network = Network(len(dense[0]["weight"]), tuple(layer for layer, _ in pairs))
    if not isinstance(backend, Backend):
        backend = get_backend(backend, device, str(dense[0]["weight"].dtype))
    dtype = np.dtype(backend.dtype)
    params: Any = tree.map(
        lambda array: backend.to_device(array.astype(dtype)), tuple(params for _, params in pairs)
    )
    return Model(network, params, choose_loss(loss, (), network.n_outputs), backend)


def _modules(model: Model) -> list[Module]:
    """Name a module for each layer."""
    modules = []
    for index, layer, params in fold_scales(host_pieces(model)):
        if isinstance(layer, Dense):
            n_inputs, n_outputs = params["weight"].shape
            tensors = {"weight": params["weight"].T, "bias": params["bias"]}
            sizes = {"in_features": n_inputs, "out_features": n_outputs}
            modules.append(Module("Linear", sizes, tensors))
        elif isinstance(layer, LayerNorm):
            tensors = {"weight": params["gain"], "bias": params["bias"]}
            options = {"normalized_shape": len(params["gain"]), "eps": layer.epsilon}
            modules.append(Module("LayerNorm", options, tensors))
        elif isinstance(layer, Dropout):
            modules.append(Module("Dropout", {"p": layer.rate}, {}))
        elif isinstance(layer, Activation):
            name, options = MODULES.get(layer.function) or own_form(
                ACTIVATIONS[layer.function], "to_torch", "torch", f"the activation {layer.function}"
            )
            modules.append(Module(name, options, {}))
        else:
            to_torch = own_form(layer, "to_torch", "torch", f"layer {index} ({layer.kind})")
            modules.append(Module(*to_torch(params)))
    return modules


def _state(modules: list[Module]) -> dict[str, np.ndarray]:
    return {
        f"{place}.{name}": np.ascontiguousarray(array)
        for place, module in enumerate(modules)
        for name, array in module.tensors.items()
    }


def _layer_of(place: int, module: Any) -> tuple[Layer, dict[str, np.ndarray]]:
    """Turn a module into a layer and its parameters."""
    name = type(module).__name__
    if name == "Linear":
        weight = _array(module.weight).T
        bias = np.zeros(weight.shape[1]) if module.bias is None else _array(module.bias)
        return Dense(weight.shape[1]), {"weight": weight, "bias": bias}
    if name == "LayerNorm" and len(module.normalized_shape) == 1:
        (width,) = module.normalized_shape
        gain = np.ones(width) if module.weight is None else _array(module.weight)
        bias = np.zeros(width) if module.bias is None else _array(module.bias)
        return LayerNorm(module.eps), {"gain": gain, "bias": bias}
    if name == "Dropout":
        return Dropout(module.p), {}
    if name == "Flatten" and module.start_dim == 1 and place == 0:
        return Activation("identity"), {}  # a model flattens its inputs itself
    for function, (known, arguments) in MODULES.items():
        if name == known and all(getattr(module, key) == arguments[key] for key in arguments):
            return Activation(function), {}
    known_modules = ", ".join(str(Module(*entry, {})) for entry in MODULES.values())
    message = (
        f"module {place}, {module}, has no layer in anynet, which has nn.Linear, nn.LayerNorm of "
        f"one axis, nn.Dropout, nn.Flatten at the start, {known_modules}; a softmax or sigmoid at "
        f"the end belongs to the loss: leave it out"
    )
    raise InvalidArgumentError(message)


def _array(tensor: Any) -> np.ndarray:
    """Copy a tensor to the host, in float64 if it is, else in float32."""
    host = tensor.detach().cpu()
    wide = host.numpy() if str(host.dtype) == "torch.float64" else host.float().numpy()
    return np.array(wide)
