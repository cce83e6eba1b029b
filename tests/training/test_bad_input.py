"""Invalid arguments of ``fit`` and the facts in their messages."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anynet

X = np.zeros((6, 3), dtype=np.float32)
Y = np.array([0, 1, 0, 1, 0, 1])
NETWORK = anynet.mlp([3, 2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, "data must be \\(x, y\\) or \\(x, y, sample_weight\\), got ndarray"),
        ((X,), "data must be \\(x, y\\)"),
        ((X[:, :2], Y), "3 inputs, data's x has 2 columns"),
        ((X[0], Y), "data's x .*got shape \\(3,\\)"),
        ((X, Y[:4]), "x has 6 rows and y has 4"),
        ((X[:0], Y[:0]), "data has no rows"),
        ((X.astype(str), Y), "must hold real numbers"),
        ((X.astype(object), Y), "must hold real numbers"),
        ((X + 1j, Y), "must hold real numbers"),
        ((X + np.array([0, np.nan, 0]), Y), "NaN or infinity, first at row 0, column 1"),
        ((X + np.inf, Y), "first at row 0, column 0"),
        ((X + np.array([1e300]), Y), "first at row 0, column 0"),
        ((X, Y + 1), "for 2 outputs, got values from 1 to 2: number .* loss='squared_error'"),
        ((X, Y - 1), "got values from -1 to 0"),
        ((X, Y.astype(str)), "data's y must hold numbers, .* np.unique"),
        (([[1, 2, 3], [4]], [0, 1]), "rows of equal length"),
        ((X, [[0], [1, 2]]), "rows of equal length"),
        ((X, Y, np.ones(5)), "sample_weight must be 6 numbers, got shape \\(5,\\)"),
        ((X, Y, -np.ones(6)), "not negative"),
        ((X, Y, np.zeros(6)), "not all zero"),
        ((X, Y, np.full(6, np.nan)), "must be finite"),
    ],
)
def test_invalid_data_raise(data: Any, message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message) as caught:
        anynet.fit(NETWORK, data, loss="cross_entropy", backend="numpy")
    assert "\n" not in str(caught.value)


MODEL = anynet.Model(NETWORK, (), anynet.nn.CrossEntropy(), anynet.get_backend("numpy"))


@pytest.mark.parametrize("train", [anynet.fit, anynet.fit_population, anynet.cross_validate])
@pytest.mark.parametrize(
    ("network", "data", "facts"),
    [
        (MODEL, (X, Y), ("got Model", "fit(model.network, data, start=model)")),
        ((X, Y), NETWORK, ("got a tuple of 2", "fit(network, data)")),
        (anynet.load_dataset("digits"), NETWORK, ("got Dataset", "fit(network, data)")),
        ([3, 8, 2], (X, Y), ("got a list of 3", "anynet.mlp([3, 8, 2])")),
        ("digits", (X, Y), ("got str", "anynet.mlp(")),
        (None, (X, Y), ("got NoneType",)),
        (anynet.mlp, (X, Y), ("got function",)),
    ],
)
def test_a_wrong_type_of_network_raises_with_the_received_type(
    train: Any, network: Any, data: Any, facts: tuple[str, ...]
) -> None:
    configs = [[{}]] if train is anynet.fit_population else []
    with pytest.raises(anynet.InvalidArgumentError, match=r"^network must be a Network") as caught:
        train(network, data, *configs)
    assert all(fact in str(caught.value) for fact in facts)


def test_passing_a_dataset_raises_with_the_attribute_to_use() -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=r"got Dataset: .*train"):
        anynet.fit(NETWORK, anynet.load_dataset("digits"))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_classes_in_one_column_are_accepted_as_classes(dtype: Any) -> None:
    column = Y[:, None].astype(dtype)
    flat, tall = (anynet.fit(NETWORK, (X, y), epochs=1, backend="numpy") for y in (Y, column))
    assert tall.loss.kind == flat.loss.kind == "cross_entropy"
    np.testing.assert_array_equal(flat.params[0]["weight"], tall.params[0]["weight"])
    assert tall.score(X, column) == flat.score(X, Y)


def test_one_target_column_gives_values_or_labels_for_a_network_with_one_output() -> None:
    network = anynet.mlp([3, 1])
    values = anynet.fit(network, (X, Y[:, None] + 0.5), epochs=1, backend="numpy")
    labels = anynet.fit(network, (X, Y[:, None]), epochs=1, backend="numpy")
    assert (values.loss.kind, labels.loss.kind) == ("squared_error", "binary_cross_entropy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": 2.5}, "epochs"),
        ({"batch_size": -3}, "batch_size must be a whole number of at least 1, got -3"),
        ({"batch_size": True}, "batch_size"),
        ({"patience": 0}, "patience"),
        ({"target_accuracy": 1.5}, "target_accuracy must be in"),
        ({"min_delta": -1.0}, "min_delta must be at least 0"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
        ({"max_norm": -1.0}, "max_norm must be above 0"),
        ({"adversarial": 0}, "adversarial must be above 0"),
        ({"average": 1.0}, "average must be in"),
        ({"learning_rate": -0.1}, "learning_rate must be a finite number"),
        ({"learning_rate": "fast"}, "a number or a schedule"),
        ({"optimizer": "magic"}, "optimizer must be one of sgd, rmsprop, adam, adamw"),
        ({"loss": "magic"}, "loss must be one of cross_entropy"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"validation": 6}, "leave at least 1 of the 6"),
        ({"validation": (X, Y[:2])}, "validation: x has 6 rows and y has 2"),
        ({"callbacks": 3}, "callbacks must be .*EpochRecord.* got 3"),
        ({"callbacks": [print, None]}, "callbacks must be a function"),
        ({"backend": "abacus"}, "backend must be one of"),
    ],
)
def test_invalid_options_raise(options: dict[str, Any], message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        anynet.fit(NETWORK, (X, Y), **({"backend": "numpy"} | options))


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("squared_error", np.zeros((6, 3)), "must have 2 columns"),
        (None, np.arange(6.0), "must have 2 columns.*loss='cross_entropy'"),
        (None, Y.astype(float), "0.0 and 1.0 .*loss='cross_entropy'"),
        (None, np.eye(6)[:, :2], "0.0 and 1.0 .*loss='binary_cross_entropy'"),
        (None, Y + 5, "got values from 5 to 6.*loss='squared_error'"),
        (None, np.stack([Y, Y + 5], axis=1), "only 0 and 1.*loss='squared_error'"),
        ("squared_error", np.full((6, 2), np.nan), "NaN or infinity"),
        ("binary_cross_entropy", np.full((6, 2), 2), "only 0 and 1 .*loss='squared_error'"),
        ("poisson", -np.ones((6, 2)), "must be at least 0 for the loss poisson"),
        ("cross_entropy", np.full(6, 0.5), "whole numbers.*loss='squared_error'"),
        ("cross_entropy", np.zeros((6, 2)), "one class .*loss='binary_cross_entropy'"),
    ],
)
def test_targets_that_do_not_fit_the_loss_raise(
    loss: str | None, y: np.ndarray, message: str
) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        anynet.fit(NETWORK, (X, y), loss=loss, backend="numpy")


def test_predict_with_invalid_input_raises() -> None:
    model = anynet.fit(NETWORK, (X, Y), epochs=1, backend="numpy")
    with pytest.raises(anynet.InvalidArgumentError, match="takes 3 inputs, x has 4 columns"):
        model.predict(np.zeros((2, 4)))
    with pytest.raises(anynet.InvalidArgumentError, match=r"column 1: fill or drop"):
        model.predict([[0, np.nan, 0]])
    assert model.predict(np.zeros((0, 3))).shape == (0,)


def test_integer_targets_of_a_regression_need_an_explicit_loss() -> None:
    network, y = anynet.mlp([3, 1]), np.array([3, 14, 15, 92, 65, 35])
    with pytest.raises(anynet.InvalidArgumentError, match="choose loss='squared_error'"):
        anynet.fit(network, (X, y), backend="numpy")
    model = anynet.fit(network, (X, y), loss="squared_error", epochs=1, backend="numpy")
    with pytest.raises(anynet.InvalidArgumentError, match=r"use predict.*loss="):
        model.predict_proba(X)


def test_sparse_matrices_raise_with_the_conversion() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(anynet.InvalidArgumentError, match=r"got a sparse matrix.*\.toarray\(\)"):
        anynet.fit(NETWORK, (sparse.csr_array(X), Y), backend="numpy")


def test_callbacks_may_be_a_function_or_an_iterable() -> None:
    seen: list[int] = []
    options: dict[str, Any] = {"epochs": 2, "backend": "numpy"}
    anynet.fit(NETWORK, (X, Y), callbacks=lambda record: seen.append(record.epoch), **options)
    anynet.fit(NETWORK, (X, Y), callbacks=(seen.append for _ in range(1)), **options)
    assert seen[:2] == [1, 2]
    assert len(seen) == 4


@settings(deadline=None, max_examples=60)
@given(
    epochs=st.one_of(st.integers(-2, 3), st.floats(), st.none(), st.text(max_size=2)),
    batch_size=st.one_of(st.integers(-2, 9), st.floats(), st.none()),
    learning_rate=st.one_of(st.floats(), st.none(), st.text(max_size=2)),
    validation=st.one_of(st.integers(-2, 9), st.floats(), st.none(), st.text(max_size=2)),
    columns=st.integers(1, 4),
)
def test_arbitrary_arguments_either_train_or_raise_an_error_of_anynet(
    epochs, batch_size, learning_rate, validation, columns
) -> None:
    try:
        model = anynet.fit(
            NETWORK,
            (np.ones((6, columns)), Y),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            validation=validation,
            backend="numpy",
        )
    except anynet.AnynetError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert 1 <= len(model.history.records) <= epochs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"optimizer": anynet.optim.Adam},
            "object such as Adam(), got <class",
        ),
        ({"learning_rate": anynet.optim.Cosine}, "must be a number or a schedule, got <class"),
        ({"learning_rate": lambda epoch: 0.1 / epoch}, "must be a number or a schedule"),
        ({"loss": anynet.nn.Huber}, "such as Huber()"),
    ],
)
def test_classes_and_functions_in_place_of_instances_raise(options, message) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=re.escape(message)):
        anynet.fit(anynet.mlp([2, 1]), (np.zeros((4, 2)), np.zeros(4)), **options)


def test_options_of_the_wrong_type_raise() -> None:
    with pytest.raises(TypeError, match="positional argument"):
        anynet.optim.AdamW(0.01)
    for make in (lambda: anynet.optim.AdamW(weight_decay="a"), lambda: anynet.optim.Cosine("0.1")):
        with pytest.raises(anynet.InvalidArgumentError, match="got '"):
            make()
    with pytest.raises(anynet.InvalidArgumentError, match="activation must be one of"):
        anynet.mlp([64, 10], activation="rleu")


FITTED = anynet.fit(NETWORK, (X, Y), epochs=1, backend="numpy")


@pytest.mark.parametrize(
    ("call", "facts"),
    [
        (lambda: anynet.fit(NETWORK, (X, Y), backend="numpy", shuffle="no"), ("shuffle", "'no'")),
        (lambda: anynet.fit(NETWORK, (X, Y), backend="numpy", resident="no"), ("resident", "'no'")),
        (lambda: anynet.fit(NETWORK, (X, Y), validation=X), ("validation", "(x, y)", "ndarray")),
        (
            lambda: anynet.fit_population(NETWORK, (X, Y), [{}], shared_order="no"),
            ("shared_order", "'no'"),
        ),
        (
            lambda: anynet.fit_population(NETWORK, (X, Y), [{}], memory_limit="1 GB"),
            ("memory_limit", "'1 GB'"),
        ),
        (lambda: FITTED.score(X), ("y is missing", "score(x, y)")),
        (lambda: anynet.Ensemble(FITTED), ("models", "got Model")),
        (lambda: anynet.Ensemble([FITTED, NETWORK]), ("models", "got Network")),
        (lambda: FITTED.history.plot("loss"), ("ax", "'loss'")),
        (lambda: anynet.export.to_onnx(NETWORK, "m.onnx"), ("model", "got Network")),
        (lambda: anynet.export.to_sklearn(NETWORK), ("model", "got Network")),
        (lambda: anynet.export.torch_state_dict(NETWORK), ("model", "got Network")),
        (lambda: anynet.mlp([3, 2, 2], activation=np.tanh), ("activation", "'tanh'")),
    ],
)
def test_other_arguments_are_checked(call: Any, facts: tuple[str, ...]) -> None:
    with pytest.raises(anynet.InvalidArgumentError) as caught:
        call()
    message = str(caught.value)
    assert all(fact in message for fact in facts), message
    assert "\n" not in message
