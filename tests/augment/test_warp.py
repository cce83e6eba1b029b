"""Deformations: comparison with the sampling and smoothing of SciPy and with trigonometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from augmentations import augmented, key
from scipy import ndimage

import anynet
from anynet.augment import Affine, Elastic
from anynet.augment.common import Layout
from anynet.augment.warp import Warp, sample
from anynet.backends import Backend


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_sampling_matches_scipy(backend64: Backend, rng: np.random.Generator, dtype: type) -> None:
    """Points inside, between, on and far outside the borders of images that are not square."""
    height, width, n_places = 5, 7, 60
    images = rng.integers(0, 256, (4, height * width)).astype(dtype)
    y, x = rng.uniform(-3, 10, (2, 4, n_places))
    y[:, :8] = [-1, -0.5, 0, 0.25, height - 1, height - 0.5, height, 100]
    x[:, 4:12] = [-1, -0.5, 0, 0.25, width - 1, width - 0.5, width, -100]
    places = (backend64.to_device(y), backend64.to_device(x))
    got = sample(backend64.to_device(images), *places, (height, width), backend=backend64)
    expected = [
        ndimage.map_coordinates(
            image.reshape(height, width).astype(float), pair, order=1, mode="grid-constant"
        )
        for image, pair in zip(images, np.stack([y, x], axis=1), strict=True)
    ]
    np.testing.assert_allclose(backend64.to_host(got), expected, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("strengthless", [Affine(0, 0, 0, 0), Elastic(alpha=0)])
def test_zero_strength_is_the_identity(backend: Backend, rng, strengthless) -> None:
    x = rng.integers(0, 256, (6, 64)).astype(np.uint8)
    got = augmented(backend, x, np.zeros(6, np.int32), strengthless, Affine(0, 0, 0, 0))
    np.testing.assert_array_equal(got, x)


def fields(deformation: object, shape: tuple[int, int], n_images: int) -> np.ndarray:
    """Return displacements drawn by the device code, (N, 2, H, W)."""
    backend = anynet.get_backend("numpy", dtype="float64")
    warp = Warp.of((deformation,), Layout(shape), backend)
    places = warp.coordinates(n_images, np.zeros(n_images), backend=backend, key=key(backend))
    grid = np.mgrid[: shape[0], : shape[1]].reshape(2, 1, -1)
    return np.moveaxis(places - grid, 0, 1).reshape(n_images, 2, *shape)


@pytest.mark.parametrize(("alpha", "sigma"), [(34.0, 4.0), (36.0, 6.0), (8.0, 2.0)])
def test_elastic_displacements_have_the_documented_rms(alpha: float, sigma: float) -> None:
    """RMS = alpha / (√3 · 2σ√π), the same in every pixel: 1.4 for Simard's numbers."""
    drawn = fields(Elastic(alpha, sigma), (28, 28), 4000)
    expected = alpha / (math.sqrt(3) * 2 * sigma * math.sqrt(math.pi))
    assert np.sqrt(np.mean(drawn**2)) == pytest.approx(expected, rel=0.01)
    in_each_pixel = np.sqrt(np.mean(drawn**2, axis=0))
    np.testing.assert_allclose(in_each_pixel, expected, rtol=0.08)
    assert np.abs(drawn.mean(axis=0)).max() < 0.08 * expected
    assert abs(np.mean(drawn[:, 0] * drawn[:, 1])) < 0.02 * expected**2  # y and x are independent


