"""Imports of ``anynet.data``: their cost, and the error if scikit-learn is missing."""

import subprocess
import sys

import pytest

from anynet.data import fetch_dataset, load_dataset, locate_dataset, verify_dataset
from anynet.errors import DataError


def test_importing_loads_no_optional_library():
    heavy = "{'sklearn', 'scipy', 'torch', 'jax', 'cupy', 'tqdm', 'matplotlib'}"
    code = f"import sys, anynet.data; assert not {heavy} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_digits_come_from_scikit_learn():
    pytest.importorskip("sklearn")
    assert locate_dataset("digits") == fetch_dataset("digits")
    assert [state.state for state in verify_dataset("digits")] == ["ok"]


def test_digits_without_scikit_learn_raise_with_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    for function in (load_dataset, fetch_dataset):
        with pytest.raises(DataError, match="pip install scikit-learn"):
            function("digits")
    assert locate_dataset("digits") is None
    assert [state.state for state in verify_dataset("digits")] == ["absent"]
