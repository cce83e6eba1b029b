"""CUDA sources of the kernels of anynet, without headers."""

from __future__ import annotations

from anynet.backends.threefry import PARITY, ROTATIONS

THREEFRY = f"""
// Backend.random_bits in one kernel: see anynet/backends/threefry.py for the cipher, and
// anynet/backends/portable.py for which word goes where. One thread a counter.
extern "C" __global__ void threefry_2x32(
    const int* seed, const int* step, const unsigned int purpose, const long long members,
    const long long pairs, const long long count, unsigned int* bits)
{{
    const int rotations[8] = {{{", ".join(str(distance) for distance in ROTATIONS)}}};
    const long long stride = (long long)blockDim.x * gridDim.x;
    long long work = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    for (; work < members * pairs; work += stride) {{
        const long long member = work / pairs, index = work % pairs;
        const unsigned int first = (unsigned int)seed[member];
        const unsigned int keys[3] = {{first, purpose, first ^ purpose ^ {PARITY:#x}u}};
        unsigned int x0 = (unsigned int)*step + keys[0];
        unsigned int x1 = (unsigned int)index + keys[1];
        for (int round = 0; round < 13; ++round) {{
            const int distance = rotations[round % 8];
            x0 += x1;
            x1 = ((x1 << distance) | (x1 >> (32 - distance))) ^ x0;
            if (round % 4 == 3) {{
                const unsigned int injection = round / 4 + 1;
                x0 += keys[injection % 3];
                x1 += keys[(injection + 1) % 3] + injection;
            }}
        }}
        unsigned int* own = bits + member * count;
        own[index] = x0;
        if (pairs + index < count) own[pairs + index] = x1;
    }}
}}
"""

BFLOAT16 = """
// float32 to bfloat16, rounded to the nearest, ties to even; NaN stays a NaN.
extern "C" __global__ void to_bfloat16(
    const float* x, const long long count, unsigned short* y)
{
    const long long stride = (long long)blockDim.x * gridDim.x;
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    for (; index < count; index += stride) {
        union { float value; unsigned int bits; } word;
        word.value = x[index];
        if (word.value != word.value) {
            y[index] = (unsigned short)((word.bits >> 16) | 0x40);
        } else {
            y[index] = (unsigned short)((word.bits + 0x7fff + ((word.bits >> 16) & 1)) >> 16);
        }
    }
}
"""

KERNELS = {"threefry_2x32": THREEFRY, "to_bfloat16": BFLOAT16}
"""Kernel sources by name."""
