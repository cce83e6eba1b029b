"""Fits on the engines of torch and JAX, which must have the curves of NumPy in one process.

``python tests/engine_cases.py ENGINE FILE CASE…`` writes the curves of cases as JSON;
``python tests/engine_cases.py ENGINE endless FOLDER`` trains until it is ended.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import parallel_cases

import anynet
from anynet.backends import find_group


def train(engine, name="dropout", **more):
    """Train a case of ``parallel_cases`` on the library of an engine."""
    network, data, options = parallel_cases.CASES[name]()
    options = {**parallel_cases.PLAIN, **options, **more}
    backend = {"backend": engine, "dtype": "float64", "device": "cpu", "parallel": engine}
    return parallel_cases.summary(anynet.fit(network, data, **backend, **options))


def main(engine, out, *names):
    if engine == "jax" and "PORT" in os.environ:
        import jax

        address = f"localhost:{os.environ['PORT']}"
        jax.distributed.initialize(
            address, 2, int(os.environ["RANK"]), heartbeat_timeout_seconds=10
        )
    group = find_group(engine)
    if out == "endless":
        train(engine, epochs=10**6, patience=None, checkpoint=names[0])
    curves = {}
    for name in names or parallel_cases.CASES:
        found = group.gather(train(engine, name))
        assert all(other == found[0] for other in found), f"{name}: processes differ"
        curves[name] = found[0]
    if group.is_first:
        about = {"size": group.size, "reason": group.reason, "curves": curves}
        Path(out).write_text(json.dumps(about))


if __name__ == "__main__":
    main(*sys.argv[1:])
