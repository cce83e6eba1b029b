"""A fit from its samples to the weights of an estimator."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from anynet import tree
from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.estimators.arrays import choose_backend
from anynet.estimators.descent import Descent, descend
from anynet.estimators.heldout import HeldOut
from anynet.estimators.lbfgs import minimise
from anynet.estimators.packing import Packing
from anynet.estimators.placement import place
from anynet.estimators.samples import Samples
from anynet.estimators.step import Objective
from anynet.estimators.weights import load_params
from anynet.typing import Params


@dataclass(frozen=True)
class Task:
    """A fit whose samples are checked and whose first weights are drawn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Says how to train, and receives all that is learnt.
    objective : Objective
    held : HeldOut
    rng : RandomState
        Has drawn the weights and the split, and is to draw the rest.
    home : Backend or None
    dtype : str
        Where, and as what, fitted attributes are kept; see ``Samples``.
    incremental : bool
        Whether this is ``partial_fit``.
    """

    estimator: Any
    objective: Objective
    held: HeldOut
    rng: np.random.RandomState
    home: Backend | None
    dtype: str
    incremental: bool = False

    @classmethod
    def of(cls, estimator: Any, samples: Samples, *, incremental: bool = False) -> Task:
        """Draw the weights, unless training goes on from those there are, and the split."""
        x = samples.rows.x
        rng = check_random_state(estimator.random_state)
        if estimator._begins_anew(incremental=incremental):
            widths = [x.shape[1], *estimator._hidden_sizes(), estimator._n_logits(samples.y)]
            estimator._initialize(widths, samples.dtype, rng)
        home, dtype = samples.home, samples.dtype
        backend = choose_backend(home, dtype, estimator.backend, estimator.device)
        packing = Packing(estimator._network())
        objective = Objective(packing, estimator._loss(), float(estimator.alpha), backend)
        if estimator.solver == "lbfgs":
            held = HeldOut(samples.rows, None, None)
        else:
            held = HeldOut.of(estimator, samples, rng)
        return cls(estimator, objective, held, rng, home, dtype, incremental)

    def within(self, table: Rows, places: np.ndarray) -> Task:
        """Return the same task on samples of a larger table, where they have these places."""
        return replace(self, held=self.held.within(table, places))

    def train(self) -> None:
        """Train this estimator alone."""
        objective, estimator = self.objective, self.estimator
        backend = objective.backend
        with backend.context():
            packed = self.first_weights()
            batches = place(self.held.train(objective), backend)
            if estimator.solver == "lbfgs":
                packed, estimator.loss_, estimator.n_iter_ = minimise(
                    objective,
                    packed,
                    batches,
                    self.held.n_samples,
                    max_iter=estimator.max_iter,
                    max_fun=estimator.max_fun,
                    tol=estimator.tol,
                    verbose=estimator.verbose,
                )
            else:
                packed = descend(self.descent(), batches, packed)
        self.finish(packed)

    def first_weights(self) -> Params:
        """Return the weights to start from, packed."""
        objective = self.objective
        params = load_params(self.estimator, objective.packing.network, objective.backend)
        return objective.packing.pack(params, objective.backend)

    def descent(self) -> Descent:
        """Set up the stochastic solver."""
        return Descent.of(self.estimator, self.objective, self.held, self.rng, self.incremental)

    def finish(self, packed: Params) -> None:
        """Set the fitted attributes.

        Raises
        ------
        ValueError
            If the weights are no longer finite.
        """
        backend = self.objective.backend
        with backend.context():
            finite = [backend.xp.all(backend.xp.isfinite(v)) for v in tree.leaves(packed)]
            self.estimator._store(packed, self.objective, self.home, self.dtype)
        if not all(bool(one) for one in finite):
            message = (
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
            raise ValueError(message)
        loss = getattr(self.estimator, "loss_", 0.0)  # none if the first epoch was interrupted
        if not math.isfinite(loss):
            warnings.warn(
                f"The training loss is {loss}: it teaches nothing, and the weights "
                f"are those of before. Try a smaller learning_rate_init, or scaled data.",
                ConvergenceWarning,
                stacklevel=2,
            )
