"""Description of the environment of a measurement: machine, versions, BLAS and threads."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

import anynet

PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "jax",
    "jaxlib",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "scikit-learn",
    "thinc",
    "skorch",
)


def describe_machine() -> dict[str, object]:
    """Return processor, GPU, cores, versions and thread pools, as JSON-able values."""
    versions = {"anynet": anynet.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "gpu": gpu(),
        "versions": versions,
        "blas": thread_pools(),
    }


def processor() -> str:
    """Return the processor's name if the system provides it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu() -> str | None:
    """Return name, driver and memory of the first GPU, as reported by nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    return answer.stdout.splitlines()[0] if answer.returncode == 0 and answer.stdout else None


def thread_pools() -> list[str]:
    """Return every BLAS and OpenMP pool of the process with its threads."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ["threadpoolctl is not installed"]
    return sorted(
        f"{pool['internal_api']} {pool.get('version') or ''} × {pool['num_threads']}"
        for pool in threadpool_info()
    )
