"""The only folder that names an array library."""

from anynet.backends.groups import Group, Share
from anynet.backends.parallel import find_group
from anynet.backends.portable import Backend, Loop, Memory
from anynet.backends.select import (
    BackendStatus,
    array_home,
    available_backends,
    backend_of,
    check_dense,
    find_backend,
    get_backend,
    lives_on,
    to_numpy,
)
from anynet.backends.threads import set_threads

__all__ = [
    "Backend",
    "BackendStatus",
    "Group",
    "Loop",
    "Memory",
    "Share",
    "array_home",
    "available_backends",
    "backend_of",
    "check_dense",
    "find_backend",
    "find_group",
    "get_backend",
    "lives_on",
    "set_threads",
    "to_numpy",
]
