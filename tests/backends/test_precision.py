"""Reduced precision: operands are rounded, sums and weights are not; the default is full."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import make_backend

import anynet
from anynet import tree
from anynet.backends import lives_on
from anynet.backends.cublas import DATA_TYPES
from anynet.backends.select import PRECISIONS

ROUNDOFF = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # half the distance from 1 to the next
CASES = [(library, precision) for library in ("torch", "jax") for precision in ROUNDOFF]


def make(library: str, precision: str | None, device: str | None = "cpu") -> Any:
    pytest.importorskip(library)
    return anynet.get_backend(library, device, precision=precision)


def multiply(backend: Any, a: Any, b: Any, **options: Any) -> np.ndarray:
    with backend.context():
        factors = [backend.to_device(np.asarray(x, dtype=np.float32)) for x in (a, b)]
        result = backend.to_host(backend.gemm(*factors, **options))
    assert result.dtype == np.float32
    return result


@pytest.mark.parametrize(("library", "precision"), CASES)
@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize("shared", [False, True])
def test_product_error_is_bounded_by_the_rounding_of_its_operands(
    library, precision, lead, shared, rng
):
    """Error bound: relative error u per operand, one float32 rounding per each of K sums."""
    a = rng.standard_normal((*lead, 40, 30)).astype(np.float32)
    b = rng.standard_normal((*(() if shared else lead), 40, 20)).astype(np.float32)
    exact = np.swapaxes(a, -1, -2).astype(np.float64) @ b
    scale = np.abs(np.swapaxes(a, -1, -2)).astype(np.float64) @ np.abs(b)
    error = np.abs(multiply(make(library, precision), a, b, transpose_a=True) - exact)
    u = ROUNDOFF[precision]
    assert np.all(error <= (2 * u + u * u + 40 * np.finfo(np.float32).eps) * scale)
    assert error.max() > u / 100 * scale.mean()  # operands are rounded


@pytest.mark.parametrize(("library", "precision"), CASES)
def test_sums_are_kept_in_float32(library: str, precision: str) -> None:
    """In bfloat16 a sum of ones stops at 256, in float16 at 2048."""
    ones = np.ones((1, 4097), dtype=np.float32)
    assert multiply(make(library, precision), ones, ones, transpose_b=True) == 4097


@pytest.mark.parametrize(("library", "precision"), CASES)
def test_the_accumulator_is_not_rounded(library: str, precision: str) -> None:
    """A master weight accumulates steps that are too small for the reduced type."""
    backend = make(library, precision)
    weight = backend.to_device(np.ones((1, 1), dtype=np.float32))
    step = 2.0**-14
    result = multiply(backend, [[1.0]], [[1.0]], accumulate=weight, alpha=step, beta=1)
    assert result == 1 + step


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_training_in_bfloat16_learns_and_keeps_float32_weights(library: str, digits) -> None:
    backend = make(library, "bfloat16")
    network = anynet.mlp([64, 32, 10], scale=digits.scale)
    options: dict[str, Any] = {"epochs": 8, "learning_rate": 0.1}
    model = anynet.fit(network, digits.train, backend=backend, **options)
    assert model.score(*digits.test) > 0.9
    assert {str(leaf.dtype).removeprefix("torch.") for leaf in tree.leaves(model.params)} == {
        "float32"
    }
    full = anynet.fit(network, digits.train, backend=make(library, None), **options)
    losses = [m.history.records[-1].train_loss for m in (model, full)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_backends_of_different_precisions_are_unequal() -> None:
    """Compiled loops are cached by equality, so two precisions must compare unequal."""
    full, reduced = make("torch", None), make("torch", "bfloat16")
    assert full != reduced
    array = reduced.to_device(np.ones(2, dtype=np.float32))
    assert lives_on(array, full)
    assert lives_on(array, reduced)
    assert not lives_on(np.ones(2), reduced)
    assert (full.describe()["precision"], reduced.describe()["precision"]) == ("full", "bfloat16")


def test_every_precision_has_an_operand_type() -> None:
    assert set(PRECISIONS) - {"tf32"} <= set(DATA_TYPES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("numpy", None, "float32", "int8"), "'tf32', 'bfloat16', 'float16', None, got 'int8'"),
        (("numpy", None, "float64", "bfloat16"), "products of float32, got dtype 'float64'"),
    ],
)
def test_invalid_precisions_raise(arguments: Any, message: str) -> None:
    with pytest.raises(anynet.InvalidArgumentError, match=message):
        anynet.get_backend(*arguments)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_numpy_supports_full_precision_only(precision: str) -> None:
    with pytest.raises(anynet.BackendError, match="full precision only, got precision"):
        anynet.get_backend("numpy", precision=precision)
    with pytest.raises(anynet.BackendError, match="full precision only"):
        anynet.get_backend("auto", "cpu", precision=precision)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_tf32_requires_cuda(library: str) -> None:
    with pytest.raises(anynet.BackendError, match=r"'tf32'.*, got cpu"):
        make(library, "tf32")


TF32_SETTINGS = """
import sys, warnings, torch
from anynet.backends.torch import _with_tf32
warnings.simplefilter("error")
matmul = torch.backends.cuda.matmul
{setting}
recent = hasattr(matmul, "fp32_precision")
before = matmul.fp32_precision if recent else matmul.allow_tf32
try:
    with _with_tf32():
        assert (matmul.fp32_precision == "tf32") if recent else matmul.allow_tf32
        with _with_tf32():
            1 / 0
