"""Sources of the CUDA kernels: NVRTC compiles them, and host builds give correct results."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anynet.backends.cuda_sources import KERNELS
from anynet.backends.fusion.program import Instruction
from anynet.backends.fusion.source import ELEMENTWISE, REDUCTIONS, compile_program
from anynet.backends.numpy import create

ON_THE_HOST = """
struct Dim { unsigned int x; };
static Dim blockIdx{0}, blockDim{1}, threadIdx{0}, gridDim{3};
#define __global__
"""


def every_operation(dtype: str) -> str:
    """Return the source of a kernel that contains every operation of fused kernels."""
    program = [
        *(Instruction("array", (), kind, 640) for kind in (dtype, "int32", "bool")),
        Instruction("number", (), dtype, 1),
        Instruction("view", (9, ((64, 10), (10, -1))), dtype, 640, (0,)),
        Instruction("take", (640, 640, 1), dtype, 640, (0, 1)),
        Instruction("concat", (5, 5, 1), dtype, 640, (0, 0)),
        Instruction("position", (10, 1), "int32", 640),
    ]
    for name, formula in ELEMENTWISE.items():
        whole = name.startswith("bitwise") or name == "floor_divide"
        inputs = ((1, 1) if whole else (0, 3, 0))[
            : 3 if "{2}" in formula else 2 if "{1}" in formula else 1
        ]
        program.append(Instruction(name, (), "int32" if whole else dtype, 640, inputs))
    stored = range(4, len(program))
    for name in REDUCTIONS:
        kind, source = {"min": ("int32", 1), "all": ("bool", 2), "any": ("bool", 2)}.get(
            name, (dtype, 0)
        )
        for length, inner in ((10, 1), (64, 10)):
            program.append(
                Instruction("reduce", (name, length, inner), kind, 640 // length, (source,))
            )
            program.append(Instruction("cast", (), dtype, 640 // length, (len(program) - 1,)))
    wanted = (*stored, *range(stored.stop, len(program)))
    (launch,) = compile_program(tuple(program), wanted)
    return launch.source


SOURCES = KERNELS | {f"fused-{dtype}": every_operation(dtype) for dtype in ("float32", "float64")}


def test_fused_kernels_of_float32_have_no_double_numbers() -> None:
    assert "double" not in SOURCES["fused-float32"].partition('extern "C"')[2]


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("name", SOURCES)
def test_nvrtc_compiles_the_kernel(name: str, architecture: str) -> None:
    pathfinder = pytest.importorskip("cuda.pathfinder")
    try:
        nvrtc = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("nvrtc").abs_path)
    except pathfinder.DynamicLibNotFoundError as error:
        pytest.skip(str(error))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    source = SOURCES[name].encode()
    created = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"k.cu", 0, None, None)
    assert created == 0
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    status = nvrtc.nvrtcCompileProgram(program, 2, (ctypes.c_char_p * 2)(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    assert log.value == b""  # no warnings either
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, cubin)
    assert name.partition("-")[0].encode() in cubin.raw


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the kernels as host functions that run a grid of three threads in turn."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    folder: Path = tmp_path_factory.mktemp("kernels")
    source = folder / "kernels.cpp"
    turn = 'extern "C" void take_turn(unsigned int index) { blockIdx.x = index; }'
    source.write_text(ON_THE_HOST + "".join(KERNELS.values()) + turn)
    library = folder / "kernels.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", source, "-o", library], check=True)
    return ctypes.CDLL(str(library))


def launch(kernels: Any, name: str, *arguments: Any) -> None:
    for index in range(3):
        kernels.take_turn(index)
        getattr(kernels, name)(*arguments)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.mark.parametrize(
    ("seed", "step", "purpose", "shape"),
    [(5, 0, 0, (1,)), (2**31 - 1, 7, 3, (4, 5)), ([1, 2, 3], 10**6, 1, (3, 3)), (9, 2, 11, (2, 8))],
)
def test_threefry_bits_match_the_specification(kernels, seed, step, purpose, shape) -> None:
    seeds, steps = np.asarray(seed, dtype=np.int32), np.asarray(step, dtype=np.int32)
    expected = create(None, "float32", "").random_bits(seeds, (steps, purpose), shape)
    bits = np.full((*seeds.shape, *shape), 77, dtype=np.uint32)
    count = int(np.prod(shape))
    sizes = [ctypes.c_longlong(size) for size in (seeds.size, (count + 1) // 2, count)]
    words = (pointer(seeds), pointer(steps), ctypes.c_uint(purpose))
    launch(kernels, "threefry_2x32", *words, *sizes, pointer(bits))
    np.testing.assert_array_equal(bits, expected)


def test_bfloat16_rounds_to_nearest(kernels, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38, 1 + 2**-8, 1 + 3 * 2**-8]
    any_bits = rng.integers(0, 2**32, 5000, dtype=np.uint32).view(np.float32)
    x = np.concatenate([np.array(edges, dtype=np.float32), any_bits])
    rounded = np.empty(x.size, dtype=np.uint16)
    launch(kernels, "to_bfloat16", pointer(x), ctypes.c_longlong(x.size), pointer(rounded))
    got = (rounded.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(got, torch.asarray(x).bfloat16().float().numpy())
