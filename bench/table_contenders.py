"""Contenders that fit a table: estimators of anynet, scikit-learn, skorch; a torch loop."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from bench.tables import ALPHA, HIDDEN, LEARNING_RATE, SEED, TableJob


class TableContender(ABC):
    """Made once for a job; each run fits or predicts and ends with the result on the host."""

    def __init__(self, job: TableJob, device: str) -> None:
        warnings.simplefilter("ignore")  # too few epochs for convergence, by design
        self.job = job
        self.device = device
        self.data = job.data()
        if job.kind == "predict":
            self.fit()

    def run(self) -> float:
        """Return the last training loss, or a summary of the predictions."""
        outcome = float("nan")
        for _ in range(self.job.repeats):
            if self.job.kind == "fit":
                outcome = self.fit()
            else:
                outcome = float(np.mean(self.predict(self.data.X)))
        return outcome

    def notes(self) -> dict[str, Any]:
        """Return accuracy or R² on the test part."""
        from sklearn.metrics import accuracy_score, r2_score

        metric = accuracy_score if self.job.classifies else r2_score
        score = metric(self.data.y_test, self.predict(self.data.X_test))
        return {"metric": "accuracy" if self.job.classifies else "r2", "score": round(score, 4)}

    @abstractmethod
    def fit(self) -> float:
        """Train from new weights; return the loss of the last epoch."""

    @abstractmethod
    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return classes or values."""


class ScikitLearn(TableContender):
    """``sklearn.neural_network``."""

    options: dict[str, Any] = {}  # noqa: RUF012  (constant)

    def library(self) -> Any:
        """Return the module that contains both estimators."""
        import sklearn.neural_network

        return sklearn.neural_network

    def fit(self) -> float:
        job = self.job
        name = "MLPClassifier" if job.classifies else "MLPRegressor"
        self.estimator = getattr(self.library(), name)(
            hidden_layer_sizes=HIDDEN,
            batch_size=min(job.batch_size, len(self.data.X)),
            max_iter=job.epochs,
            n_iter_no_change=job.epochs,
            random_state=SEED,
            **self.options,
        )
        self.estimator.fit(self.data.X, self.data.y)
        loss: float = self.estimator.loss_
        return loss

    def predict(self, X: np.ndarray) -> np.ndarray:
        predicted: np.ndarray = self.estimator.predict(X)
        return predicted


class Anynet(ScikitLearn):
    """``anynet`` with the same code, on NumPy, or on CUDA if requested."""

    backend: str | None = None

    def __init__(self, job: TableJob, device: str) -> None:
        self.options = {"backend": self.backend, "device": None if device == "cpu" else device}
        super().__init__(job, device)

    def library(self) -> Any:
        import anynet

        return anynet


class AnynetOnJax(Anynet):
    """``anynet`` with ``backend="jax"``: compiled; in float32 whatever the table's dtype."""

    backend = "jax"


class Torch(TableContender):
    """Autograd, ``nn.Sequential`` and ``optim.Adam`` in a plain loop, data on the device."""

    def __init__(self, job: TableJob, device: str) -> None:
        import torch

        self.torch = torch
        super().__init__(job, device)

    def network(self) -> Any:
        """Return the network in the job's dtype."""
        nn, data = self.torch.nn, self.data
        outputs = int(data.y.max()) + 1 if self.job.classifies else 1
        layers = nn.Linear(data.X.shape[1], HIDDEN[0]), nn.ReLU(), nn.Linear(HIDDEN[0], outputs)
        return nn.Sequential(*layers).to(self.device, getattr(self.torch, self.job.dtype))

    def target(self) -> Any:
        """Return classes as int64, or values as a column of the job's dtype."""
        y = self.data.y
        return y.astype(np.int64) if self.job.classifies else y.astype(self.job.dtype)[:, None]

    def fit(self) -> float:
        torch, job = self.torch, self.job
        torch.manual_seed(SEED)
        X = torch.from_numpy(self.data.X).to(self.device)
        y = torch.from_numpy(self.target()).to(self.device)
        self.model = self.network()
        decay = ALPHA / job.batch_size
        optimizer = torch.optim.Adam(self.model.parameters(), LEARNING_RATE, weight_decay=decay)
        criterion = torch.nn.CrossEntropyLoss() if job.classifies else torch.nn.MSELoss()
        total = X.new_zeros(())
        for _ in range(job.epochs):
            total = X.new_zeros(())
            for rows in torch.randperm(len(X), device=self.device).split(job.batch_size):
                optimizer.zero_grad()
                loss = criterion(self.model(X[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(rows)
        return float(total) / len(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        with self.torch.inference_mode():
            outputs = self.model(self.torch.from_numpy(X).to(self.device))
            predicted: np.ndarray = (
                outputs.argmax(dim=1) if self.job.classifies else outputs[:, 0]
            ).cpu().numpy()  # fmt: skip
        return predicted


class Skorch(Torch):
    """The same network behind scikit-learn's interface."""

    def fit(self) -> float:
        from skorch import NeuralNetClassifier, NeuralNetRegressor

        torch, job = self.torch, self.job
        torch.manual_seed(SEED)
        kind = NeuralNetClassifier if job.classifies else NeuralNetRegressor
        self.net = kind(
            self.network(),
            criterion=torch.nn.CrossEntropyLoss if job.classifies else torch.nn.MSELoss,
            optimizer=torch.optim.Adam,
            optimizer__weight_decay=ALPHA / job.batch_size,
            lr=LEARNING_RATE,
            max_epochs=job.epochs,
            batch_size=job.batch_size,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
            device=self.device,
        )
        self.net.fit(self.data.X, self.target())
        return float(self.net.history[-1, "train_loss"])

    def predict(self, X: np.ndarray) -> np.ndarray:
        predicted: np.ndarray = self.net.predict(X).reshape(-1)
        return predicted
