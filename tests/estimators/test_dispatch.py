"""Meta-estimators under array API dispatch: they compare classes and predictions."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import anynet

CODE = """
import pickle
import numpy as np, torch
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import cross_val_predict
import anynet

rng = np.random.default_rng(0)
X = rng.standard_normal((90, 3)).astype("float32")
y = np.digitize(X[:, 0], [-0.5, 0.5]) * 3
there = torch.asarray(X), torch.asarray(y)
for n_ensemble in (1, 2):
    model = anynet.MLPClassifier((5,), max_iter=4, tol=9.0, random_state=0, n_ensemble=n_ensemble)
    with config_context(array_api_dispatch=True):
        codes = torch.asarray(y // 3)
        for method in ("predict", "predict_proba", "predict_log_proba"):
            found = cross_val_predict(model, *there, method=method)
            assert isinstance(found, torch.Tensor)
            wanted = cross_val_predict(model, X, y, method=method)
            np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3, atol=1e-4)
        for ensemble in (False, True):
            calibrated = CalibratedClassifierCV(model, ensemble=ensemble, method="temperature")
            assert calibrated.fit(there[0], codes).predict_proba(there[0]).shape == (90, 3)
        fitted = model.fit(*there)
        for one in (fitted, pickle.loads(pickle.dumps(fitted))):
            assert isinstance(one.classes_, torch.Tensor)
            assert one.classes_.tolist() == [0, 3, 6]
            assert isinstance(one.predict(there[0]), torch.Tensor)
        assert isinstance(model.fit(there[0], np.array(list("abc"))[y // 3]).classes_, np.ndarray)
        assert isinstance(model.fit(X, y).classes_, np.ndarray)
        if n_ensemble == 1:
            model = anynet.MLPClassifier((5,))
            for _ in range(2):
                model.partial_fit(*there, classes=there[1])
            assert model.to_sklearn().classes_.tolist() == [0, 3, 6]
            early = anynet.MLPClassifier((5,), early_stopping=True, scoring="f1_macro", max_iter=2)
            assert isinstance(early.fit(*there).classes_, torch.Tensor)
    assert isinstance(model.fit(*there).classes_, np.ndarray)
"""


def test_torch_arrays_work_under_dispatch() -> None:
    pytest.importorskip("torch")
    done = subprocess.run(  # SciPy reads its setting during import
        [sys.executable, "-W", "ignore", "-c", CODE],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_integer_classes_are_never_truncated() -> None:
    jnp = pytest.importorskip("jax.numpy")
    X = np.random.default_rng(0).standard_normal((60, 2)).astype(np.float32)
    y = np.array([5, 2**40])[(X[:, 0] > 0).astype(int)]
    model = anynet.MLPClassifier((5,), max_iter=30, learning_rate_init=0.05, random_state=0)
    found = model.fit(jnp.asarray(X), y).predict(jnp.asarray(X))
    assert set(np.asarray(found).tolist()) == {5, 2**40}
    assert model.score(jnp.asarray(X), y) > 0.8
    again = pickle.loads(pickle.dumps(model))
    assert again.classes_.tolist() == [5, 2**40]
