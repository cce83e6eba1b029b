"""The blockwise shuffle: for samples that a disk reads quickly only many at a time.

The blocks of an epoch come in random order, one after another. This sequence is cut into windows of
as many samples as are held in memory at once, and each window is shuffled. So every sample is seen
once an epoch, a batch mixes samples of as many blocks as fit into a window, and where one window
holds them all, the shuffle is that of all samples. In `anynet.data.batches.epoch_order` it is so
whatever their number.

References
----------
TensorFlow's ``Dataset.shuffle`` and WebDataset shuffle files first and then within a buffer in this
way; here the buffer is replaced as a whole, so that the disk is read window by window.
"""

from __future__ import annotations

import numpy as np

from anynet.seeds import Purpose, host_generator


def block_order(
    borders: np.ndarray, seed: int, epoch: int, batch_size: int, window_rows: int
) -> np.ndarray:
    """Return the order in which one epoch sees samples that lie in blocks, (N,) int32.

    A function of the arguments alone, drawn from ``SeedSequence((seed, ORDER, epoch))``.

    Parameters
    ----------
    borders : ndarray of shape (n_blocks + 1,)
        Where each block begins, and where the last ends.
    seed, epoch : int
    batch_size : int
        Windows are whole batches. The short batch, N mod batch_size samples, belongs to the first
        window and comes last in the result, where `split_order` looks for it.
    window_rows : int
        How many samples a window may hold.
    """
    generator = host_generator(seed, Purpose.ORDER, epoch)
    blocks = generator.permutation(len(borders) - 1)
    order = np.concatenate(
        [np.arange(borders[block], borders[block + 1], dtype=np.int32) for block in blocks]
    )
    short = order.size % batch_size
    window = batch_size * steps_in(window_rows, batch_size)
    start = 0
    for end in range(short + window, order.size + window, window):
        generator.shuffle(order[start:end])
        start = end
    return np.concatenate([order[short:], order[:short]])


def steps_in(window_rows: int, batch_rows: int) -> int:
    """Return how many whole batches a window holds: one at least."""
    return max(1, window_rows // max(1, batch_rows))
