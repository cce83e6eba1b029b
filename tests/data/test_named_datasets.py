"""Data sets by name: search locations, checks, downloads."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anynet.data import (
    dataset_names,
    fetch_dataset,
    load_dataset,
    locate_dataset,
    read_idx,
    verify_dataset,
    write_idx,
)
from anynet.data.catalogue import CATALOGUE
from anynet.errors import DataError, InvalidArgumentError


def assert_holds(dataset, four):
    x, y = dataset.train
    np.testing.assert_array_equal(x, four.images.reshape(30, 12))
    np.testing.assert_array_equal(y, four.labels)
    x, y = dataset.test
    np.testing.assert_array_equal(x, four.test_images.reshape(10, 12))
    np.testing.assert_array_equal(y, four.test_labels)


@pytest.fixture
def published(server, monkeypatch, make_four, tmp_path):
    """Publish an MNIST of 30 synthetic images on a local server."""
    four = make_four()
    four.write(tmp_path / "published")
    source = CATALOGUE["mnist"]
    content = {name: (tmp_path / "published" / name).read_bytes() for name in source.files}
    for name, page in content.items():
        server.pages[f"/good/{name}"] = page
        server.pages[f"/bad/{name}"] = b"<html>not here any more</html>"
    plain = [hashlib.sha256(gzip.decompress(page)).hexdigest() for page in content.values()]
    fake = replace(
        source,
        mirrors=tuple(server.url + mirror for mirror in ("absent/", "bad/", "good/")),
        md5=tuple(hashlib.md5(page).hexdigest() for page in content.values()),
        content_sha256=tuple(plain),
    )
    monkeypatch.setitem(CATALOGUE, "mnist", fake)
    return four


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
def test_files_are_found_by_argument_and_by_environment(
    tmp_path, monkeypatch, make_four, suffix, folder
):
    four = make_four()
    four.write(tmp_path / folder, suffix)
    found = load_dataset("mnist", tmp_path)
    assert_holds(found, four)
    assert found.train[0].dtype == np.uint8
    assert found.train[1].dtype == found.test[1].dtype == np.int64
    assert (found.name, found.scale, found.image_shape, found.image_box) == (
        "mnist",
        1 / 255,
        (4, 3),
        20,
    )
    assert found.classes == tuple("0123456789")
    assert locate_dataset("mnist", str(tmp_path)) == tmp_path / folder
    monkeypatch.setenv("ANYNET_DATA_DIR", str(tmp_path))
    assert_holds(load_dataset("mnist"), four)


def test_the_file_names_with_a_dot_are_found(tmp_path, make_four):
    four = make_four()
    names = tuple(name[:-3].replace("-idx", ".idx") for name in CATALOGUE["mnist"].files)
    four.write(tmp_path, "", names)
    assert_holds(load_dataset("mnist", tmp_path), four)


def test_a_subfolder_with_the_name_takes_precedence(tmp_path, make_four):
    direct, own = make_four(1), make_four(2)
    direct.write(tmp_path)
    own.write(tmp_path / "kmnist")
    assert_holds(load_dataset("kmnist", tmp_path), own)
    assert_holds(load_dataset("fashion-mnist", tmp_path), direct)


def test_the_data_folder_takes_precedence_over_the_cache(tmp_path, cache, monkeypatch, make_four):
    cached, own = make_four(1), make_four(2)
    cached.write(cache / "mnist")
    assert_holds(load_dataset("mnist", download=False), cached)
    own.write(tmp_path / "data")
    monkeypatch.setenv("ANYNET_DATA_DIR", str(tmp_path / "data"))
    assert_holds(load_dataset("mnist"), own)
    monkeypatch.setenv("ANYNET_DATA_DIR", str(tmp_path / "nowhere"))
    assert_holds(load_dataset("mnist"), cached)


def test_the_cache_folder_follows_the_conventions_of_the_system(tmp_path, monkeypatch, make_four):
    monkeypatch.delenv("ANYNET_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    make_four().write(tmp_path / "xdg" / "anynet" / "mnist")
    assert locate_dataset("mnist") == tmp_path / "xdg" / "anynet" / "mnist"


def test_files_of_another_data_set_raise(tmp_path, make_four, published):
    # the content identifies the data set, independent of the compression
    published.write(tmp_path, "")
    with pytest.raises(DataError, match=r"belongs to 'mnist'.*expected 'kmnist'"):
        load_dataset("kmnist", tmp_path)
    make_four(7).write(tmp_path / "mnist", "")
    assert_holds(load_dataset("mnist", tmp_path), make_four(7))


@pytest.mark.parametrize(
    ("index", "array", "match"),
    [
        (1, np.zeros(29, "u1"), "29 labels for samples"),
        (1, np.full(30, 10, "u1"), "labels from 10 to 10: expected 0 to 9"),
        (1, np.full(30, -1, "i1"), "labels from -1"),
        (1, np.zeros(30, "f4"), "whole number"),
        (1, np.zeros((30, 2), "u1"), "whole number"),
        (0, np.zeros((30, 12), "u1"), "images"),
        (0, np.zeros((30, 4, 3), "f4"), "bytes of shape"),
        (2, np.zeros((10, 3, 4), "u1"), r"images of \(3, 4\): expected \(4, 3\)"),
        (0, np.zeros((0, 4, 3), "u1"), "at least one"),
    ],
)
def test_inconsistent_files_raise(tmp_path, make_four, index, array, match):
    make_four().write(tmp_path)
    write_idx(tmp_path / CATALOGUE["mnist"].files[index], array)
    with pytest.raises(DataError, match=match):
        load_dataset("mnist", tmp_path)
    assert "damaged" in {state for _, state, _ in verify_dataset("mnist", tmp_path)}


def test_only_a_given_folder_is_searched(tmp_path, published, server, cache):
    published.write(cache / "mnist")
    with pytest.raises(DataError, match=r"'mnist' is not in .*put train-images-idx3-ubyte\.gz"):
        load_dataset("mnist", tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        load_dataset("mnist", tmp_path / "nowhere")
    for name in ("a\0b", "n" * 300):
        with pytest.raises(DataError, match="does not exist"):
            load_dataset("mnist", name)
    assert not server.asked


def test_fetching_tries_every_mirror(published, server, cache):
    seen = []
    found = load_dataset("mnist", progress=lambda *counts: seen.append(counts))
    assert_holds(found, published)
    assert seen
    names = list(CATALOGUE["mnist"].files)
    assert sorted(entry.name for entry in (cache / "mnist").iterdir()) == sorted(names)
    assert server.asked[:3] == [f"/{mirror}/{names[0]}" for mirror in ("absent", "bad", "good")]
    del server.asked[:]
    assert_holds(load_dataset("mnist"), published)
    assert fetch_dataset("mnist") == cache / "mnist"
    assert not server.asked


def test_fetching_replaces_damaged_files(published, server, cache):
    fetch_dataset("mnist")
    damaged = cache / "mnist" / CATALOGUE["mnist"].files[2]
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(DataError, match="fetch it again"):
        load_dataset("mnist")
    del server.asked[:]
    fetch_dataset("mnist")
    assert {Path(page).name for page in server.asked} == {damaged.name}
    assert_holds(load_dataset("mnist"), published)


def test_without_a_connection_the_error_contains_instructions(monkeypatch, cache):
    source = replace(CATALOGUE["kmnist"], mirrors=("http://127.0.0.1:9/", "http://127.0.0.1:1/"))
    monkeypatch.setitem(CATALOGUE, "kmnist", source)
    with pytest.raises(DataError) as caught:
        load_dataset("kmnist")
    message = str(caught.value)
    for part in (*source.files, "'kmnist'", "data_dir", "ANYNET_DATA_DIR", "'digits'", ":9/"):
        assert part in message
    assert "\n" not in message
    assert not cache.exists()


@pytest.mark.usefixtures("published")
def test_download_false_does_not_download(server):
    with pytest.raises(DataError, match="is not in"):
        load_dataset("mnist", download=False)
    assert not server.asked


def test_verify_reports_the_state_of_each_file(published, tmp_path):
    files = CATALOGUE["mnist"].files
    assert [tuple(state)[:2] for state in verify_dataset("mnist")] == [
        (file, "absent") for file in files
    ]
    fetch_dataset("mnist")
    assert {(s.state, s.detail) for s in verify_dataset("mnist")} == {
        ("ok", "has the published checksum")
    }
    published.write(tmp_path, "")
    assert {s.state for s in verify_dataset("mnist", tmp_path)} == {"ok"}
    other = read_idx(tmp_path / files[0][:-3])
    other[0, 0, 0] ^= 1
    write_idx(tmp_path / files[0][:-3], other)
    (tmp_path / files[1][:-3]).unlink()
    (tmp_path / files[2][:-3]).write_bytes(b"junk")
    states = verify_dataset("mnist", tmp_path)
    assert [s.state for s in states] == ["damaged", "absent", "damaged", "ok"]
    assert "differs from the published content" in states[0].detail
    assert not any("\n" in s.detail for s in states)


def test_verify_accepts_files_without_a_known_checksum(tmp_path, make_four):
    make_four().write(tmp_path / "kmnist")
    assert [s.state for s in verify_dataset("kmnist", tmp_path)] == ["ok"] * 4


@pytest.mark.parametrize(
    ("name", "near"), [("mnits", "mnist"), ("fashion", "fashion-mnist"), ("MNIST", "mnist")]
)
def test_an_unknown_name_raises_with_the_nearest_name(name, near):
    for function in (load_dataset, locate_dataset, verify_dataset, fetch_dataset):
        with pytest.raises(InvalidArgumentError, match=f"did you mean '{near}'") as caught:
            function(name)
        assert all(known in str(caught.value) for known in dataset_names())


@pytest.mark.parametrize("name", ["", "zebra\n", 5, None])
def test_invalid_names_raise(name):
    with pytest.raises(InvalidArgumentError, match="there is no data set") as caught:
        load_dataset(name)
    assert "\n" not in str(caught.value)


def test_the_catalogue_is_consistent():
    assert dataset_names()[0] == "digits"
    for name, source in CATALOGUE.items():
        assert source.name == source.folders[0] == name
        assert len(source.md5) == (1 if source.archive else 4)
        assert len(set(source.classes)) == len(source.classes)
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
    sizes = {name: len(source.classes) for name, source in CATALOGUE.items()}
    assert sizes == {
        "mnist": 10,
        "fashion-mnist": 10,
        "kmnist": 10,
        "emnist-balanced": 47,
        "emnist-byclass": 62,
        "emnist-bymerge": 47,
        "emnist-digits": 10,
        "emnist-letters": 26,
        "emnist-mnist": 10,
    }


def test_published_mnist_is_verified(real_mnist):
    found = load_dataset("mnist", real_mnist)
    (x, y), (x_test, y_test) = found.train, found.test
    assert (x.shape, x_test.shape) == ((60000, 784), (10000, 784))
    assert x.dtype == np.uint8
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(y), counts)
    np.testing.assert_array_equal(
        np.bincount(y_test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    )
    assert round(x.mean() / 255, 4) == 0.1307
    assert [state.state for state in verify_dataset("mnist", real_mnist)] == ["ok"] * 4
    with pytest.raises(DataError, match="belongs to 'mnist'"):
        load_dataset("kmnist", real_mnist / "mnist")
    by_path = load_dataset(real_mnist / "mnist")
    np.testing.assert_array_equal(by_path.test[0], x_test)
    np.testing.assert_array_equal(by_path.train[1], y)
    assert by_path.image_box == found.image_box  # measured here; a constant in the catalogue
