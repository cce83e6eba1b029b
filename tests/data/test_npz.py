"""NumPy archives: files of NumPy are read, and declared sizes are verified."""

import io
import struct
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anynet.data.npy import array_names, read_npz
from anynet.errors import DataError

DTYPES = ["?", "u1", "i2", ">i4", "u8", "f2", ">f4", "f8", "U3"]


def npy(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def archive(path: Path, members: dict[str, bytes], compression=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def header(text: str) -> bytes:
    line = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line


@given(
    hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)),
    st.booleans(),
    st.booleans(),
)
def test_arrays_round_trip(array, compressed, fortran):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        save = np.savez_compressed if compressed else np.savez
        save(path, a=np.asfortranarray(array) if fortran and array.ndim else array, b=array)
        assert sorted(array_names(path)) == ["a", "b"]
        for result in read_npz(path, ["b", "a"]):
            np.testing.assert_array_equal(result, array)
            assert result.dtype == array.dtype.newbyteorder("=")
            assert result.flags.c_contiguous


def test_an_archive_written_by_python_2_is_read(tmp_path):
    old = header("{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 1L), }") + b"\x05\x06"
    (result,) = read_npz(archive(tmp_path / "a.npz", {"x.npy": old}), ["x"])
    np.testing.assert_array_equal(result, [[5], [6]])


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, 1], dtype=object),
        np.zeros(2, dtype=[("a", "i4")]),
        np.zeros(2, dtype=[("a", object)]),
        np.zeros(2, complex),
        np.zeros(2, "M8[s]"),
        np.zeros(2, "S3"),
    ],
)
def test_other_element_types_raise(tmp_path, array):
    path = archive(tmp_path / "a.npz", {"x.npy": npy(array)})
    with pytest.raises(DataError, match="expected plain numbers or text"):
        read_npz(path, ["x"])


@pytest.mark.parametrize(
    "shape", ["(2,)", "(4,)", "(1000000, 1000000, 8)", "(0, 4294967296, 4294967296)", "(-1, -3)"]
)
def test_a_wrong_header_raises_without_allocating_its_size(tmp_path, shape):
    lie = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}") + b"abc"
    path = archive(tmp_path / "a.npz", {"x.npy": lie})
    tracemalloc.start()
    with pytest.raises(DataError):
        read_npz(path, ["x"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_a_wrong_directory_raises_without_allocating_its_size(tmp_path):
    """Header and directory may declare the same wrong size; the data must still exist."""
    promise = 1 << 30
    lie = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({promise},), }}") + b"abc"
    path = archive(tmp_path / "a.npz", {"x.npy": lie})
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", len(lie) - 3 + promise)
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(DataError):
        read_npz(path, ["x"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_methods_without_a_size_limit_raise(tmp_path, compression):
    path = archive(tmp_path / "a.npz", {"x.npy": npy(np.zeros(3))}, compression)
    with pytest.raises(DataError, match="stored or deflated"):
        read_npz(path, ["x"])


def test_other_files_raise_a_data_error(tmp_path):
    (tmp_path / "text.npz").write_text("not a zip")
    empty = archive(tmp_path / "empty.npz", {})
    assert array_names(empty) == []
    for path in (tmp_path, tmp_path / "absent.npz", tmp_path / "text.npz"):
        with pytest.raises(DataError):
            array_names(path)
    with pytest.raises(DataError, match=r"no member 'x\.npy'"):
        read_npz(empty, ["x"])


@settings(max_examples=300)
@given(st.booleans(), st.data())
def test_a_damaged_archive_raises_a_data_error_or_is_read_unchanged(compressed, data):
    """Zip has checksums: a damaged archive gives a DataError or the original arrays."""
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, x=array)
    content = bytearray(buffer.getvalue())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(content)
        refusal = ""
        try:
            np.testing.assert_array_equal(read_npz(path, ["x"]), [array])
        except DataError as error:
            refusal = str(error)
    assert "\n" not in refusal


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda b: b.decode("latin1")))
def test_arbitrary_header_text_raises_a_data_error_or_is_read(text):
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text.encode())) + text.encode()
    with tempfile.TemporaryDirectory() as folder:
        path = archive(Path(folder) / "a.npz", {"x.npy": body})
        with pytest.raises(DataError) as caught:
            read_npz(path, ["x"])
    assert "\n" not in str(caught.value)
