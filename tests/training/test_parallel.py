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
    parallel_cases.begin(out.with_name("alone"))
    code, _, err = mpi.run(request.param, parallel_cases.__file__, out)
    assert code == 0, err
    found = json.loads(out.read_text())
    assert found["size"] == request.param
    found["curves"]["begun"] = parallel_cases.go_on(out.with_name("several"))
    return found["curves"]


@pytest.mark.parametrize("name", parallel_cases.CASES)
def test_the_curve_is_that_of_one_process(curves, name):
    check_equal(curves[name], parallel_cases.curve(name))


@pytest.mark.parametrize("name", ["resumed", "begun"])
def test_a_run_continues_with_another_number_of_processes(curves, name):
    check_equal(curves[name], parallel_cases.curve(parallel_cases.RESUMED, epochs=4))


def check_equal(several, alone):
    assert (several["best"], several["stopped"]) == (alone["best"], alone["stopped"])
    expected, found = (
        np.array([[np.nan if value is None else value for value in row] for row in one["records"]])
        for one in (alone, several)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(several["weights"], alone["weights"], rtol=1e-6, atol=1e-9)
