"""The CUDA cases of the test matrix for one library that supports the device.

A skipped case is a failure (``ANYNET_REQUIRE_GPU=1``); a library that is not installed has no
cases. The tests for CuPy include those that name no library; JAX, which compiles for long, runs
those of its backend only. Folders that need more packages than a machine for training has (the
command line, studies, exports) are left out.

    python -m bench.gpu_parts.cuda_tests --library cupy --out DIR
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys

from bench.gpu_parts.training import parse, usable

CASES = {
    "cpu": {"numpy": "numpy and test_capabilities"},
    "cuda": {
        "cupy": "not torch-cuda and not jax-cuda",
        "torch": "torch-cuda",
        "jax": "jax-cuda",
    },
}
FOLDERS = ("backends", "nn", "optim", "augment", "training", "estimators")
FEWER_FOLDERS = {"jax": ("backends",)}
PROCESSES = 4


def main() -> int:
    """Run pytest for the library, and return 1 if it fails."""
    options = parse(__doc__)
    if options.library not in [backend.name for backend in usable(options.device)]:
        print(f"{options.library} has no {options.device} device here: no tests are run")
        return 0
    if not installed("pytest"):
        print("pytest is not installed: pip install 'anynet-mlp[test]'")
        return 1
    arguments = pytest_arguments(options.library, options.device)
    print(f"pytest {arguments}", flush=True)
    environment = os.environ | {"ANYNET_REQUIRE_GPU": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], env=environment, check=False
    ).returncode


def pytest_arguments(library: str, device: str) -> list[str]:
    """Return the arguments for the cases of a library, with the plugins that are installed."""
    mark = "cuda and not slow" if device == "cuda" else "not slow"
    options = ["-q", "--no-header", "-p", "no:cacheprovider"]
    options += ["-o", "addopts=--strict-markers --import-mode=importlib"]
    options += ["-W", "ignore::pytest.PytestConfigWarning"]  # pytest-timeout is not installed
    if installed("xdist"):
        options += ["-n", str(PROCESSES)]
    folders = [f"tests/{name}" for name in FEWER_FOLDERS.get(library, FOLDERS)]
    return [*options, "-m", mark, "-k", CASES[device][library], *folders]


def installed(package: str) -> bool:
    """Return whether a package can be imported."""
    with contextlib.suppress(ValueError):  # it is blocked
        return importlib.util.find_spec(package) is not None
    return False


if __name__ == "__main__":
    sys.exit(main())
