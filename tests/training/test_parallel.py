"""One fit on several processes gives the curve of one process."""

import json

import mpi
import numpy as np
import parallel_cases
import pytest


@pytest.mark.parametrize("processes", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_the_curves_are_those_of_one_process(processes, tmp_path):
    """All cases in one start of the processes; and a run that continues on another number."""
    out = tmp_path / "curves.json"
    parallel_cases.begin(tmp_path / "alone")
    code, _, err = mpi.run(processes, parallel_cases.__file__, out)
    assert code == 0, err
    found = json.loads(out.read_text())
    assert found["size"] == processes
    expected = {name: parallel_cases.curve(name) for name in parallel_cases.CASES}
    straight = parallel_cases.curve(parallel_cases.RESUMED, epochs=4)
    curves = found["curves"] | {"begun": parallel_cases.go_on(tmp_path / "several")}
    expected |= {"resumed": straight, "begun": straight}
    members = enumerate(parallel_cases.population())
    expected |= {f"member {member}": each for member, each in members}
    assert curves.keys() == expected.keys()
    for name, several in curves.items():
        check_equal(several, expected[name], name)
    assert found["search"] == pytest.approx(parallel_cases.search())


def check_equal(several, alone, name):
    assert (several["best"], several["stopped"]) == (alone["best"], alone["stopped"]), name
    found, expected = (
        [[np.nan if each is None else each for each in row] for row in one["records"]]
        for one in (several, alone)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)
    kwargs = {"rtol": 1e-6, "atol": 1e-9, "err_msg": name}
    np.testing.assert_allclose(several["weights"], alone["weights"], **kwargs)
