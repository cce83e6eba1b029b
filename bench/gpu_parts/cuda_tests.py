"""The CUDA cases of the test matrix, for the libraries that support the device.

One pytest process per library, all in parallel. A skipped case is a failure
(``ANYNET_REQUIRE_GPU=1``); a library that is not installed has no cases. The process for CuPy also
runs the tests that name no library.

    python -m bench.gpu_parts.cuda_tests --out DIR
"""

from __future__ import annotations

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


def main() -> int:
    """Run pytest for each library, and return 1 if one of them fails."""
    options = parse(__doc__)
    if importlib.util.find_spec("pytest") is None:
        print("pytest is not installed: pip install 'anynet-mlp[test]'")
        return 1
    mark = "cuda and not slow" if options.device == "cuda" else "not slow"
    found = [backend.name for backend in usable(options.device)]
    cases = {name: case for name, case in CASES[options.device].items() if name in found}
    running = {name: start(mark, case) for name, case in cases.items()}
    failed = False
    for name, process in running.items():
        output, _ = process.communicate()
        print(f"== {name}: pytest -m '{mark}' -k '{cases[name]}'\n{output}", flush=True)
        failed |= process.returncode != 0
    return int(failed or not running)


def start(mark: str, case: str) -> subprocess.Popen[str]:
    """Start a pytest process for the selected cases."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [*command, "-m", mark, "-k", case, "--ignore=tests/bench", "tests"],
        env=os.environ | {"ANYNET_REQUIRE_GPU": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    sys.exit(main())
