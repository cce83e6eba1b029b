"""Erase, noise, flip and mixup: their effect and their frequency."""

from __future__ import annotations

import numpy as np
import pytest
from augmentations import augmented, key, pipeline

import anynet
from anynet.augment import Erase, Flip, Mixup, Noise
from anynet.augment.common import normal, uniform
from anynet.augment.pixels import larger_share

BACKEND = anynet.get_backend("numpy")


def ones(n_images: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((n_images, shape[0] * shape[1]), np.uint8), np.zeros(n_images, np.int32)


def test_flip_mirrors_images_with_the_given_probability(rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, (2000, 6)).astype(np.uint8)
    out = augmented(BACKEND, x, np.zeros(2000), Flip(0.3), shape=(2, 3))
    mirrored = x.reshape(-1, 2, 3)[..., ::-1].reshape(-1, 6)
    kept, flipped = (out == x).all(axis=1), (out == mirrored).all(axis=1)
    assert (kept | flipped).all()
    assert flipped.mean() == pytest.approx(0.3, abs=0.04)
    assert out.dtype == np.uint8


def test_erase_clears_one_rectangle() -> None:
    shape, area = (12, 20), 0.3
    out = augmented(BACKEND, *ones(3000, shape), Erase(area, 0.6), shape=shape).reshape(-1, *shape)
    gone = out == 0
    touched = gone.any(axis=(1, 2))
    assert touched.mean() == pytest.approx(0.6, abs=0.04)
    rows, columns = gone.any(axis=2), gone.any(axis=1)
    np.testing.assert_array_equal(gone, rows[:, :, None] & columns[:, None, :])
    for side in (rows, columns):
        starts = np.diff(side.astype(np.int8), axis=1, prepend=0) == 1
        np.testing.assert_array_equal(starts.sum(axis=1), touched)
    share = gone[touched].mean(axis=(1, 2))
    assert share.max() < area + 0.06  # integer pixels
    assert share.min() > 0
    assert share.mean() == pytest.approx((0.02 + area) / 2, abs=0.02)
    assert np.ptp(np.argmax(rows[touched], axis=1)) / (shape[0] - 1) > 0.9  # at every position


def test_noise_strength_is_the_standard_deviation() -> None:
    x = np.full((500, 40), 7, np.uint8)
    out = augmented(BACKEND, x, np.zeros(500), Noise(0.2), shape=(5, 8))
    assert out.mean() == pytest.approx(7, abs=1.5)
    assert out.std() == pytest.approx(0.2 * 255, rel=0.02)
    assert np.abs(np.corrcoef(out[:, :4].T) - np.eye(4)).max() < 0.2


def test_draws_have_the_moments_of_their_distribution() -> None:
    bits = BACKEND.random_bits(*key(BACKEND)[:1], (key(BACKEND).step, 0), (200_000,))
    even, about_normal = uniform(bits, BACKEND), normal(bits, BACKEND)
    assert 0 <= even.min() < 1e-4
    assert 1 - 1e-4 < even.max() < 1
    assert even.var() == pytest.approx(1 / 12, rel=0.02)
    assert about_normal.mean() == pytest.approx(0, abs=0.01)
    assert about_normal.var() == pytest.approx(1, rel=0.01)
    assert np.mean(about_normal**4) == pytest.approx(2.7, rel=0.03)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 3.0])
def test_mixup_coefficients_follow_the_beta_distribution(alpha: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    quantiles = (np.arange(200) + 0.5) / 200
    expected = 1 - stats.beta(alpha, alpha).ppf((1 - quantiles) / 2)
    np.testing.assert_allclose(larger_share(alpha, quantiles), expected, atol=2e-4)


@pytest.mark.parametrize("alpha", [1e-5, 1e-17, 1e-320])
def test_mixup_with_the_smallest_alphas_leaves_samples_unmixed(alpha: float) -> None:
    np.testing.assert_array_equal(larger_share(alpha, np.linspace(0.01, 0.99, 99)), 1)


def test_mixup_blends_each_sample_with_its_counterpart_in_the_reversed_batch(rng) -> None:
    x = rng.random((7, 3)).astype(np.float32)
    mix = pipeline(BACKEND, Mixup(1.0), shape=(1, 3))
    shares = []
    for step in range(200):
        out, share = mix(x, None, backend=BACKEND, key=key(BACKEND, (1, 2), step))
        for own, member in zip(share, out, strict=True):
            np.testing.assert_allclose(member, own * x + (1 - own) * x[::-1], atol=1e-6)
        shares.append(share)
    drawn = np.array(shares)
    assert drawn.min() >= 0.5
    assert drawn.mean() == pytest.approx(0.75, abs=0.02)  # λ is uniform for alpha = 1
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.2
