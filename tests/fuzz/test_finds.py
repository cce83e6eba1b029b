"""Invalid files that fuzzing found or cannot find: each raises a short error."""

from __future__ import annotations

import ast
import io
import json
import pickle
import re
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save as to_safetensors

import anynet
from anynet.cli.config import read_config
from anynet.cli.pictures import MOST_SCANS, read_rows
from anynet.cli.study import read_study
from anynet.data import load_dataset
from anynet.data.catalogue import CATALOGUE
from anynet.data.fetch import extract
from anynet.data.image_format import ImageFormat
from anynet.errors import (
    LONGEST,
    AnynetError,
    CheckpointError,
    DataError,
    InvalidArgumentError,
    ModelFileError,
)
from anynet.study.results import Results, Row
from anynet.training.checkpoint.container import read_container, write_container
from anynet.training.checkpoint.folder import KEY

PICTURES = ImageFormat((28, 28), 20, 255.0)


def assert_raises(
    read: Callable[[], Any], match: str, error: type[AnynetError] = DataError
) -> None:
    """Check that a reader raises a short error and allocates little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=match) as caught:
            read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= LONGEST + 3
    assert peak < 8 << 20


def npy(header: str, elements: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + elements


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers = " + "[" * 2000, "not a TOML file: maximum recursion depth"),
        ("a." * 40_000 + "a = 1", "longer than 65536 bytes"),
        ("learning-rate = 1" + "0" * 400, "learning-rate: expected a number above 0"),
        ("epochs = 0x" + "f" * 9000, "epochs: expected .* a int too large to be shown"),
        ("data-dir = '~nobody-of-this-name/x'", "data-dir: expected the path of a folder"),
        ('out = "a\\u0000b"', "out: expected the path of a folder"),
        ('backend = "\\u001b[2J"\nbackend = ""', "not a TOML file"),
        ('activation = "\\u001b[31mrelu"', r"not '\\x1b\[31mrelu'"),
        ("\xff", "longer|no option|not a TOML"),
    ],
)
def test_invalid_configuration_files_raise(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("latin-1"))
    assert_raises(lambda: read_config(path), message, InvalidArgumentError)


def test_a_number_too_large_to_print_in_a_study_raises(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("[grid]\nepochs = 0x" + "f" * 9000)
    assert_raises(
        lambda: read_study(path, searched=False), "a list of values", InvalidArgumentError
    )


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "-" * 9000 + "1,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "(" * 9000,
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 9000 + ",), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "1," * 4000 + "), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,) * 100000, }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1" + ", 1" * 69 + "), }",
        "__import__('os').system('true')",
    ],
)
def test_invalid_npy_headers_raise(tmp_path: Path, header: str) -> None:
    plain, archive = tmp_path / "x.npy", tmp_path / "x.npz"
    plain.write_bytes(npy(header, b"a"))
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x.npy", plain.read_bytes())
        file.writestr("y.npy", plain.read_bytes())
    assert_raises(lambda: read_rows(plain, 784, PICTURES), "damaged|axes")
    assert_raises(lambda: load_dataset(archive), "damaged|axes")


def test_a_decompression_bomb_in_a_header_raises(tmp_path: Path) -> None:
    """The header declares its own length: here 64 MiB, compressed by deflate to 64 KiB."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("x.npy", "y.npy"):
            file.writestr(name, npy(" " * (1 << 26), version=b"\x02\x00"))
    assert_raises(lambda: load_dataset(path), "damaged header")


def test_archives_write_only_to_the_given_paths(tmp_path: Path) -> None:
    path, inside = tmp_path / "x.zip", tmp_path / "inside"
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16  # a symbolic link in the Unix format
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../outside", "1")
        file.writestr(str(tmp_path / "absolute"), "2")
        file.writestr(link, "/etc/passwd")
        file.writestr("wanted", "3")
    extract(path, {"wanted": inside / "a", "link": inside / "b"}, 100)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["inside", "x.zip"]
    assert sorted(each.name for each in inside.iterdir()) == ["a", "b"]
    # the link's text, not the content of its target
    assert (inside / "b").read_text() == "/etc/passwd"
    assert not (inside / "b").is_symlink()


