"""Every augmentation: same images on all backends, reproducibility, populations, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augmentations import CASES, augmented, key, pipeline

import anynet
from anynet.augment import AUGMENTATIONS, Affine, Elastic, Erase, Mixup, Noise, as_pipeline
from anynet.backends import Backend
from anynet.errors import InvalidArgumentError

NUMPY = anynet.get_backend("numpy")


@pytest.fixture
def images(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 256, (6, 64)).astype(np.uint8), np.arange(6, dtype=np.int32)


def test_every_augmentation_has_a_case() -> None:
    assert {case.kind for case in CASES} == set(AUGMENTATIONS)


@pytest.mark.parametrize("case", [*CASES, CASES], ids=lambda case: getattr(case, "kind", "all"))
def test_all_backends_produce_the_same_images(backend64: Backend, images: Any, case: Any) -> None:
    some = case if isinstance(case, list) else [case]
    expected = augmented(anynet.get_backend("numpy", dtype="float64"), *images, *some)
    got = augmented(backend64, *images, *some)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
    assert not np.array_equal(got, images[0])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_float32_images_match_float64(backend: Backend, images: Any, case: Any) -> None:
    expected = augmented(anynet.get_backend("numpy", dtype="float64"), *images, case)
    np.testing.assert_allclose(augmented(backend, *images, case), expected, atol=0.01)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_population_members_draw_the_same_numbers_as_single_runs(images: Any, case: Any) -> None:
    x, y = images
    together = augmented(NUMPY, x, y, case, seed=(3, 9))
    own = augmented(NUMPY, np.stack([x, x[::-1]]), np.stack([y, y[::-1]]), case, seed=(3, 9))
    for member, (seed, turn) in enumerate(((3, 1), (9, -1))):
        alone = augmented(NUMPY, x, y, case, seed=seed)
        np.testing.assert_allclose(together[member], alone, atol=1e-3)
        alone = augmented(NUMPY, x[::turn], y[::turn], case, seed=seed)
        np.testing.assert_allclose(own[member], alone, atol=1e-3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_draws_differ_between_steps_and_seeds(images: Any, case: Any) -> None:
    first = augmented(NUMPY, *images, case)
    np.testing.assert_array_equal(first, augmented(NUMPY, *images, case))
    for other in ({"step": 4}, {"seed": 6}):
        assert not np.array_equal(first, augmented(NUMPY, *images, case, **other))


@pytest.mark.parametrize(
    ("case", "strengths"),
    [
        (Affine(shear=5), ["rotation", "shear", "scale", "shift"]),
        (Elastic(), ["alpha"]),
        (Erase(), ["area", "probability"]),
        (Noise(), ["strength"]),
    ],
    ids=["affine", "elastic", "erase", "noise"],
)
def test_population_members_can_have_different_strengths(
    images: Any, case: Any, strengths: Any
) -> None:
    from anynet.members import numbers, with_numbers

    made = pipeline(NUMPY, case)
    own = {
        path: np.array([0.0, value, 0.5 * value], dtype=np.float32)
        for path, value in numbers(made)
        if path.rpartition(".")[2] in strengths
    }
    assert len(own) == len(strengths)
    x, y = images
    varied = with_numbers(made, own)
    out, _ = varied(x, y, backend=NUMPY, key=key(NUMPY, (4, 4, 4)))
    np.testing.assert_allclose(out[0], x, atol=1e-3)
    np.testing.assert_allclose(out[1], augmented(NUMPY, x, y, case, seed=4), atol=1e-3)
    assert not np.allclose(out[2], out[1])


def test_equal_pipelines_reuse_compiled_steps() -> None:
    one, other = (pipeline(NUMPY, Affine(), Elastic(), Noise(), Mixup()) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != pipeline(NUMPY, Affine(), Elastic(alpha=1), Noise(), Mixup())


def test_a_pipeline_is_a_sequence_of_augmentations() -> None:
    assert pipeline(NUMPY, *CASES).augmentations == tuple(CASES)


def test_names_give_default_augmentations_in_the_given_order() -> None:
    named = as_pipeline("elastic, noise,affine", 64, None, NUMPY, top=255.0)
    assert named == pipeline(NUMPY, Elastic(), Noise(), Affine())


@pytest.mark.parametrize("nothing", [None, "", (), []])
def test_no_augmentation_gives_no_pipeline(nothing: Any) -> None:
    assert as_pipeline(nothing, 63, None, NUMPY) is None


@pytest.mark.parametrize(
    ("given", "columns", "shape", "message"),
    [
        ("elastik", 64, None, "did you mean 'elastic'"),
        ("blur", 64, None, "augment must be one of .*erase.* got 'blur'"),
        (Elastic, 64, None, "such as Elastic"),
        ([Affine(), 3], 64, None, "got 3"),
        (7, 64, None, "got 7"),
        ("elastic", 63, None, r"63 columns are not a square: pass image_shape=\(rows, columns\)"),
        ("flip", 20, (4, 6), "20 columns .*got"),
        ("flip", 20, 20, "got 20"),
        ("flip", 20, (4.0, 5.0), "image_shape must be"),
        ("flip", 20, (-4, -5), "image_shape must be"),
        ([Mixup(), Mixup(1.0)], 20, None, "only one Mixup"),
    ],
)
def test_invalid_augmentations_raise(given: Any, columns: int, shape: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        as_pipeline(given, columns, shape, NUMPY)


@pytest.mark.parametrize("given", ["noise", "mixup", "noise,mixup"])
def test_noise_and_mixup_work_on_tables(given: str) -> None:
    assert as_pipeline(given, 63, None, NUMPY) is not None


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Affine, {"rotation": 90}, "rotation must be .*at least 0 and below 90"),
        (Affine, {"rotation": -1}, "got -1"),
        (Affine, {"shear": float("nan")}, "got nan"),
        (Affine, {"scale": 1}, "below 1"),
        (Affine, {"shift": float("inf")}, "shift"),
        (Affine, {"shift": True}, "got True"),
        (Affine, {"shift": "2"}, "got '2'"),
        (Affine, {"shift": (1, 2)}, r"got \(1, 2\)"),
        (Affine, {"halved": [1, 7]}, r"such as \(1, 7\)"),
        (Affine, {"halved": (1.5,)}, "halved"),
        (Elastic, {"alpha": None}, "alpha"),
        (Elastic, {"alpha": 1e308}, "at most 10000, in pixels, got 1e.308"),
        (Affine, {"shift": 1e38}, "at most 10000, in pixels, got 1e.38"),
        (Elastic, {"sigma": 0}, "sigma must be .*at least 0.5"),
        (Elastic, {"sigma": float("inf")}, "sigma"),
        (Erase, {"area": 1}, "below 1"),
        (Erase, {"probability": 1.01}, "at most 1"),
        (Noise, {"strength": -0.1}, "strength"),
        (Mixup, {"alpha": 0}, "above 0"),
        (Mixup, {"alpha": True}, "above 0"),
    ],
)
def test_strengths_out_of_range_raise(make: Any, options: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        make(**options)


def test_halved_requires_class_targets() -> None:
    with pytest.raises(InvalidArgumentError, match="the targets are values"):
        as_pipeline(Affine(halved=(1,)), 64, None, NUMPY, task="values")
