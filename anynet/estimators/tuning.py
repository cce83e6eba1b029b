"""``tune``: a fitted estimator for a table, with options found by random search."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from anynet.checks import check_choice
from anynet.data.tables.table import Table
from anynet.data.tables.target import TASKS, infer_task
from anynet.estimators.tabular import TabularClassifier, TabularRegressor
from anynet.tabular.tuned import Tuned


def tune(
    X: Any,
    y: Any,
    *,
    preset: Any = "realmlp",
    n_configs: int = 50,
    task: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    time_limit: float | None = None,
    random_state: int = 0,
    **parameters: Any,
) -> TabularClassifier | TabularRegressor:
    """Train a preset with options drawn at random, and return an ensemble of the best networks.

    It is ``TabularClassifier(Tuned(preset=preset, n_configs=n_configs)).fit(X, y)``, or
    ``TabularRegressor``; see ``anynet.tabular.Tuned``.

    Parameters
    ----------
    X, y
        See ``TabularClassifier.fit``.
    preset : str or Preset
        ``"realmlp"``, ``"tabm"``, ``"tabm-mini"``, or a preset of your own with a ``space``.
    n_configs : int
        Number of configurations: the preset itself, and others drawn at random.
    task : {"classification", "regression"}, optional
        By default found by the values of ``y``, as on the command line.
    folder : path-like, optional
        Folder of checkpoints. The same call continues from it; the result equals that of an
        uninterrupted one.
    time_limit : float, optional
        Maximum seconds of training, the time before an interruption included, shared equally by
        the groups of networks that are trained together.
    random_state : int
    **parameters
        Other parameters of the estimator, such as ``eval_metric`` and ``device``.

    Returns
    -------
    TabularClassifier or TabularRegressor
        Fitted.

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented.
    CheckpointError
        If the folder is of another call, or cannot be written.

    Examples
    --------
    >>> import anynet
    >>> from sklearn.datasets import load_iris
    >>> from anynet.tabular import RealMLP
    >>> x, y = load_iris(return_X_y=True)
    >>> small = RealMLP(epochs=4)
    >>> found = anynet.tune(x, y, preset=small, n_configs=2, task="classification", backend="numpy")
    >>> found.predict_proba(x).shape
    (150, 3)
    """
    if task is None:
        task = infer_task(Table.of({"y": np.asarray(y)}), "y")
    check_choice("task", task, TASKS)
    make = TabularClassifier if task == "classification" else TabularRegressor
    estimator = make(
        Tuned(preset=preset, n_configs=n_configs),
        time_limit=time_limit,
        random_state=random_state,
        **parameters,
    )
    fitted: TabularClassifier | TabularRegressor = estimator.fit(X, y, checkpoint=folder)
    return fitted
