"""Fits that must give the same curve on any number of processes.

``mpiexec -n 2 python tests/parallel_cases.py FILE`` writes their curves as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np

import anynet
from anynet import augment, nn, optim

ROWS, COLUMNS, CLASSES = 203, 16, 4  # not a multiple of the batch size, nor that of 3 or 4


def samples(n_rows=ROWS, seed=0):
    """Return images of 4 × 4 pixels whose brightest row is their class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n_rows)
    x = rng.normal(0, 0.4, (n_rows, CLASSES, 4))
    x[np.arange(n_rows), y] += 1
    return x.reshape(n_rows, COLUMNS), y


def values(n_rows=ROWS):
    x, y = samples(n_rows)
    return x, np.stack([np.sin(x.sum(axis=1)), y.astype(float)], axis=1)


def weights(n_rows=ROWS):
    weight = np.random.default_rng(1).uniform(0, 2, n_rows)
    weight[:90] = 0  # so that shares of some batches weigh nothing
    return weight


def mlp(*sizes, **options):
    return anynet.mlp([COLUMNS, *sizes, CLASSES], activation="tanh", **options)


def network(*layers):
    return nn.Network(COLUMNS, layers)


def balanced(y, p, sample_weight=None):
    del sample_weight
    return float(np.mean([np.mean(p[y == k].argmax(axis=1) == k) for k in np.unique(y)]))


PLAIN = {"epochs": 3, "batch_size": 50, "seed": 3}
CASES = {
    "short batch": lambda: (mlp(8), samples(), {}),
    "held out, clipped, momentum": lambda: (
        mlp(8),
        samples(),
        {"validation": 0.3, "clip_norm": 0.1, "optimizer": optim.SGD(momentum=0.9)},
    ),
    "weights, Adam, average": lambda: (
        mlp(8),
        (*samples(), weights()),
        {
            "optimizer": "adam",
            "learning_rate": 0.01,
            "average": 0.9,
            "batch_size": 6,
            "validation": 53,
        },
    ),
    "dropout": lambda: (mlp(9, dropout=0.3), samples(), {"learning_rate": optim.Cosine(0.1)}),
    "batch norm": lambda: (
        network(nn.Dense(8), nn.BatchNorm(), nn.Activation("relu"), nn.Dense(CLASSES)),
        samples(),
        {"validation": 50, "batch_size": 49},
    ),
    "batch norm of 2 rows in the short batch": lambda: (
        network(nn.Dense(8), nn.BatchNorm(), nn.LayerNorm(), nn.Dense(CLASSES)),
        samples(),
        {"batch_size": 67},
    ),
    "augmentation": lambda: (
        mlp(8),
        samples(),
        {
            "augment": (
                augment.Affine(rotation=20, shift=0.5),
                augment.Elastic(),
                augment.Flip(),
                augment.Erase(),
                augment.Noise(),
                augment.Mixup(),
            ),
            "image_shape": (4, 4),
        },
    ),
    "mixup, weights": lambda: (mlp(8), (*samples(), weights()), {"augment": "mixup"}),
    "adversarial, early stopping, plateau": lambda: (
        mlp(8),
        samples(),
        {
            "validation": samples(71, seed=5),
            "adversarial": 0.1,
            "learning_rate": optim.ReduceOnPlateau(0.5, patience=1),
            "patience": 2,
            "epochs": 8,
        },
    ),
    "scoring": lambda: (mlp(8), samples(), {"validation": 0.25, "scoring": balanced}),
    "regression": lambda: (
        anynet.mlp([COLUMNS, 8, 2], activation="tanh"),
        values(),
        {"validation": 0.25, "max_norm": 1.0, "learning_rate": 0.02},
    ),
    "members": lambda: (
        network(
            nn.EnsembleInput(3),
            nn.EnsembleDense(8, 3),
            nn.Activation("tanh"),
            nn.Dropout(0.2),
            nn.Dense(CLASSES),
            nn.EnsembleMean(3),
        ),
        samples(),
        {"batch_size": 20},
    ),
    "blocks of rows, no shuffle, standardized": lambda: (
        network(nn.Standardize(), nn.Dense(8), nn.Activation("tanh"), nn.Dense(CLASSES)),
        samples(),
        {"resident": False, "shuffle": False, "validation": 0.3},
    ),
    "short batch of fewer rows than processes": lambda: (
        network(nn.Dense(8), nn.BatchNorm(), nn.Dense(CLASSES)),
        samples(),
        {"batch_size": 101, "epochs": 2},
    ),
    "recorded calls": lambda: (mlp(8, dropout=0.1), samples(), {"batch_size": 4, "epochs": 2}),
}