def change_model(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write a model with a modified configuration."""
    path = tmp_path / "model.safetensors"
    data = np.zeros((4, 3)), np.array([0, 1, 0, 1])
    network = anynet.mlp([3, 2, 2], scale=0.5, dropout=0.1, layer_norm=True)
    model = anynet.fit(network, data, epochs=1, backend="numpy")
    config = {
        "format": 1,
        "network": network.to_config(),
        "loss": {"kind": "cross_entropy", "label_smoothing": 0.0},
        "metadata": {},
    }
    change(config)
    arrays = {f"{i}.{k}": v for i, layer in enumerate(model.params) for k, v in layer.items()}
    path.write_bytes(to_safetensors(arrays, {"anynet": json.dumps(config)}))
    return path


def test_the_unmodified_model_loads(tmp_path: Path) -> None:
    path = change_model(tmp_path, lambda _: None)
    assert anynet.load(path, "numpy").predict(np.zeros((1, 3))).shape == (1,)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["network"].update(n_inputs=float("inf")),
        lambda c: c["network"].update(n_inputs="3"),
        lambda c: c["network"].update(n_inputs=True),
        lambda c: c["network"]["layers"][0].update(factor=None),
        lambda c: c["network"]["layers"][0].update(factor=10**400),
        lambda c: c["network"]["layers"][0].update(factor=float("nan")),
        lambda c: c["network"]["layers"][2].update(epsilon="small"),
        lambda c: c["network"]["layers"][4].update(rate=[0.5]),
        lambda c: c["network"]["layers"][3].update(function=["relu"]),
        lambda c: c["network"]["layers"].append(None),
        lambda c: c["loss"].update(label_smoothing="much"),
        lambda c: c["loss"].update(kind=["huber"]),
        lambda c: c["loss"].update(kind="\x1b[2J" + "x" * 9000),
        lambda c: c.update(metadata=[[1, 2, 3]]),
    ],
)
def test_invalid_model_configurations_raise(tmp_path: Path, change: Any) -> None:
    path = change_model(tmp_path, change)
    assert_raises(lambda: anynet.load(path, "numpy"), "cannot read", ModelFileError)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [1] * 100_000, "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2**30], "data_offsets": [0, 2**32]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "\x1b[2J", "shape": [1], "data_offsets": [0, 4]},
    ],
)
@pytest.mark.parametrize("name", ["0.weight", "../../../etc/passwd", "/etc/passwd\n"])
def test_invalid_safetensors_headers_raise(
    tmp_path: Path, name: str, tensor: dict[str, Any]
) -> None:
    config = {
        "format": 1,
        "network": {"n_inputs": 1, "layers": []},
        "loss": {"kind": "huber"},
        "metadata": {},
    }
    header = json.dumps({"__metadata__": {"anynet": json.dumps(config)}, name: tensor}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert_raises(lambda: anynet.load(path, "numpy"), "cannot be read|should have", ModelFileError)


@pytest.mark.parametrize("length", [0, 2**31, 2**63, 2**64 - 1])
def test_invalid_lengths_of_safetensors_headers_raise(tmp_path: Path, length: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    assert_raises(lambda: anynet.load(path, "numpy"), "cannot be read", ModelFileError)


def test_a_table_with_undecodable_column_names_raises(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.csv"
    path.write_bytes(b"\x99,n\n1,2\n")
    assert_raises(lambda: anynet.open_source(path, "n"), "cannot be read")


@pytest.mark.parametrize("extents", [(2**32 - 1, 0), (0, 5)])
def test_samples_without_values_raise(tmp_path: Path, extents: tuple[int, int]) -> None:
    """A billion of them need no bytes in the file, but needed gigabytes of block positions."""
    path = tmp_path / "x.idx"
    path.write_bytes(struct.pack(">HBBII", 0, 8, 2, *extents))
    assert_raises(lambda: anynet.open_source(path), "expected samples, each with values")


def test_results_with_a_lone_surrogate_are_kept(tmp_path: Path) -> None:
    """JSON can represent it and UTF-8 cannot: the CSV table shows its escape sequence."""
    row = Row({"name": "\ud800"}, 0, 0.5, 0.5, 1, 1, 1.0, "", [0.5])
    with Results.open(tmp_path / "study", {}) as results:
        results.add([row])
    with Results.open(tmp_path / "study", {}) as results:
        assert list(results.rows.values()) == [row]
    assert "\\ud800" in (tmp_path / "study" / "results.csv").read_text()


@pytest.mark.parametrize(
    "values", [{"seconds": float("inf")}, {"seconds": 10**400}, {"seed": 2**63}]
)
def test_results_outside_the_possible_range_raise(values: dict[str, Any]) -> None:
    row = Row({}, 0, 0.5, 0.5, 1, 1, 1.0, "", [0.5]).as_json()
    with pytest.raises(ValueError, match="invalid values"):
        Row.from_json(row | values)


def test_a_png_with_more_pixels_than_its_bytes_can_hold_raises(tmp_path: Path) -> None:
    def chunk(content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
        )

    header = b"IHDR" + struct.pack(">IIBBBBB", 9000, 9000, 1, 0, 0, 0, 0)
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(header) + chunk(b"IDAT" + bytes(9)))
    assert_raises(lambda: read_rows(path, 784, PICTURES), "9000×9000 pixels cannot be in 54 bytes")


def test_a_jpeg_with_too_many_scans_raises(tmp_path: Path) -> None:
    """Each scan may visit all pixels, so a small file could use CPU time for hours."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content[content.rindex(b"\xff\xda") : -2]
    path = tmp_path / "x.jpg"
    path.write_bytes(content[:-2] + last * (MOST_SCANS + 1) + content[-2:])
    assert_raises(lambda: read_rows(path, 784, PICTURES), f"more than {MOST_SCANS} scans")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_very_large_image_is_averaged_during_reading(tmp_path: Path, mode: str) -> None:
    """Sixteen million pixels need 128 MiB as numbers; the result is that of a smaller image."""
    rows = []
    for size in (4000, 400):
        bar = np.zeros((size, size), np.uint16 if mode == "I;16" else np.uint8)
        bar[size // 4 : size // 2, size // 2 : size * 9 // 16] = 65535 if mode == "I;16" else 255
        picture = Image.fromarray(bar)
        picture = picture if mode == "I;16" else picture.convert(mode)
        picture.save(tmp_path / "x.png")
        tracemalloc.start()
        rows.append(read_rows(tmp_path / "x.png", 784, PICTURES))
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
        tracemalloc.stop()
    np.testing.assert_allclose(rows[0], rows[1], atol=3)


def test_messages_are_one_printable_line() -> None:
    message = str(DataError("a\nb\x1b[2J" + "x" * 9000 + "end"))
    assert message.startswith("a\\nb\\x1b[2Jxxx")
    assert message.endswith("xxxend")
    assert len(message) <= LONGEST + 3
    assert str(DataError("“ünïcödé” stays: 9000×9000")) == "“ünïcödé” stays: 9000×9000"


class Payload:
    """An object whose unpickling creates a file."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("unpickled"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    array = np.array([Payload()], dtype=object)
    np.save("x.npy", array, allow_pickle=True)
    np.savez("x.npz", allow_pickle=True, x=array, y=array)
    Path("x.pkl").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(DataError, match="never unpickled"):
        read_rows(Path("x.npy"), 784, PICTURES)
    with pytest.raises(DataError, match="never unpickled"):
        load_dataset("./x.npz")
    for name in ("x.npy", "x.npz", "x.pkl"):
        with pytest.raises(ModelFileError):
            anynet.load(name, "numpy")
        with pytest.raises(DataError):
            load_dataset(f"./{name}")
    assert not Path("unpickled").exists()


SOURCES = sorted(Path(anynet.__file__).parent.rglob("*.py"))
FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "yaml"}


def test_no_source_file_unpickles_or_evaluates() -> None:
    """``numpy.load`` is called without pickles; no function that executes its input is called.

    The processes of one program on JAX exchange pickles, as those of MPI and torch do.
    """
    for path in (path for path in SOURCES if path.name != "jax_group.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not {name.name.partition(".")[0] for name in node.names} & FORBIDDEN, where
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in FORBIDDEN, where
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("eval", "exec", "compile", "torch.load", "joblib.load"), where
                if re.fullmatch(r"(np|numpy)\.load", name):
                    assert "allow_pickle=False" in ast.unparse(node), where


def test_every_published_file_has_a_checksum() -> None:
    for source in CATALOGUE.values():
        assert len(source.md5) == (1 if source.archive else len(source.files)), source.name
        assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in source.md5), source.name


def test_a_checkpoint_without_its_held_out_samples_raises(tmp_path: Path) -> None:
    data = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
    network = anynet.mlp([2, 2], scale=1 / 24)
    anynet.fit(network, data, validation=3, epochs=1, backend="numpy", checkpoint=tmp_path)
    path = max(tmp_path.glob("*.safetensors"))
    found = read_container(path, KEY, "checkpoint")
    write_container(
        path, KEY, found._replace(content=found.content | {"held_out": None}), checksum=True
    )
    with pytest.raises(CheckpointError, match="whether samples are held out"):
        anynet.resume(tmp_path, data, epochs=2)
