"""Trees: tuples, lists, dicts and NamedTuples of arrays, handled as one value.

A leaf is any other object; ``None`` is a tree without leaves, and dicts are ordered by sorted
keys, both as in JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

Tree = TypeVar("Tree")


def map(function: Callable[..., Any], tree: Tree, *others: Any) -> Tree:
    """Apply ``function`` to the corresponding leaves of trees with the same structure.

    Parameters
    ----------
    function : callable
        Takes as many leaves as there are trees and returns the new leaf.
    tree, *others : tree
        Trees of the same shape.

    Returns
    -------
    tree
        The results, in the shape of ``tree``.

    Raises
    ------
    ValueError
        If the trees differ in shape.
    """
    result: Any
    if isinstance(tree, dict):
        _check_keys(tree, others)
        result = {name: map(function, tree[name], *[o[name] for o in others]) for name in tree}
    elif isinstance(tree, (tuple, list)):
        _check_length(tree, others)
        children = [map(function, *row) for row in zip(tree, *others, strict=True)]
        result = type(tree)(*children) if hasattr(tree, "_fields") else type(tree)(children)
    else:
        result = None if tree is None else function(tree, *others)
    return result  # type: ignore[no-any-return]


def leaves(tree: Any) -> list[Any]:
    """Return all leaves in order."""
    return [leaf for _, leaf in flatten(tree)]


def flatten(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf with its path, such as ``("0.weight", array)``."""
    children = _children(tree)
    if children is None:
        if tree is not None:
            yield path, tree
        return
    for name, child in children:
        yield from flatten(child, _join(path, name))


def rebuild(tree: Tree, leaves: Mapping[str, Any], path: str = "") -> Tree:
    """Return a tree of the same shape whose leaves are those that ``leaves`` has at their paths.

    Raises
    ------
    KeyError
        If there is none at a path.
    """
    children = _children(tree)
    result: Any
    if children is None:
        result = None if tree is None else leaves[path]
        return result  # type: ignore[no-any-return]
    made = {name: rebuild(child, leaves, _join(path, name)) for name, child in children}
    if isinstance(tree, dict):
        result = {name: made[name] for name in tree}
    else:
        result = (
            type(tree)(*made.values()) if hasattr(tree, "_fields") else type(tree)(made.values())  # type: ignore[call-arg]
        )
    return result  # type: ignore[no-any-return]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _children(tree: Any) -> list[tuple[str, Any]] | None:
    """Return the names and children of an inner node, or None for a leaf."""
    if isinstance(tree, dict):
        return [(name, tree[name]) for name in sorted(tree)]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return list(zip(tree._fields, tree, strict=True))
    if isinstance(tree, (tuple, list)):
        return [(str(index), child) for index, child in enumerate(tree)]
    return None


def _check_keys(tree: dict[str, Any], others: tuple[Any, ...]) -> None:
    for other in others:
        if not isinstance(other, dict) or other.keys() != tree.keys():
            raise ValueError(_difference(tree, other))


def _check_length(tree: Any, others: tuple[Any, ...]) -> None:
    for other in others:
        if not isinstance(other, (tuple, list)) or len(other) != len(tree):
            raise ValueError(_difference(tree, other))


def _difference(tree: Any, other: Any) -> str:
    return f"trees differ in shape: {_outline(tree)} against {_outline(other)}"


def _outline(tree: Any) -> str:
    children = _children(tree)
    if children is None:
        return type(tree).__name__
    return f"{type(tree).__name__}({', '.join(name for name, _ in children)})"
