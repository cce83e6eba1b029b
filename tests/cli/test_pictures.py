"""Reading of pictures: all formats and modes give equal rows; invalid files raise."""

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import anynet
from anynet.cli.models import image_format
from anynet.cli.pictures import read_rows
from anynet.data import write_idx
from anynet.data.assemble import from_arrays
from anynet.data.image_format import ImageFormat
from anynet.errors import DataError

MNIST = ImageFormat((28, 28), 20, 255.0)
Bytes = npt.NDArray[np.uint8]


@pytest.fixture
def digit() -> Bytes:
    """Return a shape, centred as in MNIST, without rotational or mirror symmetry."""
    digit = np.zeros((28, 28), dtype=np.uint8)
    digit[6:26, 12:15] = 255
    digit[6:9, 12:20] = 180
    return digit


def read(path: Path) -> npt.NDArray[np.float64]:
    rows = read_rows(path, 784, MNIST)
    for row in rows:
        if isinstance(row, DataError):
            raise row
    return np.stack(rows)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"])
def test_every_mode_gives_the_same_row(tmp_path: Path, digit: Bytes, mode: str) -> None:
    black_and_white = np.where(digit > 0, 255, 0).astype(np.uint8)
    picture = Image.fromarray(black_and_white)
    if mode == "I;16":
        picture = Image.fromarray(black_and_white.astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    path = tmp_path / ("digit.jpg" if mode == "CMYK" else "digit.png")
    picture.save(path, quality=100) if mode == "CMYK" else picture.save(path)
    np.testing.assert_allclose(read(path)[0], black_and_white.reshape(-1), atol=3)


@pytest.mark.parametrize("shade", [0, 255])
def test_ink_on_a_transparent_background_gives_the_same_row(
    tmp_path: Path, digit: Bytes, shade: int
) -> None:
    ink = Image.fromarray(np.full_like(digit, shade))
    Image.merge("LA", (ink, Image.fromarray(digit))).save(tmp_path / "digit.png")
    np.testing.assert_allclose(read(tmp_path / "digit.png")[0], digit.reshape(-1), atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, digit: Bytes, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = Image.fromarray(digit)
    if orientation in undo:
        picture = picture.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "digit.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path / "digit.png")[0], digit.reshape(-1))


def test_arrays_of_one_image_many_images_and_rows_are_read(tmp_path: Path, digit: Bytes) -> None:
    stack = np.stack([digit, 255 - digit])
    for array in (digit, stack, digit.reshape(1, 784), digit.reshape(784), digit / 255, digit > 0):
        np.save(tmp_path / "x.npy", array)
        rows = read(tmp_path / "x.npy")
        assert rows.shape == (2 if array is stack else 1, 784)
        expected = np.where(digit > 0, 255, 0) if array.dtype == bool else digit
        for row in rows:
            np.testing.assert_allclose(row, expected.reshape(-1), atol=1e-9)


@pytest.mark.parametrize("compress", [False, True])
def test_idx_files_are_read(tmp_path: Path, digit: Bytes, compress: bool) -> None:
    path = tmp_path / ("x.gz" if compress else "x")
    write_idx(path, np.stack([digit] * 3))
    np.testing.assert_array_equal(read(path), np.stack([digit.reshape(-1)] * 3))


def test_rows_of_a_model_not_trained_on_images_are_unchanged(tmp_path: Path) -> None:
    rows = np.array([[-1.5, 0.25, 3e5]])
    np.save(tmp_path / "x.npy", rows)
    np.testing.assert_array_equal(read_rows(tmp_path / "x.npy", 3, None), rows)
    Image.new("L", (9, 9)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match="not trained on pictures"):
        read_rows(tmp_path / "x.png", 3, None)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((28, 28)), "image 0: the image is blank"),
        (np.eye(28) - 0.5, "shades from 0 upwards"),
        (np.full((28, 28), np.nan), "not finite"),
        (np.zeros((2, 2, 2, 2)), "of shape"),
        (np.eye(3, 20), "\\(N, 784\\).* \\(28, 28\\).* \\(3, 20\\)"),
        (np.eye(56), "\\(N, H, W\\).* \\(56, 56\\)"),
        (np.zeros((20, 20, 3), dtype=np.uint8), "of shape"),
        (np.zeros((0, 28, 28)), "found 0 values"),
        (np.float64(3), "of shape"),
        (np.array(["a"]), "expected numbers"),
        (np.ones((28, 28), dtype=complex), "expected plain numbers"),
        (np.array([{}], dtype=object), "never unpickled"),
    ],
)
def test_invalid_arrays_raise(tmp_path: Path, array: npt.NDArray[np.generic], message: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def _damaged_files() -> dict[str, bytes]:
    lying = b"\x93NUMPY\x01\x00\x76\x00" + (
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 9)}".ljust(117) + b"\n"
    )
    return {
        "empty": b"",
        "text": b"hello",
        "npy without a header": b"\x93NUMPY",
        "npy that lies about its size": lying,
        "idx that lies about its size": struct.pack(">HBBII", 0, 8, 2, 2**31, 2**31),
        "idx cut short": struct.pack(">HBBI", 0, 8, 1, 9) + b"abc",
        "gzip cut short": gzip.compress(b"\0" * 99)[:-9],
        "png cut short": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "jpeg cut short": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    }


@pytest.mark.parametrize("kind", _damaged_files())
def test_damaged_files_raise_with_their_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(_damaged_files()[kind])
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_png_truncated_in_its_pixels_raises(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match="damaged"):
        read(path)


# PIL warns above the limit and raises above twice the limit
@pytest.mark.parametrize("limit", [100, 150])
def test_decompression_bombs_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    Image.new("L", (16, 16)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match=f"more than {limit} pixels"):
        read(tmp_path / "x.png")


def test_missing_files_and_folders_raise(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read(tmp_path / "none.png")
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path)


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (1, 0), (-1, 1), (-0.75, 3.5), (2, -1)])
def test_models_of_any_shades_read_arrays_and_pictures(
    tmp_path: Path, digit: Bytes, paper: float, ink: float
) -> None:
    shades = paper + digit.astype(np.float64) / 255 * (ink - paper)
    images = np.stack([shades] * 20)
    data = from_arrays("own", (images, np.arange(20) % 2))
    assert data.image_shades == (paper, ink)
    model = anynet.fit(
        anynet.mlp([784, 2], scale=data.scale),
        data.train,
        epochs=1,
        backend="numpy",
        metadata=data.metadata,
    )
    wanted = image_format(model)
    for array in (images, images.reshape(20, -1), shades, shades[..., None]):
        np.save(tmp_path / "a.npy", array)
        rows = read_rows(tmp_path / "a.npy", 784, wanted)
        np.testing.assert_allclose(rows, array.reshape(-1, 784))
    for pixels in (digit, 255 - digit):
        Image.fromarray(pixels).save(tmp_path / "a.png")
        row = read_rows(tmp_path / "a.png", 784, wanted)[0]
        np.testing.assert_allclose(row, shades.reshape(-1), atol=1e-6)


def test_light_ink_on_black_stores_no_shades(digit: Bytes) -> None:
    for images in (np.stack([digit] * 20), np.zeros((20, 5, 5)), np.stack([digit / 255] * 20)):
        assert "shades" not in from_arrays("own", (images, np.arange(20) % 2)).metadata["image"]
