"""What layers, networks and their parts refuse, and the facts that the messages hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.nn import Activation, BatchNorm, Dense, Dropout, LayerNorm, Network, Scale
from anynet.optim import Adam, Cosine, Group

NETWORK = anynet.mlp([4, 3, 2], scale=0.5)
N = 4  # layers of NETWORK


@pytest.mark.parametrize(
    ("make", "facts"),
    [
        (lambda: anynet.mlp([4, 3, 2], batch_norm="no"), ("batch_norm", "'no'")),
        (lambda: anynet.mlp([4, 3, 2], layer_norm=1), ("layer_norm", "1")),
        (lambda: anynet.mlp([4, 3, 2], standardize="no"), ("standardize", "'no'")),
        (lambda: anynet.mlp(64), ("layer_sizes", "got 64")),
        (lambda: anynet.mlp([4, 2], scale="a"), ("factor", "'a'")),
        (lambda: anynet.mlp([4, 2], scale=0), ("scale", "0")),
        (lambda: anynet.mlp([4, 2], scale=0.5, offset=None), ("offset", "None")),
        (lambda: Scale(float("nan")), ("factor", "nan")),
        (lambda: BatchNorm(epsilon=-1), ("batch_norm", "epsilon", "-1")),
        (lambda: LayerNorm(epsilon="a"), ("layer_norm", "epsilon", "'a'")),
        (lambda: Dense(True), ("units", "True")),
        (lambda: Dense(1.5), ("units", "1.5")),
        (lambda: Network(4, ("dense",)), ("layers", "'dense'", "index 0")),
        (lambda: Network(4, (Dense(2), Activation)), ("layers", "Activation", "index 1")),
        (lambda: Network(4, Dense(2)), ("layers", "Dense(units=2")),
        (lambda: Network(4, ()), ("layers", "()")),
        (lambda: Network("4", (Dense(2),)), ("n_inputs", "'4'")),
        (lambda: Network(4, (Dense(2),), frozen=1), ("frozen", "1")),
        (lambda: Network(4, (Dense(2),), frozen="a"), ("frozen", "'a'")),
        (lambda: NETWORK.freeze(1), ("layers", "-4 to 3", "got 1")),
        (lambda: NETWORK.freeze(None), ("layers", "None")),
        (lambda: NETWORK.freeze([True, False]), ("layers", "True")),
        (lambda: NETWORK.freeze([1.0]), ("layers", "1.0")),
        (lambda: NETWORK.freeze(["dense"]), ("layers", "'dense'")),
        (lambda: Group(name="bias", rate=Cosine(0.1)), ("rate", "Cosine")),
        (lambda: Dropout(lambda: 0.5), ("dropout", "rate")),
    ],
)
def test_invalid_arguments_are_named(make: Callable[[], Any], facts: tuple[str, ...]) -> None:
    with pytest.raises(anynet.InvalidArgumentError) as caught:
        make()
    message = str(caught.value)
    assert all(fact in message for fact in facts), message
    assert "\n" not in message


def test_numbers_of_numpy_are_numbers_of_python() -> None:
    dense, dropout = Dense(np.int64(3)), Dropout(np.float32(0.5))
    assert (dense, type(dense.units)) == (Dense(3), int)
    assert (dropout, type(dropout.rate)) == (Dropout(0.5), float)
    assert type(Adam(beta_1=np.float32(0.5)).beta_1) is float
    with pytest.raises(anynet.InvalidArgumentError, match=r"rate must be .*, got 2.0"):
        Dropout(np.float32(2))


def test_a_list_of_layers_is_kept_as_a_tuple() -> None:
    network = Network(4, [Dense(2)])  # type: ignore[arg-type]
    assert network == Network(4, (Dense(2),))
    assert hash(network) == hash(Network(4, (Dense(2),)))


def test_freeze_takes_indices_of_numpy_and_from_the_end() -> None:
    assert NETWORK.freeze(np.arange(2)).frozen == (0, 1)
    assert NETWORK.freeze([-N]).frozen == (0,)


def test_an_unknown_option_of_mlp_names_the_nearest_one() -> None:
    with pytest.raises(TypeError, match="did you mean 'activation'"):
        anynet.mlp([2, 3, 1], activaton="relu")  # type: ignore[call-arg]
    assert "activation" in inspect.signature(anynet.mlp).parameters
