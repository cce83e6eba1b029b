"""torch: ``vmap`` of ``grad`` over the members, as in torch's tutorial on ensembles."""

from __future__ import annotations

import numpy as np
import torch
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.functional import cross_entropy

from bench.contenders.base import Contender
from bench.contenders.torch_loop import sequential
from bench.jobs import Job


class Vmap(Contender):
    """All members as one tensor per parameter."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(job, device)
        data = job.data()
        self.x = torch.from_numpy(data.scaled()).to(device)
        self.y = torch.from_numpy(data.y.astype(np.int64)).to(device)
        members = [sequential(layers) for layers in job.members_initial()]
        self.initial, _ = torch.func.stack_module_state(members)
        network = members[0].to("meta")

        def loss(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return cross_entropy(functional_call(network, params, (x,)), y)

        self.gradients = vmap(grad_and_value(loss))

    def train(self) -> float:
        params = {name: value.detach().clone() for name, value in self.initial.items()}
        mean = float("nan")
        with torch.no_grad():
            for epoch in range(1, self.job.epochs + 1):
                total = torch.zeros(self.job.members, device=self.device)
                for part in self.job.member_orders(epoch):
                    for rows in torch.from_numpy(part).to(self.device):
                        grads, losses = self.gradients(params, self.x[rows], self.y[rows])
                        for name, value in params.items():
                            value.sub_(grads[name], alpha=self.job.learning_rate)
                        total += losses * rows.shape[1]
                mean = total.mean().item() / self.job.samples
        return mean

    def predict(self) -> np.ndarray:
        raise NotImplementedError
