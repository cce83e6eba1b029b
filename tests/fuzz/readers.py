"""The readers of external files, each with valid files to start from."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.campaign import Reader
from fuzz.checkpoints import checkpoints, corrupt_checkpoint, resume_from
from fuzz.mutations import (
    corrupt_bytes,
    corrupt_json,
    corrupt_safetensors,
    corrupt_text,
    within_gzip,
    within_zip,
)
from PIL import Image

import anynet
from anynet.cli.config import read_config
from anynet.cli.models import classes_of, image_format
from anynet.cli.options import TrainOptions
from anynet.cli.pictures import read_rows
from anynet.cli.study import read_study
from anynet.data import load_dataset, read_idx, write_idx
from anynet.data.fetch import extract
from anynet.data.idx import encode_idx
from anynet.data.image_format import ImageFormat
from anynet.study.grid import single
from anynet.study.results import Results, Row
from anynet.study.summary import Plan, choose, mean, spread, summarise

NUMPY = anynet.get_backend("numpy")
PICTURES = ImageFormat((8, 8), 8, 255.0)
DRAWING = np.zeros((8, 8), np.uint8)
DRAWING[1:7, 3] = 255
ABOUT = {"name": "width", "options": {"layers": [8]}}
CONFIG = b"""dataset = "digits"
layers = [32, 16]
activation = "relu"
layer-norm = true
learning-rate = 0.1
epochs = 3
data-dir = "data"

[about]
finished = 2026-01-01T00:00:00Z
"""
STUDY = b"""dataset = "digits"
epochs = 2
[grid]
learning-rate = { low = 0.01, high = 0.1, log = true }
layers = [[8], [16, 8]]
momentum = [0.0, 0.9]
""".replace(b'dataset = "digits"\n', b"")


def _made(write: Callable[[Path], object], suffix: str = "") -> bytes:
    """Return the bytes of the file that ``write`` creates."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(path)
        return path.read_bytes()


def _idx(suffix: str) -> tuple[bytes, ...]:
    arrays = [DRAWING[None], np.arange(12, dtype=">i2").reshape(2, 6), np.zeros((0, 3), "f8")]
    return tuple(_made(lambda path, a=array: write_idx(path, a), suffix) for array in arrays)


def _npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _arrays() -> tuple[bytes, ...]:
    return _npy(DRAWING), _npy(np.ones((2, 64))), _npy(np.arange(64, dtype=">i4"), (2, 0))


def _archives() -> tuple[bytes, ...]:
    return (_zip({"gzip/one.gz": _idx(".gz")[0], "gzip/two.gz": bytes(999), "../x": b"x"}),)


def _images_of_a_folder() -> tuple[bytes, ...]:
    return (encode_idx(np.stack([DRAWING] * 6)),)


def _npz() -> tuple[bytes, ...]:
    x, y = np.arange(40.0).reshape(10, 4), np.arange(10) % 2
    words = np.array(["a", "b"])[y]
    pictures = np.stack([DRAWING] * 10)
    four = {"x_train": pictures, "y_train": words, "x_test": pictures, "y_test": words}
    return (
        _zip({"x.npy": _npy(x), "y.npy": _npy(y, (2, 0))}),
        _zip({f"{name}.npy": _npy(array) for name, array in four.items()}),
    )


def _model_file(loss: str | None, y: Any, outputs: int, frozen: Any = (), **options: Any) -> bytes:
    network = anynet.mlp([64, 4, outputs], scale=1 / 255, **options).freeze(frozen)
    metadata = {
        "classes": list("ab"),
        "image": {"shape": [8, 8], "box": 8},
        "scale": 0.5,
        "dataset": "digits",
    }
    x = np.stack([DRAWING.reshape(-1)] * 4)
    model = anynet.fit(network, (x, y), loss=loss, epochs=1, backend=NUMPY, metadata=metadata)
    return _made(model.save)


def _models() -> tuple[bytes, ...]:
    return (
        _model_file(None, np.array([0, 1, 0, 1]), 2, dropout=0.5, layer_norm=True),
        _model_file("huber", np.arange(4.0), 1, activation="gelu"),
        _model_file(None, np.array([0, 1, 0, 1]), 2, batch_norm=True, frozen=[1]),
    )


def _ensembles() -> tuple[bytes, ...]:
    x, y = np.stack([DRAWING.reshape(-1)] * 4), np.array([0, 1, 0, 1])
    network = anynet.mlp([64, 3, 2], scale=1 / 255)
    models = anynet.fit_population(
        network, (x, y), configs=[{"seed": 0}, {"seed": 1}], epochs=1, backend=NUMPY
    )
    return (_made(anynet.Ensemble(models).save),)


def _read_rows(path: Path) -> None:
    read_rows(path, 64, PICTURES)  # the list contains errors for images without a character


def _read_config(path: Path) -> None:
    TrainOptions(**read_config(path))


