"""The published data sets that anynet knows by name: where their files are, and their checksums.

The MD5 checksums are those that the publishers give. They detect damage and mix-ups, not malice.

References
----------
LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.
Xiao, Rasul and Vollgraf, "Fashion-MNIST", arXiv:1708.07747.
Clanuwat et al., "Deep learning for classical Japanese literature", arXiv:1812.01718 (KMNIST).
Cohen, Afshar, Tapson and van Schaik, "EMNIST: an extension of MNIST to handwritten letters",
arXiv:1702.05373.
"""

import string
from dataclasses import dataclass

from anynet.checks import did_you_mean
from anynet.errors import InvalidArgumentError

#: The data set that is part of scikit-learn, and the message if that is not installed.
DIGITS = "digits"
NO_DIGITS = "the data set 'digits' is part of scikit-learn: pip install scikit-learn"

_MIB = 1 << 20
_DIGITS = tuple(string.digits)
_UPPER = tuple(string.ascii_uppercase)
_LOWER = tuple(string.ascii_lowercase)

# Letters whose two cases look alike are one class, named by the capital; these are two classes.
_DISTINCT_LOWER = tuple("abdefghnqrt")


@dataclass(frozen=True)
class Published:
    """A published data set.

    Attributes
    ----------
    name : str
        The name that users type.
    files : tuple of str
        The published names of training images, training labels, test images, test labels.
    folders : tuple of str
        Folders below a data folder that may contain the files: first the data set's own, then
        those that other tools create.
    mirrors : tuple of str
        Addresses, each ending in a slash, in the order to try.
    md5 : tuple of str
        Checksums of the published files, or of the archive.
    classes : tuple of str
        The names of the classes, in the order of their labels.
    image_box : int
        Longest side of the box around the ink, see `Dataset`.
    archive : str or None
        The zip archive at the mirrors that contains the files, in a folder ``gzip``.
    transposed : bool
        Whether rows and columns of the images are exchanged in the files.
    first_label : int
        The label of the first class in the files.
    content_sha256 : tuple of str or None
        Checksums of the uncompressed files.
    max_bytes : int
        Maximum size of one download.
    """

    name: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    mirrors: tuple[str, ...]
    md5: tuple[str, ...]
    classes: tuple[str, ...]
    image_box: int
    archive: str | None = None
    transposed: bool = False
    first_label: int = 0
    content_sha256: tuple[str, ...] | None = None
    max_bytes: int = 64 * _MIB


def _files(train: str, test: str) -> tuple[str, ...]:
    kinds = ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
    return tuple(f"{part}-{kind}" for part in (train, test) for kind in kinds)


_MNIST_FILES = _files("train", "t10k")


def _emnist(split: str, classes: tuple[str, ...], first_label: int = 0) -> Published:
    """Describe one of the six splits of EMNIST, whose files are in one archive."""
    return Published(
        name=f"emnist-{split}",
        files=_files(f"emnist-{split}-train", f"emnist-{split}-test"),
        folders=(f"emnist-{split}", "emnist", "gzip", "EMNIST/raw"),
        mirrors=(
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
        ),
        md5=("58c8d27c78d21e728a6bc7b3cc06412e",),
        classes=classes,
        image_box=20,
        archive="gzip.zip",
        transposed=True,
        first_label=first_label,
        max_bytes=1024 * _MIB,
    )


_PUBLISHED = (
    Published(
        name="mnist",
        files=_MNIST_FILES,
        folders=("mnist", "MNIST/raw"),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        md5=(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        classes=_DIGITS,
        image_box=20,
        content_sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    Published(
        name="fashion-mnist",
        files=_MNIST_FILES,
        folders=("fashion-mnist", "FashionMNIST/raw"),
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        md5=(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        image_box=28,
    ),
    Published(
        name="kmnist",
        files=_MNIST_FILES,
        folders=("kmnist", "KMNIST/raw"),
        mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        md5=(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        image_box=28,
    ),
    _emnist("balanced", _DIGITS + _UPPER + _DISTINCT_LOWER),
    _emnist("byclass", _DIGITS + _UPPER + _LOWER),
    _emnist("bymerge", _DIGITS + _UPPER + _DISTINCT_LOWER),
    _emnist("digits", _DIGITS),
    _emnist("letters", _UPPER, first_label=1),
    _emnist("mnist", _DIGITS),
)

CATALOGUE = {each.name: each for each in _PUBLISHED}


def dataset_names() -> list[str]:
    """Return the names that `load_dataset` knows, ``"digits"`` first, which needs no download."""
    return [DIGITS, *CATALOGUE]


def find_published(name: object) -> Published:
    """Return the entry of a published data set.

    Parameters
    ----------
    name : object
        One of the catalogue's names.

    Returns
    -------
    Published
        Its entry.

    Raises
    ------
    InvalidArgumentError
        If the name is unknown; the message suggests the most similar one.
    """
    if isinstance(name, str) and name in CATALOGUE:
        return CATALOGUE[name]
    known = dataset_names()
    message = (
        f"there is no data set {name!r}{did_you_mean(name, known)}; expected one of "
        f"{', '.join(known)}, or the path of an .npz file or of a folder of IDX files"
    )
    raise InvalidArgumentError(message)
