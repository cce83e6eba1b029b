"""IDX files: round trips; damaged files raise without allocating memory."""

import gzip
import math
import struct
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anynet.data import read_idx, write_idx
from anynet.data.idx import encode_idx
from anynet.errors import DataError, InvalidArgumentError

TYPES = ["u1", "i1", "i2", "i4", "f4", "f8", ">i2", ">f8"]


def arrays(max_dims=4, max_side=4):
    shapes = hnp.array_shapes(min_dims=0, max_dims=max_dims, min_side=0, max_side=max_side)
    return st.sampled_from(TYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))


def reread(content: bytes) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        return read_idx(path)


def outcome(content: bytes) -> np.ndarray | None:
    """Read an array; return None if a DataError of one line is raised."""
    refusal = ""
    try:
        return reread(content)
    except DataError as error:
        refusal = str(error)
    assert refusal
    assert "\n" not in refusal
    return None


def written(array: np.ndarray, name: str = "file") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_idx(path, array)
        assert [entry.name for entry in Path(folder).iterdir()] == [name]
        return path.read_bytes()


def assert_same(result: np.ndarray, array: np.ndarray) -> None:
    np.testing.assert_array_equal(result, array)
    assert result.shape == array.shape
    assert result.dtype == array.dtype.newbyteorder("=")
    assert result.dtype.isnative
    assert result.flags.c_contiguous
    assert result.flags.writeable


def peak_of(action) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_manually_written_file_is_read(tmp_path):
    path = tmp_path / "hand"
    path.write_bytes(bytes.fromhex("00000b02 00000002 00000003 0001 0002 0003 ffff fffe 0100"))
    assert_same(read_idx(path), np.array([[1, 2, 3], [-1, -2, 256]], dtype=np.int16))


@pytest.mark.parametrize(
    ("code", "dtype", "element", "value"),
    [
        (0x08, np.uint8, "ff", 255),
        (0x09, np.int8, "ff", -1),
        (0x0B, np.int16, "0102", 258),
        (0x0C, np.int32, "fffffffe", -2),
        (0x0D, np.float32, "3fc00000", 1.5),
        (0x0E, np.float64, "bff8000000000000", -1.5),
    ],
)
def test_every_element_type_of_the_specification_is_read(tmp_path, code, dtype, element, value):
    path = tmp_path / "one"
    path.write_bytes(bytes([0, 0, code, 1, 0, 0, 0, 1]) + bytes.fromhex(element))
    assert_same(read_idx(path), np.array([value], dtype))
    assert written(np.array([value], dtype)) == path.read_bytes()


@given(arrays(), st.sampled_from(["file", "file.gz"]))
def test_arrays_round_trip(array, name):
    content = written(array, name)
    assert content.startswith(b"\x1f\x8b") == name.endswith(".gz")
    assert_same(reread(content), array)  # read under a name without a file extension


def test_rank_64_is_read_and_rank_65_raises():
    array = np.zeros((1,) * 64, np.uint8)
    assert_same(reread(written(array)), array)
    with pytest.raises(DataError, match="65 axes"):
        reread(bytes([0, 0, 8, 65]) + struct.pack(">65I", *(1,) * 65) + b"\0")


def test_writing_is_reproducible_and_raises_for_other_types(tmp_path):
    array = np.arange(5, dtype=np.int32)
    assert written(array, "a.gz") == written(array, "b.gz")
    for dtype in (np.int64, np.uint16, np.bool_, np.complex64, "U1", object):
        with pytest.raises(InvalidArgumentError, match="astype"):
            write_idx(tmp_path / "x", np.zeros(2, dtype))
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.gz"
    write_idx(path, np.arange(3, dtype=np.uint8))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(gzip.GzipFile, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_idx(path, np.arange(9, dtype=np.uint8))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.gz"]
    np.testing.assert_array_equal(read_idx(path), [0, 1, 2])


@given(arrays(), st.booleans(), st.data())
def test_every_truncation_raises(array, compressed, data):
    content = written(array, "file.gz" if compressed else "file")
    short = content[: data.draw(st.integers(0, len(content) - 1))]
    with pytest.raises(DataError) as caught:
        reread(short)
    assert "\n" not in str(caught.value)


@given(arrays(), st.booleans(), st.binary(min_size=1, max_size=9))
def test_additional_bytes_raise(array, compressed, surplus):
    content = written(array) + surplus
    with pytest.raises(DataError, match="more"):
        reread(gzip.compress(content) if compressed else content)


@given(arrays(), st.booleans(), st.data())
def test_a_mutated_file_raises_a_data_error_or_is_read(array, compressed, data):
    """Elements have no checksum, so they may change; the only permitted error is DataError."""
    content = bytearray(written(array, "file.gz" if compressed else "file"))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    result = outcome(bytes(content))
    if result is not None and compressed:
        np.testing.assert_array_equal(result, array)
    elif result is not None:
        assert encode_idx(result) == content


@given(st.binary(max_size=40))
def test_random_bytes_give_an_array_or_a_data_error(content):
    for head in (b"", b"\0\0\x08", b"\0\0\x0e\x02", b"\x1f\x8b\x08\0"):
        result = outcome(head + content)
        assert result is None or result.nbytes <= len(content)


@given(
    st.sampled_from([8, 9, 11, 12, 13, 14]),
    st.lists(st.sampled_from([0, 1, 2**16, 2**31, 2**32 - 1]), min_size=1, max_size=64),
    st.booleans(),
)
def test_a_wrong_header_raises_without_allocating_its_size(code, shape, compressed):
    content = bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    content += bytes(100)  # never the size in the header, which is 0, 1, 8 or huge
    with pytest.raises(DataError):
        reread(gzip.compress(content) if compressed else content)


def test_an_empty_array_of_an_impossible_shape_raises():
    """NumPy raises although the array has no elements, so the reader must raise first."""
    content = bytes([0, 0, 8, 4]) + struct.pack(">4I", 0, *(2**32 - 1,) * 3)
    with pytest.raises(DataError, match="which no array can have"):
        reread(content)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_header_of_terabytes_raises_without_allocation(tmp_path, compressed):
    shape = (2**20, 2**20, 8)
    content = bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape) + bytes(1000)
    path = tmp_path / "liar"
    path.write_bytes(gzip.compress(content) if compressed else content)

    def refuse():
        with pytest.raises(DataError, match=str(math.prod(shape))):
            read_idx(path)

    refuse()  # imports and caches do not belong to the reader
    assert peak_of(refuse) < 4 << 20


def test_a_decompression_bomb_is_not_inflated(tmp_path):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        file.write(bytes([0, 0, 8, 1, 0, 0, 0, 10]))
        for _ in range(64):
            file.write(bytes(1 << 20))

    def refuse():
        with pytest.raises(DataError, match="holds more"):
            read_idx(path)

    refuse()
    assert peak_of(refuse) < 4 << 20


def test_invalid_paths_raise_a_data_error(tmp_path):
    for path in (tmp_path, tmp_path / "absent", tmp_path / "x\ny", tmp_path / ("n" * 300), "a\0b"):
        with pytest.raises(DataError) as caught:
            read_idx(path)
        assert "\n" not in str(caught.value)
