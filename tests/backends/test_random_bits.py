"""Counter-based random bits: published known answers, equal on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from anynet.backends import Backend
from anynet.backends.threefry import threefry_2x32

# Random123's kat_vectors file (D. E. Shaw Research): rounds, counter, key, output.
KNOWN_ANSWERS = [
    (13, (0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
    (13, (0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0xFD36D048, 0x2D17272C)),
    (13, (0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xBA3E4725, 0xF27D669E)),
    (20, (0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    (20, (0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    (20, (0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), KNOWN_ANSWERS)
def test_threefry_matches_the_published_answers(backend: Backend, rounds, counter, key, expected):
    if backend.name == "torch":  # torch's words are signed, see TorchBackend
        import torch

        from anynet.backends.torch import _rotate_signed, _unsigned

        def words(pair):
            return [torch.asarray(np.array([w], np.uint32).view(np.int32)) for w in pair]

        got = threefry_2x32(words(key), words(counter), rounds, _rotate_signed)
        got = [_unsigned(word) for word in got]
    else:

        def words(pair):
            return [backend.to_device(np.array([word], dtype=np.uint32)) for word in pair]

        got = threefry_2x32(words(key), words(counter), rounds)
    assert [int(backend.to_host(word)[0]) for word in got] == list(expected)


def draw(backend: Backend, seed, step: int, purpose: int, shape) -> np.ndarray:
    seed = backend.to_device(np.asarray(seed, dtype=np.int32))
    step = backend.to_device(np.asarray(step, dtype=np.int32))
    return backend.to_host(backend.random_bits(seed, (step, purpose), shape)).astype(np.uint64)


def test_random_bits_start_with_the_published_answer(backend: Backend) -> None:
    assert draw(backend, 0, 0, 0, (2,)).tolist() == [0x9D1C5EC6, 0x8BD50731]


def test_random_bits_are_equal_on_every_backend(backend: Backend) -> None:
    from anynet.backends.numpy import create

    reference = create(None, "float32", "")
    for arguments in [(2**31 - 1, 7, 3, (4, 5)), ([1, 2, 3], 10**6, 1, (3, 3)), (5, 0, 0, ())]:
        bits = draw(backend, *arguments)
        np.testing.assert_array_equal(bits, draw(reference, *arguments))
        assert bits.shape == (*np.shape(arguments[0]), *arguments[3])


def test_population_members_draw_the_same_bits_as_single_runs(backend: Backend) -> None:
    together = draw(backend, [11, 22], 4, 2, (6, 7))
    for member, seed in enumerate([11, 22]):
        np.testing.assert_array_equal(together[member], draw(backend, seed, 4, 2, (6, 7)))


def test_seed_step_and_purpose_each_change_the_bits(backend: Backend) -> None:
    streams = [draw(backend, *key, (500,)) for key in [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]]
    for index, one in enumerate(streams):
        for other in streams[index + 1 :]:
            assert np.count_nonzero(one == other) == 0


def test_random_bits_are_uniform(backend: Backend) -> None:
    bits = draw(backend, 3, 1, 4, (40_000,))
    counts = np.bincount((bits >> 24).astype(int), minlength=256)
    expected = len(bits) / 256
    chi_square = np.sum((counts - expected) ** 2) / expected
    assert 170 < chi_square < 355  # 255 degrees of freedom: p from 1e-5 to 1 − 1e-5
    ones = [np.mean((bits >> bit) & 1) for bit in range(32)]
    assert np.all(np.abs(np.array(ones) - 0.5) < 0.0125)  # five standard deviations
