"""A tiny study: rows of digits, two points, two seeds."""

import pytest

import anynet
from anynet.study import Arrays, Row, Trial, Where

WHERE = Where("numpy")


@pytest.fixture(scope="session")
def arrays(digits: anynet.Dataset) -> Arrays:
    """Return a hundred rows of each part."""
    x, y = digits.train
    return Arrays(
        x[:300], y[:300], x[300:400], y[300:400], digits.test[0][:100], digits.test[1][:100]
    )


@pytest.fixture
def trials(digits: anynet.Dataset) -> list[Trial]:
    """Return trials of two widths with two seeds each."""
    return [
        Trial(
            {"layers": [width]},
            seed,
            {
                "network": anynet.mlp([64, width, 10], scale=digits.scale),
                "batch_size": 32,
                "epochs": 2,
                "learning_rate": 0.1,
            },
        )
        for width in (8, 16)
        for seed in (0, 1)
    ]


def row(seed: int = 0, accuracy: float | None = 0.5, **values: object) -> Row:
    """Make a result row whose learning curve ends at its accuracy."""
    curve = [] if accuracy is None else [accuracy / 2, accuracy]
    given = {
        "options": {"layers": [8]},
        "seed": seed,
        "validation_accuracy": accuracy,
        "test_accuracy": accuracy,
        "best_epoch": len(curve),
        "epochs_run": len(curve),
        "seconds": 1.0,
        "stopped": "all 2 epochs done" if curve else "diverged in epoch 1",
        "curve": curve,
    }
    return Row(**{**given, **values})


@pytest.fixture(name="row")
def row_fixture():
    """Return ``row(seed, accuracy, …)``."""
    return row
