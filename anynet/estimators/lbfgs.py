"""L-BFGS: SciPy's minimiser on the host, the loss and its gradient on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from scipy.optimize import minimize
from sklearn.utils.optimize import _check_optimize_result

from anynet.data.batches import Batches
from anynet.training.state import Weights
from anynet.typing import Params

if TYPE_CHECKING:
    from anynet.estimators.optimizers import SolverStep

PRINTS_UNTIL = (1, 15)  # the first version of SciPy whose L-BFGS has no iprint


def minimise(
    step: SolverStep,
    params: Params,
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
    step : SolverStep
        Its loss and penalty are minimised.
    params : Params
        The initial parameters.
    batches : Batches
        All samples; each block that it yields must hold them all.
    n_samples : int
    max_iter, max_fun : int
        Maximum numbers of iterations, and of evaluations of the loss.
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
    backend = step.backend
    ((_, data),) = batches.blocks(np.arange(n_samples, dtype=np.int32)[None, :])
    n_weights = params[0]["weight"].shape[0]

    def to_device(theta: np.ndarray) -> Params:
        cast = theta.astype(backend.dtype)
        groups = {"weight": cast[:n_weights], "bias": cast[n_weights:]}
        return ({name: backend.to_device(vector) for name, vector in groups.items()},)

    def to_host(vectors: Params) -> np.ndarray:
        joined = backend.xp.concat([vectors[0]["weight"], vectors[0]["bias"]])
        return backend.to_host(joined).astype(np.float64)

    def loss_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights = Weights(to_device(theta))
        value, _, gradient, _ = step.gradients(step.loss, weights, *data, None)
        return float(backend.to_host(value)), to_host(gradient)

    result = minimize(
        loss_and_gradient,
        to_host(params),
        method="L-BFGS-B",
        jac=True,
        options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol} | _printing(verbose),
    )
    n_iter = _check_optimize_result("lbfgs", result, max_iter)
    return to_device(result.x), float(result.fun), n_iter


def refuse_for_lbfgs(estimator: Any, *, validated: bool) -> None:
    """Refuse parameters of anynet that need epochs; those of scikit-learn are ignored.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    validated : bool
        Whether ``fit`` was given a validation set.

    Raises
    ------
    ValueError
        If such a parameter is set.
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
