"""The report's algorithm in float64 NumPy: the baseline for time and the test reference.

This file does not use anynet. It implements exactly what the report describes: ``update`` is
one mini-batch step of its formulas; ``fit`` shuffles, runs every mini-batch and scores the
validation set each epoch.
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


def relu(z: np.ndarray) -> np.ndarray:
    """max(0, z)."""
    return np.maximum(0, z)


def relu_derivative(z: np.ndarray) -> np.ndarray:
    """1 where z > 0, else 0."""
    return np.where(z > 0, 1.0, 0.0)


def softmax(z: np.ndarray) -> np.ndarray:
    """Softmax, shifted by the row's maximum."""
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def forward(layers: Layers, x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return z₁ … z_L and a₀ … a_L."""
    zs, outputs = [], [x]
    for index, (weight, bias) in enumerate(layers):
        zs.append(outputs[-1] @ weight + bias)
        outputs.append(softmax(zs[-1]) if index == len(layers) - 1 else relu(zs[-1]))
    return zs, outputs


def loss(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Mean cross-entropy; y is one-hot."""
    return float(-np.mean(np.sum(y * np.log(probabilities + 1e-300), axis=1)))


def backward(
    layers: Layers, zs: list[np.ndarray], outputs: list[np.ndarray], y: np.ndarray
) -> Layers:
    """Return (∇W, ∇b) of each layer."""
    m = len(y)
    grads: Layers = []
    delta = outputs[-1] - y
    for index in range(len(layers) - 1, -1, -1):
        grads.insert(0, (outputs[index].T @ delta / m, np.sum(delta, axis=0) / m))
        if index > 0:
            delta = delta @ layers[index][0].T * relu_derivative(zs[index - 1])
    return grads


def update(
    layers: Layers, x: np.ndarray, y: np.ndarray, learning_rate: float
) -> tuple[Layers, float]:
    """Return new layers after one step of mini-batch gradient descent, and the batch's loss."""
    zs, outputs = forward(layers, x)
    grads = backward(layers, zs, outputs, y)
    stepped = [
        (weight - learning_rate * dw, bias - learning_rate * db)
        for (weight, bias), (dw, db) in zip(layers, grads, strict=True)
    ]
    return stepped, loss(outputs[-1], y)


def train_epoch(
    layers: Layers,
    x: np.ndarray,
    one_hot: np.ndarray,
    order: np.ndarray,
    learning_rate: float,
    batch_size: int,
) -> tuple[Layers, float]:
    """Copy the samples in a given order and run every mini-batch; return also the mean loss."""
    x_shuffled, y_shuffled = x[order], one_hot[order]
    total = 0.0
    for start in range(0, len(x), batch_size):
        x_batch = x_shuffled[start : start + batch_size]
        y_batch = y_shuffled[start : start + batch_size]
        layers, value = update(layers, x_batch, y_batch, learning_rate)
        total += value * len(x_batch)
    return layers, total / len(x)


def fit(
    layers: Layers,
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    learning_rate: float = 0.1,
    decay: float = 1.0,
    epochs: int = 15,
    batch_size: int = 64,
    seed: int = 0,
) -> tuple[Layers, list[float], list[float]]:
    """Train on float64 inputs in [0, 1] and integer classes, without early stopping.

    Returns the layers, and by epoch the mean training loss and the validation accuracy.
    """
    rng = np.random.default_rng(seed)
    x, y = train
    one_hot = np.eye(layers[-1][0].shape[1])[y]
    losses, accuracies = [], []
    for _ in range(epochs):
        order = rng.permutation(len(x))
        layers, mean = train_epoch(layers, x, one_hot, order, learning_rate, batch_size)
        losses.append(mean)
        accuracies.append(score(layers, *validation))
        learning_rate *= decay
    return layers, losses, accuracies


def predict(layers: Layers, x: np.ndarray) -> np.ndarray:
    """Return the class of the largest output."""
    return forward(layers, x)[1][-1].argmax(axis=1)


def score(layers: Layers, x: np.ndarray, y: np.ndarray) -> float:
    """Return the accuracy."""
    return float(np.mean(predict(layers, x) == y))
