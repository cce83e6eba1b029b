"""Unregistered layers and losses train; a warning before training says they cannot be saved."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import anynet
from anynet.nn import CrossEntropy, Dense, Dropout
from anynet.nn.layers import Activation

OPTIONS: dict[str, Any] = {"epochs": 2, "backend": "numpy"}


class OwnDense(Dense):
    """A subclass with the behaviour and the name of its base."""


@dataclass(frozen=True)
class Doubled:
    """An activation that does not inherit from a class of anynet."""

    kind: ClassVar[str] = "doubled"
    random: ClassVar[bool] = False

    def shapes(self, width: int) -> tuple[dict[str, tuple[int, ...]], int]:
        return {}, width

    def init(self, rng: np.random.Generator, width: int) -> tuple[dict[str, Any], int]:  # noqa: ARG002
        return {}, width

    def apply(self, params: Any, x: Any, **_: Any) -> tuple[Any, Any]:  # noqa: ARG002
        return 2 * x, lambda dy, need_dx=True: ({}, 2 * dy if need_dx else None)


class OwnLoss(CrossEntropy):
    """An unregistered loss."""


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    return x, (x[:, 0] > 0).astype(np.int64)


def network(*layers: Any) -> anynet.Network:
    return anynet.Network(4, (Dense(5), *layers, Dense(2)))


@pytest.mark.parametrize("own", [OwnDense(5), Doubled()])
def test_an_unregistered_layer_is_reported_before_training(data, own: Any, tmp_path: Path) -> None:
    epochs: list[int] = []
    name = f"test_own_parts.{type(own).__name__}"
    with pytest.raises(anynet.InvalidArgumentError, match=rf"layer 1 is a .*{name}"):
        anynet.fit(
            network(own), data, checkpoint=tmp_path / "new", callbacks=epochs.append, **OPTIONS
        )
    assert epochs == []
    assert not (tmp_path / "new").exists()
    with pytest.warns(UserWarning, match=rf"not saved: layer 1 is a .*{name}"):
        model = anynet.fit(network(own), data, **OPTIONS)
    assert model.predict(data[0]).shape == (60,)
    with pytest.raises(anynet.InvalidArgumentError, match=rf"cannot be saved: layer 1 .*{name}"):
        model.save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_an_unregistered_loss_is_reported_before_training(data, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"not saved: the loss is a .*OwnLoss"):
        model = anynet.fit(network(), data, loss=OwnLoss(), **OPTIONS)
    with pytest.raises(anynet.InvalidArgumentError, match=r"the loss is a .*OwnLoss"):
        model.save(tmp_path / "model.safetensors")
    with pytest.raises(anynet.InvalidArgumentError, match=r"the loss is a .*OwnLoss"):
        anynet.Ensemble([model]).save(tmp_path / "ensemble.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_numpy_scalars_are_saved_as_numbers(data, tmp_path: Path) -> None:
    layers = Activation("tanh"), Dropout(np.float32(0.5)), Dense(3)
    model = anynet.fit(network(*layers), data, metadata={"rows": np.int32(60)}, **OPTIONS)
    model.save(tmp_path / "model.safetensors")
    again = anynet.load(tmp_path / "model.safetensors", "numpy")
    assert again.metadata == {"rows": 60}
    np.testing.assert_array_equal(again.predict_proba(data[0]), model.predict_proba(data[0]))


def test_unregistered_parts_of_a_population_are_reported_before_training(data) -> None:
    epochs: list[int] = []
    options: dict[str, Any] = {"callbacks": epochs.append, **OPTIONS}
    with pytest.raises(anynet.InvalidArgumentError, match=r"configs\[1\]: .*JSON can hold"):
        anynet.fit_population(network(), data, [{}, {"metadata": {"a": object()}}], **options)
    with pytest.raises(anynet.InvalidArgumentError, match="progress must be"):
        anynet.fit_population(network(), data, [{}], progress=1, **options)
    assert epochs == []
    with pytest.warns(UserWarning, match=r"not saved: the loss is a .*OwnLoss"):
        anynet.fit_population(network(), data, [{}, {"loss": OwnLoss()}], **options)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("loss", lambda y, target: 0),  # noqa: ARG005
        ("loss", object()),
        ("optimizer", object()),
        ("optimizer", 0.1),
        ("learning_rate", lambda step: 0.1),  # noqa: ARG005
        ("progress", 1),
        ("metadata", [1]),
        ("metadata", "text"),
    ],
)
def test_objects_of_the_wrong_kind_raise(data, argument: str, value: Any) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=f"{argument} must be"):
        anynet.fit(network(), data, **{**OPTIONS, argument: value})


@pytest.mark.parametrize("metadata", [{"a": object()}, {"a": np.zeros(2)}, {("a",): 1}])
def test_metadata_that_json_cannot_hold_raise_before_training(data, metadata: Any) -> None:
    epochs: list[int] = []
    with pytest.raises(anynet.InvalidArgumentError, match="JSON can hold"):
        anynet.fit(network(), data, metadata=metadata, callbacks=epochs.append, **OPTIONS)
    assert epochs == []
