"""Memory of a process that trains from disk: its buffers, independent of the file size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

INPUTS = 1000
TRAIN = """
import sys
from pathlib import Path

import numpy as np

import anynet

path, kind, window = sys.argv[1], sys.argv[2], int(sys.argv[3])


def peak():
    words = Path("/proc/self/status").read_text().split()
    return 1024 * int(words[words.index("VmHWM:") + 1])


network = anynet.mlp([1000, 8, 4], scale=1 / 255)
options = {"epochs": 2, "batch_size": 512, "validation": 0.1, "backend": "numpy"}
few = np.zeros((2000, 1000), np.uint8), np.arange(2000) % 4
anynet.fit(network, few, **options).predict(few[0])  # imports and caches are not streaming's
if kind == "map":
    x = np.load(path, mmap_mode="r")
    data = x, np.arange(len(x)) % 4
else:
    data = anynet.open_source(path, np.arange(np.load(path, mmap_mode="r").shape[0]) % 4,
                            shuffle=kind, window=window)
before = peak()
model = anynet.fit(network, data, **options, resident=False)
x = data[0] if kind == "map" else data
assert model.predict(x).shape == (len(x),)
print(peak() - before)
"""


def write(path: Path, n_samples: int) -> None:
    """Write bytes, as pages of a file that are on disk (not sparse)."""
    rows = np.random.default_rng(0).integers(256, size=(1000, INPUTS), dtype=np.uint8)
    with path.open("wb") as file:
        shape = {"descr": "|u1", "fortran_order": False, "shape": (n_samples, INPUTS)}
        np.lib.format.write_array_header_1_0(file, shape)
        for _ in range(n_samples // 1000):
            file.write(rows)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the kernel does not report the peak"
)
@pytest.mark.parametrize(
    ("kind", "megabytes", "window"),
    [
        ("blocks", 200, 8_000_000),
        pytest.param("blocks", 2_000, 32_000_000, marks=pytest.mark.slow),
        pytest.param("exact", 1_000, 32_000_000, marks=pytest.mark.slow),
        pytest.param("map", 1_000, 128 * 2**20, marks=pytest.mark.slow),
    ],
)
def test_peak_memory_does_not_grow_with_the_file(tmp_path, kind, megabytes, window) -> None:
    n_samples = 1000 * megabytes
    write(tmp_path / "x.npy", n_samples)
    code = [sys.executable, "-c", TRAIN, str(tmp_path / "x.npy"), kind, str(window)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    per_sample = 60 * n_samples  # targets, orders while they are drawn, row positions, predictions
    extra = int(done.stdout)
    assert extra < 2 * window + per_sample + 32_000_000
    assert extra < 0.5 * megabytes * 1e6
