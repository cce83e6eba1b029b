"""The names of data sets, and what to say when one is wrong."""

import difflib

from anynet.data.catalogue import CATALOGUE, Source
from anynet.data.digits import NAME as DIGITS
from anynet.errors import InvalidArgumentError


def dataset_names() -> list[str]:
    """List the names that `load_dataset` knows.

    Returns
    -------
    list of str
        ``digits``, which needs no download, first.
    """
    return [DIGITS, *CATALOGUE]


def find_source(name: str) -> Source:
    """Look a published data set up.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    Source
        Its entry in the catalogue.

    Raises
    ------
    InvalidArgumentError
        When there is none of this name; the message offers the nearest.
    """
    if name not in CATALOGUE:
        raise unknown_name(name)
    return CATALOGUE[name]


def unknown_name(name: object) -> InvalidArgumentError:
    """Return the error for a name that is none, which offers the nearest right one."""
    known = ", ".join(dataset_names())
    near = difflib.get_close_matches(str(name).lower(), dataset_names(), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    message = (
        f"there is no data set {name!r}: {hint}expected one of {known}, or the path of an .npz "
        "file or of a folder of IDX files"
    )
    return InvalidArgumentError(message)
