"""Pickle, copy and joblib round trips of models, ensembles and backends on any backend."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import anynet

X = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def through_joblib(value: Any, path: Any) -> Any:
    joblib = pytest.importorskip("joblib")
    joblib.dump(value, path / "dumped")
    return joblib.load(path / "dumped")


WAYS = {
    "pickle": lambda value, _: pickle.loads(pickle.dumps(value)),
    "deepcopy": lambda value, _: copy.deepcopy(value),
    "copy": lambda value, _: copy.copy(value),
    "joblib": through_joblib,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_models_ensembles_and_backends_round_trip(name: str, way: str, tmp_path) -> None:
    if name != "numpy":
        pytest.importorskip(name)
    backend = anynet.get_backend(name, "cpu", dtype="float32")
    model = anynet.fit(
        anynet.mlp([4, 5, 2]), (X, Y), epochs=2, backend=backend, metadata={"a": [1]}
    )
    again = WAYS[way](model, tmp_path)
    assert again.backend == backend
    assert type(again.params[0]["weight"]) is type(model.params[0]["weight"])
    assert (again.network, again.loss, again.history, again.metadata) == (
        model.network,
        model.loss,
        model.history,
        model.metadata,
    )
    ensemble = WAYS[way](anynet.Ensemble([model, model]), tmp_path)
    for one in (again, ensemble):
        np.testing.assert_array_equal(one.predict_proba(X), model.predict_proba(X))
    for value in (backend, model.network, model.history):
        assert WAYS[way](value, tmp_path) == value


def test_a_deep_copy_shares_no_memory() -> None:
    model = anynet.fit(anynet.mlp([4, 2]), (X, Y), epochs=1, backend="numpy", metadata={"a": []})
    other = copy.deepcopy(model)
    other.metadata["a"].append(1)
    assert model.metadata == {"a": []}
    assert not np.shares_memory(other.params[0]["weight"], model.params[0]["weight"])


def test_a_model_is_unpickled_on_numpy_if_its_library_is_missing(monkeypatch) -> None:
    pytest.importorskip("torch")
    model = anynet.fit(anynet.mlp([4, 2]), (X, Y), epochs=1, backend="torch")
    dumped = pickle.dumps(model)
    get = anynet.get_backend

    def missing(name: str = "auto", *rest: Any, **options: Any) -> Any:
        if name == "torch":
            raise anynet.BackendError("torch is missing")  # noqa: EM101
        return get(name, *rest, **options)

    monkeypatch.setattr("anynet.backends.select.get_backend", missing)
    again = pickle.loads(dumped)
    assert again.backend.name == "numpy"
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), rtol=1e-5)


MASKED = np.ma.masked_array(X, mask=X > 1)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        ((MASKED, Y), (X > 1).sum()),
        ((list(MASKED), Y), (X > 1).sum()),
        ((X, np.ma.masked_equal(Y, 1)), Y.sum()),
        ((X, Y, np.ma.masked_array(np.ones(60), mask=Y == 1)), Y.sum()),
    ],
)
def test_masked_values_raise(data: Any, count: int) -> None:
    pytest.importorskip("sklearn")
    facts = rf"masked array with {count} masked values.*filled"
    with pytest.raises(anynet.InvalidArgumentError, match=facts):
        anynet.fit(anynet.mlp([4, 2]), data, epochs=1, backend="numpy")
    with pytest.raises(anynet.InvalidArgumentError, match=facts):
        anynet.MLPClassifier((4,), max_iter=1).fit(*data)


@pytest.mark.filterwarnings("ignore:.*hasn't converged")
def test_predict_with_masked_inputs_raises() -> None:
    pytest.importorskip("sklearn")
    model = anynet.fit(anynet.mlp([4, 2]), (X, Y), epochs=1, backend="numpy")
    for one in (model, anynet.MLPClassifier((4,), max_iter=1).fit(X, Y)):
        with pytest.raises(anynet.InvalidArgumentError, match="masked"):
            one.predict(MASKED)
        np.testing.assert_array_equal(one.predict(np.ma.masked_array(X)), one.predict(X))


@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning", "ignore:.*hasn't converged")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_tensors_raise_with_the_conversion(layout: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    sparse = getattr(torch.asarray(X), layout)()
    model = anynet.fit(anynet.mlp([4, 2]), (torch.asarray(X), Y), epochs=1)
    estimator = anynet.MLPClassifier((4,), max_iter=1).fit(torch.asarray(X), Y)
    for refuse in (
        lambda: anynet.fit(anynet.mlp([4, 2]), (sparse, Y), epochs=1),
        lambda: model.predict(sparse),
        lambda: anynet.MLPClassifier((4,)).fit(sparse, Y),
        lambda: estimator.predict_proba(sparse),
    ):
        with pytest.raises(anynet.InvalidArgumentError, match=r"sparse tensor.*\.to_dense\(\)"):
            refuse()
