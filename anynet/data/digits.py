"""The small digits that come with scikit-learn: the data set that needs no file and no network."""

import importlib.util
from pathlib import Path

import numpy as np

from anynet.data.dataset import Dataset
from anynet.data.holdout import hold_out
from anynet.errors import DataError

NAME = "digits"
MISSING = "the data set 'digits' is part of scikit-learn: pip install scikit-learn"


def load_digits() -> Dataset:
    """Load the 1,797 handwritten digits of 8×8 pixels, each from 0 to 16.

    scikit-learn has no test set for them. 20 % of each class are held out by a fixed draw, see
    `anynet.data.holdout.hold_out`; writers are not kept apart.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    DataError
        When scikit-learn is not installed.

    References
    ----------
    Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI repository, 1998.
    """
    try:
        import sklearn.datasets
    except ImportError as error:
        raise DataError(MISSING) from error
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    x, y = x.astype(np.uint8), y.astype(np.int64)
    train, test = hold_out(y, NAME)
    return Dataset(
        name=NAME,
        train=(x[train], y[train]),
        test=(x[test], y[test]),
        classes=tuple("0123456789"),
        scale=1 / 16,
        image_shape=(8, 8),
        image_box=8,
    )


def locate_digits() -> Path | None:
    """Return the folder of scikit-learn, found without importing it; None when it is missing."""
    found = importlib.util.find_spec("sklearn")
    return Path(found.origin).parent if found and found.origin else None