def _read_study(path: Path) -> None:
    read_study(path, searched=True)


def _read_model(path: Path) -> None:
    """Do everything that ``anynet predict`` does with a model."""
    model = anynet.load(path, backend=NUMPY)
    repr(model)
    image_format(model)
    if model.network.n_inputs < 1000 and model.loss.task == "classes":
        classes_of(model)
        model.predict_proba(np.ones((2, model.network.n_inputs)))
    model.predict(np.ones((2, model.network.n_inputs)))


def _read_ensemble(path: Path) -> None:
    ensemble = anynet.Ensemble.load(path, backend=NUMPY)
    ensemble.predict(np.ones((2, ensemble.models[0].network.n_inputs)))


def _read_study_results(path: Path) -> None:
    """Continue and summarise a study as ``anynet study`` does; its file is kept or repaired."""
    plan = Plan(single("width", "Width", "layers", ((8,),)), ({"layers": [8]},))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        (Path(folder) / "results.json").write_bytes(path.read_bytes())
        try:
            with Results.open(Path(folder), ABOUT) as results:
                summaries = summarise(plan, results.rows.values())
        except anynet.AnynetError as error:  # the campaign does not know the folder's name
            raise type(error)(str(error).replace(folder, "")) from error
        for summary in summaries:
            for figure in ("validation_accuracy", "seconds"):
                spread(summary.values(figure))
                mean(summary.values(figure))
        choose(summaries)


def _study_results() -> tuple[bytes, ...]:
    rows = [
        Row({"layers": [8]}, seed, 0.5, 0.5, 2, 2, 1.0, "all 2 epochs done", [0.4, 0.5])
        for seed in (0, 1)
    ]
    content = {
        "format": "anynet study",
        "version": 1,
        "study": ABOUT,
        "rows": [row.as_json() for row in rows],
    }
    return (json.dumps(content).encode(),)


def _images() -> tuple[bytes, ...]:
    grey = Image.fromarray(np.kron(DRAWING, np.ones((3, 3), np.uint8)))
    made = [
        (grey, "PNG", {}),
        (grey.convert("1"), "PNG", {}),
        (grey.convert("P"), "PNG", {"transparency": 0}),
        (grey.convert("RGBA"), "PNG", {}),
        (Image.fromarray(np.asarray(grey, np.uint16) * 257), "PNG", {}),
        (grey, "JPEG", {"quality": 50}),
        (grey.convert("RGB"), "JPEG", {"progressive": True, "exif": _exif()}),
    ]
    return tuple(_made(lambda p, i=i, f=f, o=o: i.save(p, format=f, **o)) for i, f, o in made)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _extract(path: Path) -> None:
    """Extract members of a downloaded archive; no file may be written outside the given paths."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        inside = Path(folder) / "a" / "b"
        targets = {"gzip/one.gz": inside / "one.gz", "gzip/two.gz": inside / "two.gz"}
        try:
            extract(path, targets, max_bytes=1 << 20)
        finally:
            made = {each for each in Path(folder).rglob("*") if each.is_file()}
            assert made <= set(targets.values()), made
            assert all(each.stat().st_size <= 1 << 20 for each in made)


def _read_folder(path: Path) -> None:
    """Read a data set from a folder of IDX files, one of them corrupted."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        (folder / "train-images-idx3-ubyte").write_bytes(path.read_bytes())
        (folder / "train-labels-idx1-ubyte").write_bytes(encode_idx(np.arange(6, dtype="u1") % 3))
        try:
            load_dataset(folder)
        except anynet.AnynetError as error:
            raise type(error)(str(error).replace(name, "")) from error


def readers() -> list[Reader]:
    """List all readers."""
    return [
        Reader("idx", "", read_idx, lambda: _idx(""), corrupt_bytes),
        Reader("idx in gzip", ".gz", read_idx, lambda: _idx(".gz"), within_gzip(corrupt_bytes)),
        Reader("folder of idx", "", _read_folder, _images_of_a_folder, corrupt_bytes),
        Reader("npz", ".npz", load_dataset, _npz, within_zip(corrupt_bytes)),
        Reader("npy", ".npy", _read_rows, _arrays, corrupt_bytes),
        Reader("zip", ".zip", _extract, _archives, within_zip(corrupt_bytes)),
        Reader("model", ".safetensors", _read_model, _models, corrupt_safetensors),
        Reader("ensemble", ".safetensors", _read_ensemble, _ensembles, corrupt_safetensors),
        Reader("checkpoint", "", resume_from, checkpoints, corrupt_checkpoint),
        Reader("config", ".toml", _read_config, lambda: (CONFIG,), corrupt_text),
        Reader("study", ".toml", _read_study, lambda: (STUDY,), corrupt_text),
        Reader("results", ".json", _read_study_results, _study_results, corrupt_json),
        Reader("image", "", _read_rows, _images, corrupt_bytes),
    ]
