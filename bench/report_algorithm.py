"""The report's algorithm, in float64 NumPy and in its own words: the yardstick and the oracle.

Nothing here uses anynet. ``update`` is one mini-batch step of the report's formulas; ``train``
is its whole ``fit`` without early stopping.
"""

from __future__ import annotations

import itertools

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]


def initialise(layer_sizes: list[int], rng: np.random.Generator) -> Layers:
    """Kaiming initialisation: W ~ N(0, √(2/n)), b = 0."""
    return [
        (rng.standard_normal((n, m)) * np.sqrt(2 / n), np.zeros(m))
        for n, m in itertools.pairwise(layer_sizes)
    ]


def forward(layers: Layers, x: np.ndarray) -> list[np.ndarray]:
    """Return a₀ … a_L: ReLU in the hidden layers, softmax in the last."""
    outputs = [x]
    for index, (weight, bias) in enumerate(layers):
        z = outputs[-1] @ weight + bias
        if index < len(layers) - 1:
            outputs.append(np.maximum(0, z))
        else:
            e = np.exp(z - z.max(axis=1, keepdims=True))
            outputs.append(e / e.sum(axis=1, keepdims=True))
    return outputs


def loss(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Mean cross-entropy; y is one-hot."""
    return float(-np.mean(np.sum(y * np.log(probabilities + 1e-300), axis=1)))


def backward(layers: Layers, outputs: list[np.ndarray], y: np.ndarray) -> Layers:
    """Return (∇W, ∇b) of each layer."""
    m = len(y)
    grads: Layers = []
    delta = outputs[-1] - y
    for index in range(len(layers) - 1, -1, -1):
        grads.insert(0, (outputs[index].T @ delta / m, delta.sum(axis=0) / m))
        if index > 0:
            delta = (delta @ layers[index][0].T) * (outputs[index] > 0)
    return grads


def update(
    layers: Layers, x: np.ndarray, y: np.ndarray, learning_rate: float
) -> tuple[Layers, float]:
    """One step of mini-batch gradient descent; returns new layers and the batch's loss."""
    outputs = forward(layers, x)
    grads = backward(layers, outputs, y)
    stepped = [
        (weight - learning_rate * dw, bias - learning_rate * db)
        for (weight, bias), (dw, db) in zip(layers, grads, strict=True)
    ]
    return stepped, loss(outputs[-1], y)


def train(
    layers: Layers,
    x: np.ndarray,
    y: np.ndarray,
    *,
    learning_rate: float = 0.1,
    decay: float = 1.0,
    epochs: int = 15,
    batch_size: int = 64,
    seed: int = 0,
) -> tuple[Layers, list[float]]:
    """Train on inputs in [0, 1] and integer classes; returns layers and mean loss by epoch."""
    rng = np.random.default_rng(seed)
    x = np.asarray(x, dtype=np.float64)
    one_hot = np.eye(layers[-1][0].shape[1])[y]
    losses = []
    for _ in range(epochs):
        order = rng.permutation(len(x))
        total = 0.0
        for start in range(0, len(x), batch_size):
            rows = order[start : start + batch_size]
            layers, value = update(layers, x[rows], one_hot[rows], learning_rate)
            total += value * len(rows)
        losses.append(total / len(x))
        learning_rate *= decay
    return layers, losses


def predict(layers: Layers, x: np.ndarray) -> np.ndarray:
    """Return the class of the largest output."""
    return forward(layers, x)[-1].argmax(axis=1)
