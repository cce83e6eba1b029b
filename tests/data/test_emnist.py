"""EMNIST: one archive with six data sets, transposed images, letters numbered from 1."""

import hashlib
import io
import string
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from anynet.data import fetch_dataset, load_dataset, locate_dataset
from anynet.data.catalogue import CATALOGUE
from anynet.data.fetch import extract
from anynet.errors import DataError

SPLITS = [name for name in CATALOGUE if name.startswith("emnist-")]


def publish(server, monkeypatch, members, **changes):
    """Publish an archive of these members on the local server, instead of the original one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    server.pages["/gzip.zip"] = buffer.getvalue()
    md5 = (hashlib.md5(buffer.getvalue()).hexdigest(),)
    for name in SPLITS:
        fake = replace(CATALOGUE[name], mirrors=(server.url,), md5=md5, **changes)
        monkeypatch.setitem(CATALOGUE, name, fake)


@pytest.fixture
def fours(make_four):
    return {
        name: make_four(seed, CATALOGUE[name].first_label, len(CATALOGUE[name].classes))
        for seed, name in enumerate(SPLITS)
    }


@pytest.fixture
def members(fours, tmp_path):
    content = {"gzip/emnist-letters-mapping.txt": b"1 65 97\n", "../evil": b"!"}
    for name, four in fours.items():
        four.write(tmp_path / "made", "", CATALOGUE[name].files)
        for file in CATALOGUE[name].files:
            content[f"gzip/{file}"] = (tmp_path / "made" / file).read_bytes()
    return content


def test_images_are_upright_and_letters_are_numbered_from_0(
    server, monkeypatch, fours, members, cache
):
    publish(server, monkeypatch, members)
    found, four = load_dataset("emnist-letters"), fours["emnist-letters"]
    assert found.image_shape == (3, 4)
    for (x, y), images, labels in (
        (found.train, four.images, four.labels),
        (found.test, four.test_images, four.test_labels),
    ):
        np.testing.assert_array_equal(x.reshape(-1, 3, 4), images.transpose(0, 2, 1))
        np.testing.assert_array_equal(y, labels.astype(int) - 1)
        assert x.flags.c_contiguous
    assert found.classes[found.train[1][0]] == "A"
    assert four.labels[0] == 1
    assert found.image_box == 20
    assert not (cache.parent / "evil").exists()
    assert not list(cache.rglob("*.zip"))


def test_one_download_provides_all_data_sets(server, monkeypatch, fours, members, cache):
    publish(server, monkeypatch, members)
    assert fetch_dataset("emnist-digits") == cache / "emnist-digits"
    for name in SPLITS:
        found = load_dataset(name)
        np.testing.assert_array_equal(
            found.train[1], fours[name].labels.astype(int) - CATALOGUE[name].first_label
        )
    fetch_dataset("emnist-byclass")
    assert server.asked == ["/gzip.zip"]


@pytest.mark.parametrize("folder", ["emnist-balanced", "emnist", "gzip", "EMNIST/raw", ""])
def test_files_placed_manually_are_read(tmp_path, fours, folder):
    four = fours["emnist-balanced"]
    four.write(tmp_path / folder, "", CATALOGUE["emnist-balanced"].files)
    found = load_dataset("emnist-balanced", tmp_path)
    np.testing.assert_array_equal(found.train[1], four.labels)
    assert locate_dataset("emnist-digits", tmp_path) is None


def test_letters_numbered_from_0_raise(tmp_path, make_four):
    make_four(0, 0, 26).write(tmp_path, "", CATALOGUE["emnist-letters"].files)
    with pytest.raises(DataError, match="labels from 0 to 25: expected 1 to 26"):
        load_dataset("emnist-letters", tmp_path)


def test_an_archive_without_a_member_raises(server, monkeypatch, members, cache):
    del members[f"gzip/{CATALOGUE['emnist-mnist'].files[3]}"]
    publish(server, monkeypatch, members)
    with pytest.raises(DataError, match="no member"):
        fetch_dataset("emnist-letters")
    assert not list(cache.rglob("*.zip"))
    assert not list(cache.rglob("*.part"))


def test_an_archive_with_a_decompression_bomb_raises(server, monkeypatch, members, cache):
    bomb = f"gzip/{CATALOGUE['emnist-letters'].files[0]}"
    members[bomb] = bytes(1 << 24)
    publish(server, monkeypatch, members, max_bytes=1 << 20)
    with pytest.raises(DataError, match="claims 16777216 bytes: expected 1048576 at most"):
        fetch_dataset("emnist-letters")
    assert not list(cache.rglob("*letters-train-images*"))


def test_a_damaged_member_raises_and_leaves_no_file(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("member", b"0123456789" * 1000)
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780", 1))
    with pytest.raises(DataError, match="CRC"):
        extract(path, {"member": tmp_path / "out"}, 1 << 20)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zip"]


def test_without_a_connection_the_error_contains_the_archive_and_its_folder(monkeypatch):
    source = replace(CATALOGUE["emnist-letters"], mirrors=("http://127.0.0.1:9/",))
    monkeypatch.setitem(CATALOGUE, "emnist-letters", source)
    with pytest.raises(DataError, match=r"gzip\.zip\).* folder 'emnist-l"):
        load_dataset("emnist-letters")


def test_class_names_follow_the_published_mapping():
    """Labels are in ASCII order; two splits merge upper and lower case letters that look alike."""
    digits, upper, lower = string.digits, string.ascii_uppercase, string.ascii_lowercase
    alike = set("cijklmopsuvwxyz")
    merged = tuple(digits + upper + "".join(c for c in lower if c not in alike))
    classes = {name: CATALOGUE[name].classes for name in SPLITS}
    assert classes["emnist-byclass"] == tuple(sorted(digits + upper + lower))
    assert classes["emnist-balanced"] == classes["emnist-bymerge"] == merged
    assert merged[36:] == tuple("abdefghnqrt")
    assert classes["emnist-letters"] == tuple(upper)
    assert classes["emnist-digits"] == classes["emnist-mnist"] == tuple(digits)
