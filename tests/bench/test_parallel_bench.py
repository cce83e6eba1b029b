"""The rows of ``bench.parallel``."""

import mpi
import pytest

from bench.parallel import Job, make_rows, measure


def figures(seconds, **more):
    return {"seconds_per_step": seconds, "reducing": 0.0, "all_reduce": 0.0, "bytes": 8, **more}


def test_the_speedup_is_that_of_the_medians_and_is_predicted_from_half_of_the_batch():
    found = {
        "one": [figures(0.4), figures(0.3), figures(0.8)],
        "two": [figures(0.25, reducing=0.05, all_reduce=0.03)],
        "half": [figures(0.17)],
    }
    one, two = make_rows(Job((4, 3, 2), 10, 5), found)
    assert (one["speedup"], one["slowest"], one["fastest"]) == (1.0, 1.2, 3.3)
    assert two["speedup"] == pytest.approx(0.4 / 0.25)
    assert two["predicted_speedup"] == pytest.approx(0.4 / 0.2)
    assert two["all_reduce_share"] == pytest.approx(0.2)


@pytest.mark.slow
def test_two_processes_are_measured():
    mpi.launcher()
    found = measure(Job((784, 8, 10), 32, 8), 2)
    assert found["bytes"] == 4 * (784 * 8 + 8 + 8 * 10 + 10 + 2)
    assert 0 < found["reducing"] < found["seconds_per_step"]