@pytest.mark.parametrize("sigma", [1.5, 4.0])
def test_elastic_fields_have_the_covariance_of_smoothed_noise(sigma: float) -> None:
    """The covariance is that of SciPy's gaussian_filter applied to uniform noise."""
    shape, margin = (9, 12), 30
    eye = np.eye(2 * margin)
    # G, one row per position
    smoothing = ndimage.gaussian_filter1d(eye, sigma, axis=0, mode="constant")
    rows = smoothing[margin - shape[0] // 2 :][: shape[0]]
    columns = smoothing[margin - shape[1] // 2 :][: shape[1]]
    expected = np.kron(rows @ rows.T, columns @ columns.T) / 3  # of U uniform in (−1, 1)
    basis = Elastic(sigma=sigma).basis(shape)
    np.testing.assert_allclose(basis.T @ basis, expected, atol=0.012 * expected.max())
    assert np.trace(basis.T @ basis) > 0.998 * np.trace(expected)
    assert len(basis) < 0.7 * math.prod(shape)


def test_elastic_fields_match_the_distribution_of_simards_recipe(rng: np.random.Generator) -> None:
    """Noise, gaussian_filter, alpha as in the paper: moments of values and of gradients."""
    alpha, sigma, n, margin = 34.0, 4.0, 400, 17
    side = 28 + 2 * margin
    noise = rng.uniform(-1, 1, (n, side, side))
    exact = alpha * ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="constant")
    exact = exact[:, margin:-margin, margin:-margin]
    drawn = fields(Elastic(alpha, sigma), (28, 28), n)[:, 0]
    for measure in (np.asarray, lambda f: np.diff(f, axis=1), lambda f: np.diff(f, n=2, axis=2)):
        got, expected = measure(drawn), measure(exact)
        assert np.std(got) == pytest.approx(np.std(expected), rel=0.05)
        quantiles = [
            np.quantile(values / np.std(expected), [0.05, 0.5, 0.95]) for values in (got, expected)
        ]
        np.testing.assert_allclose(*quantiles, atol=0.12)


def corners(deformation: Affine, labels: np.ndarray, n_images: int = 2000) -> np.ndarray:
    """Return A (N, 2, 2) and b (N, 2) of source = A·(place − centre) + centre + b, as (N, 2, 3)."""
    shape = (7, 11)
    backend = anynet.get_backend("numpy", dtype="float64")
    warp = Warp.of((deformation,), Layout(shape), backend)
    places = warp.coordinates(n_images, labels, backend=backend, key=key(backend))
    grid = np.mgrid[:7, :11].reshape(2, -1) - np.array([[3.0], [5.0]])
    design = np.concatenate([grid, np.ones((1, 77))])
    centred = places - np.array([3.0, 5.0])[:, None, None]
    solved = np.linalg.lstsq(design.T, centred.reshape(-1, 77).T, rcond=None)[0]
    rebuilt = (design.T @ solved).T.reshape(centred.shape)
    np.testing.assert_allclose(rebuilt, centred, atol=1e-9)  # affine about the centre
    return np.moveaxis(solved.T.reshape(2, n_images, 3), 0, 1)


def assert_close(many: np.ndarray, one: np.ndarray) -> None:
    np.testing.assert_allclose(many, np.broadcast_to(one, many.shape), atol=1e-9)


def test_rotation_preserves_lengths_and_stays_within_its_bound() -> None:
    found = corners(Affine(rotation=15, shear=0, scale=0, shift=0), np.zeros(2000))
    matrices = found[..., :2]
    np.testing.assert_allclose(
        matrices @ matrices.mT, np.broadcast_to(np.eye(2), (2000, 2, 2)), atol=1e-9
    )
    angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert 14.5 < np.abs(angles).max() <= 15
    assert np.std(angles) == pytest.approx(15 / math.sqrt(3), rel=0.05)
    assert_close(found[..., 2], np.zeros(2))


def test_shear_slants_vertical_lines_and_keeps_horizontal_lines() -> None:
    found = corners(Affine(rotation=0, shear=20, scale=0, shift=0), np.zeros(2000))
    slants = np.degrees(np.arctan(found[:, 1, 0]))
    assert 19 < np.abs(slants).max() <= 20
    found[:, 1, 0] = 0
    assert_close(found, np.eye(2, 3))


def test_scale_and_shift_stay_within_their_bounds() -> None:
    found = corners(Affine(rotation=0, shear=0, scale=0.2, shift=3), np.zeros(2000))
    factors = 1 / found[:, [0, 1], [0, 1]]
    assert 1.19 < factors.max() <= 1.2
    assert 0.8 <= factors.min() < 0.81
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.1
    assert 2.9 < np.abs(found[..., 2]).max() <= 3


def test_halved_classes_have_half_the_rotation_and_either_applies_rotation_or_shear() -> None:
    labels = np.arange(2000) % 4
    both = Affine(rotation=16, shear=0, scale=0, shift=0, halved=(1, 3))
    angles = np.degrees(np.abs(np.arcsin(corners(both, labels)[:, 1, 0])))
    for label, bound in enumerate((16, 8, 16, 8)):
        assert 0.93 * bound < angles[labels == label].max() <= bound
    either = corners(Affine(16, 16, 0, 0, either=True), labels)
    turned = np.abs(either[:, 0, 1]) > 1e-9
    assert 0.45 < turned.mean() < 0.55
    slanted = either[~turned]
    np.testing.assert_allclose(
        slanted[:, 0], np.broadcast_to([1, 0, 0], slanted[:, 0].shape), atol=1e-9
    )
    matrices = either[turned][..., :2]
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-9)
    np.testing.assert_allclose(
        matrices @ matrices.mT, np.broadcast_to(np.eye(2), matrices.shape), atol=1e-9
    )


def test_consecutive_deformations_add_displacements_and_sample_once() -> None:
    affine, elastic = Affine(), Elastic()
    backend = anynet.get_backend("numpy", dtype="float64")
    warp = Warp.of((affine, elastic), Layout((8, 8)), backend)
    both = warp.coordinates(3, None, backend=backend, key=key(backend))
    parts = []
    for without in ((Affine(0, 0, 0, 0), elastic), (affine, Elastic(alpha=0))):
        one = Warp.of(without, Layout((8, 8)), backend)
        parts.append(one.coordinates(3, None, backend=backend, key=key(backend)))
    grid = np.mgrid[:8, :8].reshape(2, 1, -1)
    np.testing.assert_allclose(both, sum(parts) - grid, atol=1e-9)
