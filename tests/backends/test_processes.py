"""Worker processes after the parent has computed: forked and spawned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import anynet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
]

PARENT = """
import warnings
import joblib, numpy as np
import anynet

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(300, 40)), rng.integers(0, 3, 300)

def train(seed, backend=BACKEND):
    network = anynet.mlp([40, 300, 3], dropout=0.2)
    options = dict(epochs=2, batch_size=4, seed=seed, backend=backend)
    model = anynet.fit(network, (X, Y), **options)
    return model.history.best.train_loss

def in_workers(engine, seeds=(0, 1)):
    parallel = joblib.Parallel(n_jobs=2, backend=engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # JAX's own warning of forks
        return parallel(joblib.delayed(train)(seed) for seed in seeds)
"""
SAME = """
alone = [train(seed) for seed in (0, 1)]
# A worker may take fewer threads than the parent: that is another rounding.
np.testing.assert_allclose(in_workers(ENGINE), alone, rtol=1e-4)
print("the same")
"""
REFUSED = """
train(0)
try:
    in_workers("multiprocessing")
except anynet.BackendError as error:
    print(error)
"""
CHILDREN_ONLY = """
first = in_workers("multiprocessing")
np.testing.assert_allclose(first, [train(seed) for seed in (0, 1)], rtol=1e-4)
print("the same")
"""
SEARCH = """
from sklearn.model_selection import GridSearchCV
train(0)
search = GridSearchCV(
    anynet.MLPClassifier((8,), max_iter=3, random_state=0, tol=1e9),
    {"alpha": [0.0, 0.1]}, cv=2, n_jobs=2,
)
with joblib.parallel_config(backend=ENGINE), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    spread = search.fit(X, Y).cv_results_["mean_test_score"]
    alone = search.set_params(n_jobs=1).fit(X, Y).cv_results_["mean_test_score"]
assert np.array_equal(spread, alone)
print("the same")
"""


def outcome(code: str, backend: str, folder: Path, engine: str = "") -> str:
    """Run a script in its own process, which must terminate, and return its output."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    }
    done = subprocess.run(
        [sys.executable, "-c", f"BACKEND, ENGINE = {backend!r}, {engine!r}\n{PARENT}{code}"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def usable(name: str) -> str:
    """Return the name of a backend, or skip the test if it is not installed."""
    pytest.importorskip("joblib")
    try:
        anynet.get_backend(name, "cpu")
    except anynet.BackendError as error:
        if name in os.environ.get("ANYNET_REQUIRE_BACKENDS", "").split(","):
            pytest.fail(str(error))
        pytest.skip(str(error))
    return name


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_forked_workers_match_the_parent(name: str, tmp_path: Path) -> None:
    """GNU OpenMP with more than one thread hangs in a forked child."""
    assert outcome(SAME, usable(name), tmp_path, "multiprocessing") == "the same"


def test_forked_workers_of_a_parent_that_used_jax_raise_with_the_fix(tmp_path: Path) -> None:
    said = outcome(REFUSED, usable("jax"), tmp_path)
    assert "JAX cannot compute in a forked child" in said
    assert "loky" in said


def test_forked_workers_may_use_jax_if_the_parent_did_not(tmp_path: Path) -> None:
    assert outcome(CHILDREN_ONLY, usable("jax"), tmp_path) == "the same"


@pytest.mark.parametrize(
    "name",
    [
        "numpy",
        "torch",
        "jax",
    ],
)
def test_spawned_processes_match_the_parent(name: str, tmp_path: Path) -> None:
    assert outcome(SAME, usable(name), tmp_path, "loky") == "the same"


@pytest.mark.parametrize("engine", ["multiprocessing", "loky"])
def test_searches_in_workers_match_the_parent(engine: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    assert outcome(SEARCH, usable("numpy"), tmp_path, engine) == "the same"
