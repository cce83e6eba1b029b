"""What one process of a group does wrong ends all of them, with one message."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import mpi
import parallel_cases
import pytest

import anynet

LIMIT = 10  # seconds in which all processes must have ended


def main(kind, folder=None):
    """Train a long fit in which process 1 differs or fails."""
    from anynet.backends import find_group

    group = find_group("mpi")
    other = group.rank == 1
    network, data = parallel_cases.mlp(8), parallel_cases.samples()
    options = {"batch_size": 50, "epochs": 10**6, "backend": "numpy", "parallel": "mpi"}

    def report(record):
        if kind == "callback" and record.epoch == 3:
            message = "a callback of process 0 fails"
            raise RuntimeError(message)
        if record.epoch == 3:
            Path(folder, "running").touch()
        time.sleep(0.02)

    if other:
        Path(folder, "pid").write_text(str(os.getpid()))
        options |= {"options": {"learning_rate": 0.3}, "invalid": {"clip_norm": -1}}.get(kind, {})
        if kind == "data":
            data = parallel_cases.samples(seed=9)
        if kind == "memory":
            options["progress"] = None
            anynet.training.run.Run.figures = None  # fails when it is called
        if kind == "outside":
            message = "process 1 fails before the fit"
            raise RuntimeError(message)
    if kind == "too few rows":
        options["batch_size"] = 1
    anynet.fit(network, data, callbacks=report, checkpoint=Path(folder, "checkpoints"), **options)


def slow(*arguments):
    return pytest.param(*arguments, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("options", r"GroupError: process 1 of 2 has another learning_rate than process 0"),
        slow("data", r"GroupError: process 1 of 2 has another training data than process 0"),
        slow("invalid", r"GroupError: process 1 of 2 failed: InvalidArgumentError: clip_norm"),
        slow("too few rows", r"GroupError: a batch of 1 rows cannot be divided among 2 processes"),
        slow("callback", r"RuntimeError: a callback of process 0 fails\nprocess 0 of 2 failed"),
        ("memory", r"TypeError: .*\nprocess 1 of 2 failed"),
        slow("outside", r"RuntimeError: process 1 fails before the fit\nprocess 1 of 2 failed"),
    ],
)
def test_an_error_of_one_process_is_reported_once(kind, expected, tmp_path):
    code, _, err = mpi.run(2, __file__, kind, tmp_path)
    assert code != 0
    assert re.search(expected, err)
    assert err.count("Traceback") == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals of POSIX")
@pytest.mark.parametrize(("number", "ends_well"), [("SIGKILL", False), slow("SIGINT", True)])
def test_a_signal_to_one_process_ends_all_and_keeps_a_checkpoint(number, ends_well, tmp_path):
    with mpi.start(2, __file__, "signal", tmp_path) as process:
        try:
            deadline = time.monotonic() + 60
            while not Path(tmp_path, "running").exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.kill(int(Path(tmp_path, "pid").read_text()), getattr(signal, number))
            _, err = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    assert process.returncode != 0
    assert ("TrainingInterrupted" in err) == ends_well
    found = sorted(Path(tmp_path, "checkpoints").glob("step-*"))
    steps = int(re.findall(r"\d+", found[-1].name)[0])
    model = anynet.resume(
        Path(tmp_path, "checkpoints"), parallel_cases.samples(), epochs=steps // 5 + 2
    )
    assert len(model.history.records) == steps // 5 + 2


if __name__ == "__main__":
    main(*sys.argv[1:])
