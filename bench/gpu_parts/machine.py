"""Description of the machine: GPU, driver, versions, and the usable backends.

python -m bench.gpu_parts.machine --out DIR
"""

from __future__ import annotations

import shutil
import subprocess

from anynet import available_backends
from bench.gpu_parts.training import parse, usable
from bench.machine import describe_machine
from bench.results import write_lines


def main() -> None:
    """Print and write the description."""
    options = parse(__doc__)
    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], timeout=20, check=False)
    machine = describe_machine()
    for status in available_backends():
        print(f"{status.name}: {'usable' if status.usable else 'not usable'}: {status.reason}")
        print(f"  version {status.version}, devices {status.devices}, {status.memory}")
    machine["backends"] = [backend.describe() for backend in usable(options.device)]
    write_lines(options.out / "machine.jsonl", [machine])
    print(machine)


if __name__ == "__main__":
    main()
