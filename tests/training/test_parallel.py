"""One fit on several processes gives the curve of one process."""

import json

import mpi
import numpy as np
import parallel_cases
import pytest


@pytest.fixture(scope="module", params=[2, 3, pytest.param(4, marks=pytest.mark.slow)])
def curves(request, tmp_path_factory):
    """Return the curves of all cases on several processes."""
    out = tmp_path_factory.mktemp("curves") / "curves.json"
    code, _, err = mpi.run(request.param, parallel_cases.__file__, out)
    assert code == 0, err
    found = json.loads(out.read_text())
    assert found["size"] == request.param
    return found["curves"]


@pytest.mark.parametrize("name", parallel_cases.CASES)
def test_the_curve_is_that_of_one_process(curves, name):
    alone, several = parallel_cases.curve(name), curves[name]
    assert (several["best"], several["stopped"]) == (alone["best"], alone["stopped"])
    expected, found = (
        np.array([[np.nan if value is None else value for value in row] for row in one["records"]])
        for one in (alone, several)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(several["weights"], alone["weights"], rtol=1e-6, atol=1e-9)
