"""Draw the misclassified test images of a model, in order of decreasing confidence.

python -m bench.draw_errors best-cpu-0.safetensors --out docs/accuracy-errors.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import anynet
from anynet.cli.models import preprocessing_in
from anynet.cli.recipe import preprocessed

COLUMNS = 10


def find_errors(
    model: anynet.Model, dataset: anynet.Dataset
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the misclassified test samples, their predicted classes and their confidence.

    The error with the highest confidence comes first.
    """
    ready = preprocessed(dataset, preprocessing_in(model))
    probabilities = np.asarray(model.predict_proba(ready.test[0]))
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != dataset.test[1])
    order = np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")
    wrong = wrong[order]
    return wrong, predicted[wrong], probabilities[wrong, predicted[wrong]]


def draw_errors(path: Path, model: anynet.Model, dataset: anynet.Dataset, most: int) -> int:
    """Draw the original images, each below its true and its predicted class.

    Return the total number of errors.
    """
    from matplotlib.figure import Figure

    wrong, predicted, sure = find_errors(model, dataset)
    shown = min(most, len(wrong))
    rows = max(1, -(-shown // COLUMNS))
    figure = Figure(figsize=(COLUMNS * 0.95, rows * 1.25 + 0.4), layout="constrained")
    every: Any = figure.subplots(rows, COLUMNS, squeeze=False)
    for place, axes in enumerate(every.flat):
        axes.axis("off")
        if place >= shown:
            continue
        sample = wrong[place]
        axes.imshow(dataset.test[0][sample].reshape(dataset.image_shape), cmap="gray_r")
        true = dataset.classes[dataset.test[1][sample]]
        guess = dataset.classes[predicted[place]]
        axes.set_title(f"{true} → {guess}\n{sure[place]:.0%}", fontsize=9)
    figure.suptitle(f"{shown} of {len(wrong)} errors in {len(dataset.test[1]):,}", fontsize=10)
    figure.savefig(path, dpi=110)
    return len(wrong)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the misclassified images of a model file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a .safetensors file or a run folder")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-dir", help="folder of the data files")
    parser.add_argument("--most", type=int, default=30, help="maximum number of images")
    parser.add_argument("--out", type=Path, default=Path("errors.png"))
    options = parser.parse_args(arguments)
    dataset = anynet.load_dataset(options.dataset, options.data_dir)
    count = draw_errors(options.out, anynet.load(options.model), dataset, options.most)
    print(f"{count} errors; {options.out} shows {min(count, options.most)} of them")


if __name__ == "__main__":
    main()
