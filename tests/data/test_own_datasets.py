"""User data sets: archives and folders in common layouts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anynet.data import load_dataset, write_idx
from anynet.data.read import open_dataset
from anynet.data.subset import hold_out
from anynet.errors import DataError


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        np.savez_compressed(tmp_path / "own.npz", **arrays)
        return tmp_path / "own.npz"

    return save


def assert_raises(path, match):
    with pytest.raises(DataError, match=match) as caught:
        load_dataset(path)
    assert "\n" not in str(caught.value)


X = np.random.default_rng(0).integers(0, 256, (50, 5, 4), dtype=np.uint8)
Y = np.arange(50) % 5
FRUIT = np.array(["pear", "fig", "kiwi", "apple", "lime"])

FIRST_HELD_OUT = [5, 9, 12, 14, 16, 17, 19, 23]  # samples of the digits


def test_the_layout_of_keras_is_read(save):
    path = save(x_train=X[:40], y_train=Y[:40].astype("u1"), x_test=X[40:], y_test=Y[40:])
    for found in (load_dataset(path), load_dataset(str(path))):
        assert (found.name, found.classes, found.scale) == ("own", tuple("01234"), 1 / 255)
        assert (found.image_shape, found.image_box) == ((5, 4), 5)
        np.testing.assert_array_equal(found.train[0], X[:40].reshape(40, 20))
        np.testing.assert_array_equal(found.test[0], X[40:].reshape(10, 20))
        np.testing.assert_array_equal(found.test[1], Y[40:])
        assert found.train[1].dtype == np.int64


@pytest.mark.parametrize("shape", [(50, 5, 4, 1), (50, 1, 5, 4)])
@pytest.mark.parametrize("as_folder", [False, True])
def test_images_with_one_channel_are_images(save, tmp_path, shape, as_folder):
    if as_folder:
        np.save(tmp_path / "x.npy", X.reshape(shape))
        np.save(tmp_path / "y.npy", Y[:, None])
    path = tmp_path if as_folder else save(x=X.reshape(shape), y=Y[:, None])
    for found in (load_dataset(path), *([open_dataset(path)] if as_folder else [])):
        assert (found.image_shape, found.image_box, found.n_inputs) == ((5, 4), 5, 20)
    flat = load_dataset(save(x=X, y=Y))
    np.testing.assert_array_equal(load_dataset(path).train[0], flat.train[0])


@pytest.mark.parametrize("shape", [(50, 2, 2, 3), (50, 3, 2, 2), (50, 2, 2, 3, 1)])
def test_other_samples_are_rows_of_numbers(save, shape):
    found = load_dataset(save(x=np.arange(np.prod(shape)).reshape(shape), y=Y))
    assert (found.image_shape, found.n_inputs) == (None, 12)


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("x_train", "y_train")])
def test_a_fifth_is_held_out_if_there_is_no_test_set(save, names):
    found = load_dataset(save(**dict(zip(names, (X, Y), strict=True)), more=np.zeros(9, "S3")))
    (x, y), (x_test, y_test) = found.train, found.test
    assert (len(x), len(x_test)) == (40, 10)
    np.testing.assert_array_equal(np.bincount(y_test), [2] * 5)
    rows = {row.tobytes(): label for row, label in zip(X, Y, strict=True)}
    for samples, labels in ((x, y), (x_test, y_test)):
        assert all(rows.pop(row.tobytes()) == label for row, label in zip(samples, labels))  # noqa: B905
    assert not rows


def test_features_without_an_image_shape_are_read(save):
    x = np.linspace(-1, 1, 100, dtype=np.float32).reshape(50, 2)
    found = load_dataset(save(x=x, y=Y))
    assert (found.image_shape, found.image_box, found.scale) == (None, None, 1.0)
    assert found.train[0].dtype == np.float32


@pytest.mark.parametrize(
    ("x", "scale", "dtype"),
    [
        (X.astype("i4"), 1 / X.max(), "i4"),
        (-X.astype("i2"), 1 / X.max(), "i2"),
        (X.astype("f8"), 1 / 255, "f8"),
        (X.reshape(50, 20).astype("f4"), 1 / X.max(), "f4"),
        (X.reshape(50, 5, 2, 2).astype("f4") / 255, 1.0, "f4"),
        (X.astype("f4") / 127.5 - 1, 1.0, "f4"),
        (X.astype("f8") - 128, 1 / 128, "f8"),
        (X.astype("u2") * 257, 1 / X.max() / 257, "u2"),
        (X.astype("f4") / 64, 64 / X.max(), "f4"),
        (X > 99, 1.0, "u1"),
        ((X > 99).astype("u1"), 1.0, "u1"),
        (np.zeros((50, 3), "i8"), 1.0, "i8"),
        (X.reshape(50, 5, 2, 2), 1 / 255, "u1"),
    ],
)
def test_the_scale_is_derived_from_the_dtype_and_the_maximum(save, x, scale, dtype):
    found = load_dataset(save(x_train=x, y_train=Y, x_test=x, y_test=Y))
    assert found.scale == pytest.approx(scale)
    if x.dtype.kind == "f":
        assert [f"{x.max():.6g}" in note for note in found.notes] == [True] * int(scale != 1)
    assert found.train[0].dtype == dtype
    assert found.train[0].shape == (50, x[0].size)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y + 3, tuple("34567")),
        (Y * 10 - 20, ("-20", "-10", "0", "10", "20")),
        (Y.astype("f4"), tuple("01234")),
        (Y[:, None], tuple("01234")),
        (Y.astype("u8") + 2**62, tuple(str(2**62 + i) for i in range(5))),
        (Y > 2, ("0", "1")),
        (FRUIT[Y], ("apple", "fig", "kiwi", "lime", "pear")),
    ],
)
def test_labels_of_any_kind_become_classes(save, y, classes):
    found = load_dataset(save(x_train=X, y_train=y, x_test=X[:9], y_test=y[:9]))
    assert found.classes == classes
    for labels, wanted in ((found.train[1], y), (found.test[1], y[:9])):
        names = [found.classes[label] for label in labels]
        kind = str if wanted.dtype.kind == "U" else int
        assert names == [str(kind(value)) for value in wanted.ravel()]


def test_classes_come_from_training_and_test_set(save):
    found = load_dataset(save(x_train=X[:3], y_train=[5, 9, 5], x_test=X[:2], y_test=[7, 9]))
    assert found.classes == ("5", "7", "9")
    assert (found.train[1].tolist(), found.test[1].tolist()) == ([0, 2, 0], [1, 2])


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({}, "holds the arrays"),
        ({"x": X}, "holds the arrays"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "holds the arrays"),
        ({"x": X, "y": Y[:49]}, "49 labels"),
        ({"x": X[:0], "y": Y[:0]}, "at least one sample"),
        ({"x": X[:, :0], "y": Y}, "at least one sample"),
        ({"x": Y, "y": Y}, "samples of shape"),
        ({"x": X.astype("U3"), "y": Y}, "samples of shape"),
        ({"x": X, "y": X}, "labels of shape"),
        ({"x": X, "y": Y + 0.5}, "labels of shape"),
        ({"x": X, "y": np.where(Y, Y, np.nan)}, "labels of shape"),
        ({"x": X, "y": Y * 1e300}, "labels of shape"),
        ({"x": X, "y": Y.astype("u8") + 2**63}, "labels of shape"),
        ({"x": X, "y": np.array(["a\nb", "c"])[Y % 2]}, "labels of shape"),
        ({"x": X, "y": np.array([2**31 - 1, 65] * 25, "u4").view("U1")}, "labels of shape"),
        ({"x": X, "y": Y.astype("S3")}, "expected plain numbers"),
        ({"x": X, "y": Y.astype(object)}, "never unpickled"),
        ({"x": X, "y": Y * 0}, "one class"),
        ({"x": X, "y": np.arange(50)}, "cannot be split"),
        ({"x": np.where(X, X, np.inf), "y": Y}, "not finite, first at row"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :4], "y_test": Y}, "expected the same"),
        ({"x_train": X, "y_train": Y, "x_test": X / 1, "y_test": Y}, "expected the same"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y.astype("U1")}, "string labels"),
    ],
)
def test_invalid_arrays_raise(save, arrays, match):
    assert_raises(save(**arrays), match)


def test_a_folder_of_idx_files_is_read(tmp_path, make_four):
    four = make_four(3)
    names = ("train-images.idx3-ubyte", "train-labels", "test-images-idx3-ubyte", "test-labels")
    four.write(tmp_path / "mine", "", names)
    # a copy of a file is not a second file
    write_idx(tmp_path / "mine" / "train-labels.gz", four.labels)
    found = load_dataset(tmp_path / "mine")
    np.testing.assert_array_equal(found.train[0], four.images.reshape(30, 12))
    np.testing.assert_array_equal(found.test[1], four.test_labels)
    assert (found.name, found.image_shape) == ("mine", (4, 3))


def test_a_folder_without_a_test_set_is_split(tmp_path):
    write_idx(tmp_path / "train-images", X)
    write_idx(tmp_path / "train-labels", Y.astype("i4"))
    found = load_dataset(tmp_path)
    assert (len(found.train[0]), len(found.test[0])) == (40, 10)


def test_invalid_folders_raise(tmp_path):
    assert_raises(tmp_path, "no training files")
    write_idx(tmp_path / "train-images", X)
    assert_raises(tmp_path, "is alone")
    write_idx(tmp_path / "train-labels", Y.astype("u1"))
    write_idx(tmp_path / "train-labels-2", Y.astype("u1"))
    assert_raises(tmp_path, "several files of labels")
    assert_raises(tmp_path / "nowhere", "does not exist")
    assert_raises(str(tmp_path / "nowhere.npz"), "does not exist")
    assert_raises(tmp_path / "train-images", "cannot be read as a zip")


def test_a_file_in_the_current_folder_is_found(save, monkeypatch):
    path = save(x=X, y=Y)
    monkeypatch.chdir(path.parent)
    assert load_dataset("own.npz").name == "own"
    path.rename(path.with_suffix(""))
    assert load_dataset("own").name == "own"


@pytest.mark.parametrize(("drawn", "longest"), [((1, 2, 3, 4), 3), ((0, 5, 0, 4), 5), (None, 5)])
def test_the_ink_box_is_measured(save, drawn, longest):
    images = np.zeros((50, 5, 4), "u1")
    if drawn:
        top, bottom, left, right = drawn
        images[7, top, left] = images[7, bottom - 1, right - 1] = 200
        images[8, 2, 1:4] = 1
    found = load_dataset(save(x_train=images, y_train=Y, x_test=images, y_test=Y))
    assert found.image_box == longest


@given(st.lists(st.integers(0, 6), min_size=2, max_size=200))
def test_the_held_out_part_has_a_fifth_of_each_class(labels):
    labels = np.array(labels)
    counts = np.bincount(labels)
    if counts.max() < 2:
        with pytest.raises(DataError, match="cannot be split"):
            hold_out(labels, "drawn")
        return
    train, test = hold_out(labels, "drawn")
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(labels.size))
    held = np.bincount(labels[test], minlength=counts.size)
    assert (np.abs(held - 0.2 * counts)[counts > 1] <= 0.8).all()
    assert (held[counts > 1] >= 1).all()
    assert (held < np.maximum(counts, 1)).all()


def test_the_test_split_of_digits_never_changes():
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    found = load_dataset("digits")
    (x, y), (x_test, y_test) = found.train, found.test
    assert x.dtype == np.uint8
    assert (x.shape, x_test.shape) == ((1438, 64), (359, 64))
    original, labels = load_digits(return_X_y=True)
    everything = sorted(map(tuple, np.c_[original, labels].astype(int).tolist()))
    parts = np.r_[np.c_[x, y], np.c_[x_test, y_test]].astype(int)
    assert sorted(map(tuple, parts.tolist())) == everything
    assert (np.abs(np.bincount(y_test) - 0.2 * np.bincount(labels)) <= 0.5).all()
    assert int(x.max()) * found.scale == 1
    assert (found.image_shape, found.image_box, found.classes) == ((8, 8), 8, tuple("0123456789"))
    again = load_dataset("digits")
    np.testing.assert_array_equal(again.test[0], x_test)
    train, test = hold_out(labels, "digits")
    assert not set(train) & set(test)
    assert test[:8].tolist() == FIRST_HELD_OUT, "published results depend on this split"


def test_floats_are_scaled_by_the_magnitude_of_most_values(save, rng):
    x = rng.standard_normal((50, 3))
    x[0, 0] = 60.0  # one outlier in standardised columns
    found = load_dataset(save(x=x, y=Y))
    assert (found.scale, found.notes) == (1.0, ())


@pytest.mark.parametrize(
    ("columns", "narrow"),
    [((90.0, 2e5), "1 of 2 columns"), ((1.0, 1.0, 1.0, 1000.0), "3 of 4"), ((3.0, 20.0), "")],
)
@pytest.mark.parametrize("whole", [False, True])
def test_columns_with_very_different_ranges_are_reported(save, rng, columns, narrow, whole):
    x = rng.random((50, len(columns))) * columns
    x = np.round(x).astype(int) if whole else x
    notes = " ".join(load_dataset(save(x_train=x, y_train=Y, x_test=x, y_test=Y)).notes)
    assert narrow in notes
    assert ("standardise" in notes) == bool(narrow)
    assert (f"to {x.max():.6g}" in notes) or not notes
