"""L-BFGS: SciPy's minimiser on the host, the loss and its gradient on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from scipy.optimize import minimize
from sklearn.utils.optimize import _check_optimize_result

from anynet.data.batches import Batches
from anynet.estimators.step import Objective
from anynet.typing import Params

PRINTS_UNTIL = (1, 15)  # SciPy's L-BFGS takes no iprint from this version on


def minimise(
    objective: Objective,
    packed: Params,
    batches: Batches,
    n_samples: int,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    verbose: bool | int,
) -> tuple[Params, float, int]:
    """Minimise the loss of all samples at once.

    Parameters
    ----------
    objective : Objective
    packed : Params
        Where to start.
    batches : Batches
        All samples; each block that it yields must hold them all.
    n_samples : int
    max_iter, max_fun : int
        Bounds on iterations, and on evaluations of the loss.
    tol : float
        Converged when no component of the gradient is larger.
    verbose : bool or int

    Returns
    -------
    Params
        The best parameters.
    float
        Their loss.
    int
        The number of iterations.
    """
    backend = objective.backend
    xp = backend.xp
    order = np.arange(n_samples, dtype=np.int32)[None, :]
    ((_, data),) = batches.blocks(order)
    n_weights = packed[0]["weight"].shape[0]

    def to_device(theta: np.ndarray) -> Params:
        cast = theta.astype(backend.dtype)
        groups = {"weight": cast[:n_weights], "bias": cast[n_weights:]}
        return ({name: backend.to_device(vector) for name, vector in groups.items()},)

    def to_host(vectors: Params) -> np.ndarray:
        joined = xp.concat([vectors[0]["weight"], vectors[0]["bias"]])
        return backend.to_host(joined).astype(np.float64)

    def loss_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(to_device(theta), data, None)
        return float(backend.to_host(value)), to_host(gradient)

    result = minimize(
        loss_and_gradient,
        to_host(packed),
        method="L-BFGS-B",
        jac=True,
        options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol} | _printing(verbose),
    )
    n_iter = _check_optimize_result("lbfgs", result, max_iter)
    return to_device(result.x), float(result.fun), n_iter


def refuse_for_lbfgs(estimator: Any, *, validated: bool) -> None:
    """Refuse what needs epochs and is not scikit-learn's, whose own parameters it ignores.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    validated : bool
        Whether ``fit`` was given a validation set.

    Raises
    ------
    ValueError
        If such a thing was asked for.
    """
    asked = {
        "dropout": estimator.dropout,
        "callbacks": estimator.callbacks,
        "progress_bar": estimator.progress_bar,
        "scoring": estimator.scoring is not None,
        "X_val": validated,
        "a schedule as learning_rate": callable(estimator.learning_rate),
    }
    for name, wanted in asked.items():
        if wanted:
            message = f"{name} needs a stochastic solver such as 'adam', got solver='lbfgs'"
            raise ValueError(message)


def _printing(verbose: bool | int) -> dict[str, Any]:
    version = tuple(int(part) for part in scipy.__version__.split(".")[:2])
    return {} if version >= PRINTS_UNTIL else {"iprint": 1 if verbose else -1}
