"""torch: a model as an nn.Sequential or its state dict, and back."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import numpy as np

import anynet
from anynet.backends import Backend
from anynet.data.files import expanded, replacing
from anynet.errors import InvalidArgumentError
from anynet.export.common import fold_affine, host_pieces, own_form, require
from anynet.nn import Activation, BatchNorm, Dense, Dropout, LayerNorm, Loss, Network
from anynet.nn.activations import ACTIVATIONS, LEAKY_SLOPE
from anynet.nn.layers import AnyLayer
from anynet.nn.network import place
from anynet.training.inputs import choose_backend, choose_loss
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
    """Convert a model to a ``torch.nn.Sequential`` on the CPU, in evaluation mode.

    Its outputs are the logits, as torch's losses expect: the loss's link, such as softmax, is not
    part of it. Scale, FeatureScale and Standardize layers become part of the weights.

    Parameters
    ----------
    model : Model

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    InvalidArgumentError
        If a Scale, FeatureScale or Standardize layer has no dense or normalisation layer next to
        it, or a layer or an activation has no module in torch.
    BackendError
        If torch is missing.

    Examples
    --------
    >>> import anynet
    >>> data = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=data.scale)
    >>> model = anynet.fit(network, data.train, epochs=3, backend="numpy")
    >>> anynet.export.to_torch(model)
    Sequential(
      (0): Linear(in_features=64, out_features=32, bias=True)
      (1): ReLU()
      (2): Linear(in_features=32, out_features=10, bias=True)
    )
    """
    torch = require("torch")
    modules = _modules(model)
    built = [getattr(torch.nn, module.name)(**module.arguments) for module in modules]
    sequential = torch.nn.Sequential(*built).to(getattr(torch, model.backend.dtype))
    state = {name: torch.from_numpy(array) for name, array in _state(modules).items()}
    sequential.load_state_dict(state)
    return sequential.eval()


def torch_state_dict(model: Model) -> dict[str, np.ndarray]:
    """Return the arrays of ``to_torch(model).state_dict()``; torch is not needed.

    The names are those of the modules in the ``nn.Sequential``: ``0.weight`` (O, I), ``0.bias``
    (O,), and so on.

    Raises
    ------
    InvalidArgumentError
        As ``to_torch``.
    """
    return _state(_modules(model))


def save_torch(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the state dict as a safetensors file, completely or not at all; torch is not needed.

    ``safetensors.torch.load_file`` reads it. Its metadata hold the expression that makes the
    modules as ``sequential``, and ``loss``, ``classes`` and ``anynet_version``.

    Raises
    ------
    InvalidArgumentError
        As ``to_torch``.
    OSError
        If it cannot be written; an existing file is unchanged.
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
    """Convert a ``torch.nn.Sequential`` to a model.

    Parameters
    ----------
    sequential : torch.nn.Sequential
        Of Linear, LayerNorm, BatchNorm1d, Dropout, Flatten and the activations that anynet has.
        Its outputs are logits: a softmax or sigmoid at its end belongs to the loss.
    loss : Loss or str
        The loss of its training, such as ``"cross_entropy"``; it determines the predictions.
    backend : Backend or str
        Where to place the model, see ``get_backend``; the dtype is that of the parameters.
    device : str, optional

    Returns
    -------
    Model

    Raises
    ------
    InvalidArgumentError
        If it is not a Sequential, or has a module without an equivalent in anynet.
    BackendError
        If torch is missing.
    """
    torch = require("torch")
    if not isinstance(sequential, torch.nn.Sequential):
        message = f"expected a torch.nn.Sequential, got {type(sequential).__name__}"
        raise InvalidArgumentError(message)
    triples = [_layer_of(place, module) for place, module in enumerate(sequential)]
    dense = [params for layer, params, _ in triples if isinstance(layer, Dense)]
    if not dense:
        message = "expected at least one Linear module in the torch.nn.Sequential, found none"
        raise InvalidArgumentError(message)
    network = Network(len(dense[0]["weight"]), tuple(layer for layer, *_ in triples))
    backend = choose_backend(backend, device, default_dtype=str(dense[0]["weight"].dtype))
    params = tuple(params for _, params, _ in triples)
    states = tuple(state for *_, state in triples) if network.init_states() else ()
    params, states = place((params, states), backend)
    chosen = choose_loss(loss, (), network.n_outputs)
    return Model(network, params, chosen, backend, states=states)


def _modules(model: Model) -> list[Module]:
    """Return the module of each layer."""
    modules = []
    for index, layer, params, state in fold_affine(host_pieces(model)):
        if isinstance(layer, Dense):
            n_inputs, n_outputs = params["weight"].shape
            tensors = {"weight": params["weight"].T, "bias": params["bias"]}
            sizes = {"in_features": n_inputs, "out_features": n_outputs}
            modules.append(Module("Linear", sizes, tensors))
        elif isinstance(layer, LayerNorm):
            tensors = {"weight": params["gain"], "bias": params["bias"]}
            options = {"normalized_shape": len(params["gain"]), "eps": layer.epsilon}
            modules.append(Module("LayerNorm", options, tensors))
        elif isinstance(layer, BatchNorm):
            tensors = {
                "weight": params["gain"],
                "bias": params["bias"],
                "running_mean": state["mean"],
                "running_var": state["variance"],
                "num_batches_tracked": np.array(0),
            }
            options = {
                "num_features": len(params["gain"]),
                "eps": layer.epsilon,
                "momentum": layer.momentum,
            }
            modules.append(Module("BatchNorm1d", options, tensors))
        elif isinstance(layer, Dropout):
            modules.append(Module("Dropout", {"p": layer.rate}, {}))
        elif isinstance(layer, Activation):
            name, options = MODULES.get(layer.function) or own_form(
                ACTIVATIONS[layer.function], "to_torch", "torch", f"the activation {layer.function}"
            )
            modules.append(Module(name, options, {}))
        else:
            to_torch = own_form(layer, "to_torch", "torch", f"layer {index} ({layer.kind})")
            modules.append(Module(*to_torch(params | state)))
    return modules


def _state(modules: list[Module]) -> dict[str, np.ndarray]:
    return {
        f"{place}.{name}": np.asarray(array, order="C")
        for place, module in enumerate(modules)
        for name, array in module.tensors.items()
    }


def _layer_of(
    index: int, module: Any
) -> tuple[AnyLayer, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the layer of a module, its parameters and its state."""
    name = type(module).__name__
    if name == "Linear":
        weight = _array(module.weight).T
        bias = np.zeros(weight.shape[1]) if module.bias is None else _array(module.bias)
        return Dense(weight.shape[1]), {"weight": weight, "bias": bias}, {}
    if name == "LayerNorm" and len(module.normalized_shape) == 1:
        return LayerNorm(module.eps), _gain_and_bias(module, module.normalized_shape[0]), {}
    if name == "BatchNorm1d" and module.running_mean is not None and module.momentum is not None:
        state = {"mean": _array(module.running_mean), "variance": _array(module.running_var)}
        layer = BatchNorm(module.momentum, module.eps)
        return layer, _gain_and_bias(module, module.num_features), state
    if name == "Dropout":
        return Dropout(module.p), {}, {}
    if name == "Flatten" and module.start_dim == 1 and index == 0:
        return Activation("identity"), {}, {}  # a model flattens its inputs itself
    for function, (known, arguments) in MODULES.items():
        if name == known and all(getattr(module, key) == arguments[key] for key in arguments):
            return Activation(function), {}, {}
    known_modules = ", ".join(str(Module(*entry, {})) for entry in MODULES.values())
    message = (
        f"module {index}, {module}, has no layer in anynet, which has nn.Linear, nn.LayerNorm of "
        f"one axis, nn.BatchNorm1d with running statistics, nn.Dropout, nn.Flatten at the start, "
        f"{known_modules}; a softmax or sigmoid at the end belongs to the loss: leave it out"
    )
    raise InvalidArgumentError(message)


def _gain_and_bias(module: Any, width: int) -> dict[str, np.ndarray]:
    gain = np.ones(width) if module.weight is None else _array(module.weight)
    bias = np.zeros(width) if module.bias is None else _array(module.bias)
    return {"gain": gain, "bias": bias}


def _array(tensor: Any) -> np.ndarray:
    """Copy a tensor to the host, in float64 if it has that dtype, else in float32."""
    host = tensor.detach().cpu()
    wide = host.numpy() if str(host.dtype) == "torch.float64" else host.float().numpy()
    return np.array(wide)
