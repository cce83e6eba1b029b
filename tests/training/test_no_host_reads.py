"""A training step neither reads from the device nor copies numbers to it, as graphs require.

The step, with every layer, loss, optimizer and schedule, runs on two guarded libraries:
array_api_strict on its second device, whose arrays do not convert to Python numbers, and torch's
meta device, which has no content to read and where the tensors of each operator are checked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from augmentations import CASES as AUGMENTATIONS
from augmentations import pipeline
from conftest import make_backend

import anynet
from anynet import tree
from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.nn import ACTIVATIONS, LOSSES, Activation, Dense, Dropout, LayerNorm, Network, Scale
from anynet.nn.losses import CrossEntropy
from anynet.optim import OPTIMIZERS, SGD, AdamW, bound_to, lasting, schedules
from anynet.training.state import initial_state, kept_weights, zero_sums
from anynet.training.step import EvaluationStep, TrainingStep

BATCH, INPUTS, OUTPUTS = 5, 4, 3

OPTIMIZER_CASES = [
    *[optimizer() for optimizer in OPTIMIZERS.values()],
    SGD(momentum=0.9, nesterov=True, weight_decay=1e-3),
    SGD(weight_decay=1e-3, decoupled=True),
    AdamW(beta_1=0.0),
]
SCHEDULE_CASES = [
    schedules.Constant(0.1),
    schedules.Exponential(0.1),
    schedules.Step(0.1),
    lasting.Cosine(0.1, epochs=3),
    lasting.OneCycle(0.1, epochs=3),
    lasting.CosLog4(0.1, epochs=3),
    lasting.FlatCos(0.1, epochs=3),
    schedules.InverseScaling(0.1),
    schedules.ReduceOnPlateau(0.1),
    schedules.Warmup(lasting.Cosine(0.1, epochs=3), 2.0),
]


@contextlib.contextmanager
def refusing_strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make arrays and functions of array_api_strict raise when the host would read a value."""
    strict = pytest.importorskip("array_api_strict")
    array = type(strict.zeros(1))

    def refuse(*arguments: Any, **options: Any) -> Any:
        message = f"the host looked at the device: {arguments[1:]} {options}"
        raise AssertionError(message)

    getitem = array.__getitem__

    def get(self: Any, key: Any) -> Any:
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, array):
                refuse(self, key)
        return getitem(self, key)

    with monkeypatch.context() as patch:
        for name in ("__float__", "__int__", "__bool__", "__index__", "__complex__", "__array__"):
            patch.setattr(array, name, refuse, raising=False)
        patch.setattr(array, "__getitem__", get)
        for name in ("asarray", "nonzero", "unique_values", "from_dlpack"):
            patch.setattr(strict, name, refuse)
        yield


