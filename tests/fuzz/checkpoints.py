"""Checkpoints, corrupted with and without a valid checksum."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from fuzz.mutations import corrupt_bytes, corrupt_json
from safetensors import SafetensorError
from safetensors.numpy import load, save

import anynet
from anynet.optim import Adam, Cosine, ReduceOnPlateau, Warmup
from anynet.training.checkpoint.container import DIGEST, digest_of
from anynet.training.checkpoint.folder import KEY

X, Y = np.eye(12, 6), np.arange(12) % 3
NAME = "step-000000000001.safetensors"


def checkpoints() -> tuple[bytes, ...]:
    """Return the checkpoints of interrupted runs, one of them within an epoch."""
    runs = [
        {"optimizer": Adam(), "learning_rate": Warmup(Cosine(0.1, epochs=2), 1), "average": 0.9},
        {"validation": 3, "learning_rate": ReduceOnPlateau(0.1), "augment": "noise"},
    ]
    made = []
    for options in runs:
        with tempfile.TemporaryDirectory() as name:
            policy = anynet.Checkpoints(name, every="0.0000001min", keep=10)
            network = anynet.mlp([6, 4, 3], dropout=0.5, layer_norm=True)
            anynet.fit(
                network,
                (X, Y),
                batch_size=4,
                epochs=2,
                backend="numpy",
                checkpoint=policy,
                **options,
            )
            made += [path.read_bytes() for path in sorted(Path(name).glob("step-*"))[2:]]
    return tuple(made)


def corrupt_checkpoint(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Corrupt the JSON or the arrays and correct the checksum, or corrupt the bytes."""
    if random.random() < 0.2:
        return corrupt_bytes(random, content, others)
    try:
        arrays = load(content)
        text = _metadata(content)[KEY]
    except (SafetensorError, KeyError, ValueError, TypeError):
        return corrupt_bytes(random, content, others)
    if random.random() < 0.8:
        corrupted = corrupt_json(random, text.encode("utf-8", "replace"), [text.encode()])
        text = corrupted.decode("utf-8", "replace")
    else:
        name = random.choice(sorted(arrays))
        array = arrays.pop(name)
        other = random.choice(
            [array[..., None], array.astype("f8"), array * np.nan, np.tile(array, 2)]
        )
        arrays[random.choice((name, name, "x", "best.0"))] = np.asarray(other)
    return save(arrays, {KEY: text, DIGEST: digest_of(text, arrays)})


def _metadata(content: bytes) -> dict[str, str]:
    import json
    import struct

    (length,) = struct.unpack("<Q", content[:8])
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata


def resume_from(path: Path) -> None:
    """Resume from a file for a maximum of one additional epoch."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        (Path(name) / NAME).write_bytes(path.read_bytes())
        try:
            with warnings.catch_warnings():
                anynet.resume(name, (X, Y), epochs=3, backend="numpy")
        except anynet.AnynetError as error:  # the campaign does not know the folder's name
            raise anynet.AnynetError(str(error).replace(name, "")) from error