except ZeroDivisionError:
    pass
assert (matmul.fp32_precision if recent else matmul.allow_tf32) == before
{check}
"""


@pytest.mark.parametrize(
    ("setting", "check"),
    [
        ("", "assert not matmul.allow_tf32"),
        ("matmul.allow_tf32 = True", "assert matmul.allow_tf32"),
        (
            "torch.set_float32_matmul_precision('high')",
            "assert torch.get_float32_matmul_precision() == 'high'",
        ),
        ("matmul.fp32_precision = 'ieee'", "assert matmul.fp32_precision == 'ieee'"),
        (
            "torch.backends.fp32_precision = 'tf32'",
            "torch.backends.fp32_precision = 'ieee'; assert matmul.fp32_precision == 'ieee'",
        ),
    ],
    ids=["default", "allow_tf32", "high", "fp32_precision", "inherited"],
)
def test_torchs_tf32_setting_is_restored_whichever_way_it_was_made(setting, check) -> None:
    """In processes, as torch raises once a program has used both of its settings."""
    torch = pytest.importorskip("torch")
    if "fp32_precision" in setting and not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("torch before 2.9 has allow_tf32 only")
    code = TF32_SETTINGS.format(setting=setting, check=check)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.parametrize("recent", [False, True])
def test_one_of_torchs_two_tf32_settings_is_used(recent: bool) -> None:
    pytest.importorskip("torch")
    from anynet.backends.torch import _tf32_setting

    old, new = {"allow_tf32": False}, {"fp32_precision": "none"}
    matmul = SimpleNamespace(**(new if recent else old))  # reading the other attribute raises
    setting, value = _tf32_setting(matmul)
    with setting.hold(value):
        assert vars(matmul) == ({"fp32_precision": "tf32"} if recent else {"allow_tf32": True})
    assert vars(matmul) == (new if recent else old)


@pytest.mark.cuda
@pytest.mark.parametrize("case", ["cupy", "torch-cuda", "jax-cuda"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_product_error_on_cuda_is_bounded_by_the_rounding_of_its_operands(
    case, precision, rng
) -> None:
    backend = anynet.get_backend(make_backend(case).name, "cuda", precision=precision)
    a = rng.standard_normal((3, 256, 512)).astype(np.float32)
    b = rng.standard_normal((256, 128)).astype(np.float32)
    exact = np.swapaxes(a, 1, 2).astype(np.float64) @ b
    scale = np.abs(np.swapaxes(a, 1, 2)).astype(np.float64) @ np.abs(b)
    error = np.abs(multiply(backend, a, b, transpose_a=True) - exact)
    # tensor cores may truncate to TF32 instead of rounding
    u = (ROUNDOFF | {"tf32": 2.0**-10})[precision]
    assert np.all(error <= (2 * u + u * u + 256 * np.finfo(np.float32).eps) * scale)
    assert error.max() > u / 100 * scale.mean()