RESUMED = "weights, Adam, average"


def curve(name, parallel=None, **more):
    """Train a case, and return its records and a sum of its weights."""
    net, data, options = CASES[name]()
    backend = anynet.get_backend("numpy", dtype="float64")
    options = {**PLAIN, **options, **more}
    model = anynet.fit(net, data, backend=backend, parallel=parallel, **options)
    return summary(model)


def summary(model):
    records = [[*record[:6], record.selection_score] for record in model.history.records]
    return {
        "records": records,
        "best": model.history.best_epoch,
        "stopped": model.history.stopped,
        "weights": [float(np.abs(leaf).sum()) for leaf in anynet.tree.leaves(model.params)],
    }


def begin(folder, parallel=None):
    """Train two of four epochs, with checkpoints."""
    net, data, options = CASES[RESUMED]()
    backend = anynet.get_backend("numpy", dtype="float64")
    options = {**PLAIN, **options, "epochs": 2}
    anynet.fit(net, data, backend=backend, parallel=parallel, checkpoint=folder, **options)


def go_on(folder, parallel=None):
    """Train the other two epochs."""
    _, data, _ = CASES[RESUMED]()
    return summary(anynet.resume(folder, data, epochs=4, parallel=parallel))


def population(parallel=None):
    """Train members of two shapes, one of which diverges; more shapes than processes."""
    configs = [{"learning_rate": rate, "seed": seed} for rate in (0.05, 0.2) for seed in (0, 1)]
    configs += [{"network": mlp(5), "optimizer": "adam"}, {"learning_rate": 1e30}]
    options = {"validation": 0.25, "epochs": 2, "batch_size": 50, "shared_order": True}
    backend = anynet.get_backend("numpy", dtype="float64")
    models = anynet.fit_population(
        anynet.mlp([COLUMNS, 8, CLASSES]),
        samples(),
        configs,
        backend=backend,
        parallel=parallel,
        **options,
    )
    return [summary(model) for model in models]


def search(parallel=None):
    """Search a grid of populations."""
    estimator = anynet.MLPClassifier((5,), max_iter=4, random_state=0, solver="adam")
    grid = {"learning_rate_init": [0.001, 0.01], "alpha": [0.0001, 0.1]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged
        found = anynet.PopulationSearchCV(estimator, grid, cv=3, parallel=parallel)
        found.fit(*samples())
    return [*found.cv_results_["mean_test_score"].tolist(), int(found.best_index_)]


def same(group, result, name):
    """Return a result, which must be the same in all processes."""
    assert all(str(other) == str(result) for other in group.gather(result)), name
    return result


def main(out):
    from anynet.backends import find_group

    group = find_group("mpi")
    curves = {"resumed": go_on(Path(out).with_name("alone"), "mpi")}
    begin(Path(out).with_name("several"), "mpi")
    for name in CASES:
        curves[name] = same(group, curve(name, "mpi"), name)
    for member, each in enumerate(same(group, population("mpi"), "population")):
        curves[f"member {member}"] = each
    found = same(group, search("mpi"), "search")
    if group.is_first:
        Path(out).write_text(json.dumps({"size": group.size, "curves": curves, "search": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
