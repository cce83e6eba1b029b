"""Many networks one by one and together: anynet, ``jax.vmap`` and ``torch.func.vmap``.

The report's network with a different seed for each member: initial weights, order of batches. All
contenders do the same job, each in a worker process, in rounds that interleave them. The mean loss
of their members is compared (with a shared order it differs, because the batches differ).
Writes JSON lines, a Markdown table and a PNG.

    python -m bench.population --data-dir DIR
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import anynet
from anynet.data.batches import epoch_order, split_orders
from bench.comparison import COLUMNS, make_chart, make_rows
from bench.jobs import SMALL, Job, Layers
from bench.machine import describe_machine
from bench.peers import set_environment
from bench.results import draw, to_markdown, write_lines
from bench.rounds import Worker, measure

MODULES = "bench.contenders"
CONTENDERS = {
    "anynet one by one": f"{MODULES}.anynet_population:OneByOne",
    "anynet population": f"{MODULES}.anynet_population:AtOnce",
    "anynet population, shared order": f"{MODULES}.anynet_population:SharedOrder",
    "anynet one by one on JAX": f"{MODULES}.anynet_population:OneByOneOnJax",
    "anynet population on JAX": f"{MODULES}.anynet_population:AtOnceOnJax",
    "jax.vmap": f"{MODULES}.jax_population:Vmap",
    "torch.func.vmap": f"{MODULES}.torch_population:Vmap",
}
AIM = 0.75  # fraction of the time one by one, on two cores
HEADINGS = ("contender", "us_per_member_and_step", *COLUMNS[2:6], "train_loss", "agrees")


@dataclass(frozen=True)
class PopulationJob(Job):
    """A job of members with different seeds."""

    members: int = 32

    def members_initial(self) -> list[Layers]:
        """Return (weight, bias) of each dense layer, for each member."""
        network = anynet.mlp(self.layers)
        return [
            [
                (layer["weight"].astype(np.float32), layer["bias"].astype(np.float32))
                for layer in network.init_host(seed)
                if layer
            ]
            for seed in range(self.members)
        ]

    def stacked_initial(self) -> Layers:
        """Return the same with the members as the first axis."""
        layers = zip(*self.members_initial(), strict=True)
        return [
            (np.stack([w for w, _ in members]), np.stack([b for _, b in members]))
            for members in layers
        ]

    def member_orders(self, epoch: int) -> list[np.ndarray]:
        """Return the orders of one epoch as arrays (steps, K, B)."""
        orders = [epoch_order(self.samples, seed, epoch) for seed in range(self.members)]
        return split_orders(orders, self.batch_size, short_first=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results; return 1 if a contender failed or skipped work."""
    options = parse(arguments)
    set_environment(options.threads)
    job = PopulationJob(
        "population",
        SMALL,
        64,
        samples=options.samples,
        epochs=options.epochs,
        data_dir=options.data_dir,
        members=options.members,
    )
    workers = [Worker(name, CONTENDERS[name], options.device) for name in options.contenders]
    try:
        found = measure(workers, job, options.rounds)
    finally:
        for worker in workers:
            worker.close()
    rows, machine = make_rows(job, found), describe_machine()
    for row in rows:
        row["us_per_member_and_step"] = round(row.pop("us_per_step") / job.members, 2)
        row["us_per_step"] = row["us_per_member_and_step"]  # the labels of the picture
    title = (
        f"{job.members} networks {list(job.layers)}, batch {job.batch_size}, {job.samples:,} rows "
        f"of {job.data().source} data — {machine['processor']}, {machine['cores']} cores"
    )
    about = dataclasses.asdict(job) | {"job": "population", "title": title, "aim": AIM}
    del about["data_dir"], about["name"]
    table = f"{title}\n\n{to_markdown(rows, HEADINGS)}"
    failed = [one for one in found if one.failure]
    for one in failed:
        table += f"\n{one.name} failed: {one.failure.strip().splitlines()[-1]}\n"
        print(f"{one.name} failed:\n{one.failure}", file=sys.stderr)
    write_lines(options.out / "population.jsonl", [about | machine | row for row in rows])
    (options.out / "population.md").write_text(table)
    print(table)
    if rows:
        draw(options.out / "population.png", [make_chart(rows, title)])
    return 1 if failed or any(row["agrees"] is False for row in rows) else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--samples", type=int, default=12_800)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, help="number of cores of each worker")
    parser.add_argument("--data-dir", help="folder of MNIST's files; default: random data")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
