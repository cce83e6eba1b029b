"""Start programs under ``mpiexec``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def launcher():
    """Return the path of ``mpiexec``; skip the test without it or mpi4py."""
    pytest.importorskip("mpi4py")
    found = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip("needs mpiexec: pip install mpich")
    return found


def start(processes, *command, **options):
    """Start Python with these arguments in several processes of one thread each."""
    mpiexec = launcher()
    version = subprocess.run([mpiexec, "--version"], capture_output=True, text=True, check=False)
    several = ["-n", str(processes)]
    if "Open MPI" in version.stdout or "OpenRTE" in version.stdout:
        several = ["--oversubscribe", "--allow-run-as-root", *several]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    return subprocess.Popen(
        [mpiexec, *several, sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"env": env, **options},
    )


def run(processes, *command, timeout=120, **options):
    """Run Python in several processes; return the exit code, the output and the error output."""
    with start(processes, *command, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
    return process.returncode, out, err