@contextlib.contextmanager
def refusing_torch(_: pytest.MonkeyPatch) -> Iterator[None]:
    """Raise if an operator takes or makes a tensor outside the meta device."""
    torch = pytest.importorskip("torch")
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class FromTheDevice(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
            made_of_numbers = (torch.asarray, torch.as_tensor, torch.tensor, torch.from_numpy)
            assert function not in made_of_numbers, f"{function} copies numbers from the host"
            return function(*args, **(kwargs or {}))

    class OnTheDevice(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
            made = function(*args, **(kwargs or {}))
            for one in tree.leaves([list(args), kwargs or {}, made]):
                if isinstance(one, torch.Tensor):
                    assert one.device.type == "meta", f"{function} with a tensor of the host"
            return made

    with torch.no_grad(), FromTheDevice(), OnTheDevice():
        yield


def strict_backend() -> tuple[Backend, Any]:
    return make_backend("strict"), refusing_strict


def torch_backend() -> tuple[Backend, Any]:
    torch = pytest.importorskip("torch")
    backend = anynet.get_backend("torch", "cpu")
    return replace(backend, device=torch.device("meta")), refusing_torch


@pytest.fixture(params=[strict_backend, torch_backend], ids=["strict", "torch meta"])
def refusing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a backend, and the context in which host reads raise."""
    backend, context = request.param()
    return backend, lambda: context(monkeypatch)


def on_device(backend: Backend, data: Any) -> Any:
    if getattr(backend.device, "type", "") == "meta":
        import torch

        return tree.map(lambda leaf: torch.as_tensor(leaf).to("meta"), data)
    return tree.map(backend.to_device, data)


def samples(loss: Any, weighted: bool) -> Rows:
    rng = np.random.default_rng(0)
    targets = {
        "classes": rng.integers(0, OUTPUTS, BATCH * 2).astype(np.int32),
        "labels": rng.integers(0, 2, (BATCH * 2, OUTPUTS)).astype(np.float32),
        "values": rng.random((BATCH * 2, OUTPUTS)).astype(np.float32),
    }
    x = rng.integers(0, 256, (BATCH * 2, INPUTS)).astype(np.uint8)
    weight = rng.random(BATCH * 2).astype(np.float32) if weighted else None
    return Rows(x, targets[loss.task], weight)


def take_steps(refusing: Any, *, members: int = 0, weighted: bool = False, **options: Any) -> None:
    """Make everything on the host, then run two training steps and one scoring step."""
    backend, refuse = refusing
    host = anynet.get_backend("numpy")
    activation = options.pop("activation", "relu")
    layers = (Scale(1 / 255), Dense(6), LayerNorm(), Activation(activation), Dropout(0.3), Dense(3))
    network = options.pop("network", Network(INPUTS, layers))
    arguments: dict[str, Any] = {
        "loss": CrossEntropy(label_smoothing=0.1),
        "optimizer": SGD(),
        "schedule": schedules.Constant(0.1),
        "steps_per_epoch": 7,
    }
    if "augment" in options:  # state on the device is made before the first step
        options["augment"] = pipeline(backend, *options["augment"], shape=(2, 2))
    arguments |= options
    arguments["optimizer"] = bound_to(network, arguments["optimizer"])
    step = TrainingStep(network, backend=backend, **arguments)
    seed = tuple(range(members)) if members else 1
    state = initial_state(
        network, step.loss, step.optimizer, seed, host, average=step.average is not None
    )
    data = samples(step.loss, weighted)
    shape = (members, BATCH) if members else (BATCH,)
    rows = np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % (BATCH * 2)
    sums = zero_sums(step.loss, network, (), host)
    state, data, rows, sums = on_device(backend, (state, data, rows, sums))
    with refuse():
        for _ in range(2):
            state = step(state, rows, data)
        if not members:
            EvaluationStep(network, step.loss, backend)(
                sums, rows, (kept_weights(state, network), data)
            )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_avoids_host_reads(refusing: Any, activation: str) -> None:
    take_steps(refusing, activation=activation)


@pytest.mark.parametrize("members", [0, 2])
def test_layers_with_state_and_frozen_layers_avoid_host_reads(refusing: Any, members: int) -> None:
    network = anynet.mlp([INPUTS, 6, 5, OUTPUTS], standardize=True, batch_norm=True, dropout=0.1)
    options = {"adversarial": 1.0, "average": 0.9, "members": members}
    for each in (network, network.freeze([0, 1, 2])):
        take_steps(refusing, network=each, **options)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_loss_avoids_host_reads(refusing: Any, loss: str, weighted: bool) -> None:
    take_steps(refusing, loss=LOSSES[loss](), weighted=weighted)


@pytest.mark.parametrize("optimizer", OPTIMIZER_CASES, ids=repr)
def test_every_optimizer_with_clipping_and_averaging_avoids_host_reads(
    refusing: Any, optimizer: Any
) -> None:
    take_steps(
        refusing, optimizer=optimizer, clip_norm=0.5, max_norm=2.0, adversarial=1.0, average=0.9
    )


@pytest.mark.parametrize("schedule", SCHEDULE_CASES, ids=repr)
def test_every_schedule_avoids_host_reads(refusing: Any, schedule: Any) -> None:
    take_steps(refusing, schedule=schedule)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=repr)
@pytest.mark.parametrize("members", [0, 3])
def test_every_augmentation_avoids_host_reads(
    refusing: Any, augmentation: Any, members: int
) -> None:
    take_steps(refusing, augment=[augmentation], members=members)


@pytest.mark.parametrize("optimizer", OPTIMIZER_CASES[:3], ids=repr)
def test_a_population_avoids_host_reads(refusing: Any, optimizer: Any) -> None:
    take_steps(
        refusing,
        members=3,
        optimizer=optimizer,
        clip_norm=0.5,
        max_norm=2.0,
        adversarial=1.0,
        average=0.9,
    )


@pytest.mark.parametrize("read", [float, bool, lambda x: x[x > 0], lambda x: x + float(x)])
def test_the_guarded_libraries_raise_on_host_reads(refusing: Any, read: Any) -> None:
    backend, refuse = refusing
    array = on_device(backend, np.ones((), dtype=np.float32))
    with refuse(), pytest.raises((AssertionError, RuntimeError, NotImplementedError)):
        read(array)


def test_the_guarded_libraries_raise_on_copies_from_the_host(refusing: Any) -> None:
    backend, refuse = refusing
    with refuse(), pytest.raises(AssertionError):
        backend.xp.asarray(0.1, device=backend.device)
