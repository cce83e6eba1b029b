"""Trees of arrays: structure is preserved and mismatches raise."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from anynet import tree


class Pair(NamedTuple):
    left: object
    right: object


TREE = ({"weight": 1, "bias": 2}, {}, Pair([3, None], 4))


def test_map_preserves_the_structure() -> None:
    doubled = tree.map(lambda leaf: 2 * leaf, TREE)
    assert doubled == ({"weight": 2, "bias": 4}, {}, Pair([6, None], 8))
    assert isinstance(doubled[2], Pair)


def test_map_pairs_leaves_by_name_not_by_order() -> None:
    one, other = {"weight": 1, "bias": 2}, {"bias": 20, "weight": 10}
    assert tree.map(lambda a, b: a + b, one, other) == {"weight": 11, "bias": 22}


def test_flatten_names_every_leaf() -> None:
    assert list(tree.flatten(TREE)) == [
        ("0.bias", 2),
        ("0.weight", 1),
        ("2.left.0", 3),
        ("2.right", 4),
    ]
    assert tree.leaves(TREE) == [2, 1, 3, 4]


@pytest.mark.parametrize("other", [({},), ({"weight": 1, "bias": 2}, {}), 3, ({"w": 1}, {}, ())])
def test_trees_with_different_structures_raise(other) -> None:
    with pytest.raises(ValueError, match=r"trees differ in shape: .* against"):
        tree.map(lambda a, _: a, TREE, other)
