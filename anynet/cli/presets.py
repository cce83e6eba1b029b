"""Tables that are trained by a preset: its options, its run, and when it is chosen."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from anynet.backends import find_group
from anynet.cli import recipe
from anynet.cli.job import Job, share_of_test, table_defaults
from anynet.cli.models import histories_of
from anynet.cli.options import AUTO, OF_PRESETS, SIMPLE, WITH_PRESETS, TrainOptions, flag_of
from anynet.cli.progress import PresetBar
from anynet.cli.reports import CLASS_WEIGHT
from anynet.config import to_config
from anynet.errors import InvalidArgumentError
from anynet.tabular import Preset, Problem, get_preset, train_preset
from anynet.training import Ensemble
from anynet.training.checkpoint.folder import CheckpointFolder
from anynet.training.evaluate import scoring_of
from anynet.training.history import Callback

#: Share of the rows that each network of a preset is validated on.
VALIDATION_SHARE = 0.2


def preset_for(values: dict[str, Any]) -> dict[str, Any]:
    """Return the default preset of the chosen options; nothing if they are of a single network.

    A table is trained by a preset unless an option describes a single network. The preset is
    ``auto``, or ``fast`` if the number of networks is chosen.

    Raises
    ------
    InvalidArgumentError
        If options of a preset and of a single network are chosen.
    """
    single = [name for name in values if name not in (*WITH_PRESETS, *OF_PRESETS)]
    wanted = [name for name in OF_PRESETS if values.get(name) is not None]
    if wanted and single:
        message = (
            f"{flag_of(single[0])} cannot be combined with {flag_of(wanted[0])}: it describes a "
            f"single network, and a preset chooses several networks itself; leave one of them out"
        )
        raise InvalidArgumentError(message)
    if "members" in wanted:  # the default preset chooses their number itself
        return {"preset": SIMPLE}
    return {"preset": AUTO} if table_defaults(values) and not single else {}


def load_job(options: TrainOptions, *, silent: bool) -> Job:
    """Return the run of the options: of a preset or of a single network; see ``Job.load``."""
    return (PresetJob if options.preset else Job).load(options, silent=silent)


class PresetJob(Job):
    """A training run of the networks of a preset on a table."""

    @cached_property
    def options(self) -> TrainOptions:
        """The options that repeat the run."""
        if self.given.calibrate is not None:
            message = (
                "--calibrate is for single networks: add an option such as --layers; the mean of a "
                "preset's networks is calibrated in Python by rows that none of them was trained "
                "on: anynet.calibrate(anynet.load(RUN), (x, y))"
            )
            raise InvalidArgumentError(message)
        given = recipe.resolve_data(self.given, self.dataset, self.backend)
        validation = VALIDATION_SHARE if given.validation is None else given.validation
        if not recipe.rows_to_hold_out(validation, self.dataset):
            message = (
                "--validation 0: the networks of a preset are chosen by their validation rows; "
                "--test 0 trains on all rows"
            )
            raise InvalidArgumentError(message)
        return replace(given, validation=validation)

    @cached_property
    def preset(self) -> Preset:
        """The preset with its options.

        Raises
        ------
        InvalidArgumentError
            If it has no number of networks, and one is given.
        """
        preset: Any = get_preset(self.given.preset or AUTO)
        if self.given.members is None:
            return preset  # type: ignore[no-any-return]
        if "n_members" not in {field.name for field in fields(preset)}:
            message = (
                f"--members is not an option of the preset {preset.kind}, which chooses their "
                f"number: use --preset {SIMPLE}"
            )
            raise InvalidArgumentError(message)
        return replace(preset, n_members=self.given.members)  # type: ignore[no-any-return]

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The arguments of ``train_preset``."""
        preprocessing, train = self.dataset.preprocessing, self.dataset.train
        assert preprocessing is not None, "presets are for tables"
        options = self.options
        scoring_of(options.scoring, recipe.loss_of(options, self.dataset))  # checked before
        return {
            "preset": self.preset,
            "data": train,
            "problem": Problem.of(preprocessing, len(train[0]), options.seed),
            "validation": self.share,
            "scoring": options.scoring,
            "class_weight": recipe.class_weight_of(options, self.dataset),
            "time_limit": options.time_limit,
        }

    @property
    def share(self) -> float:
        """The share of the rows that each network is validated on."""
        return self.held_out / len(self.dataset.train[0])

    @property
    def held_out(self) -> int:
        """The number of rows that each network is validated on."""
        assert self.options.validation is not None, "resolved"
        return recipe.rows_to_hold_out(self.options.validation, self.dataset)

    @property
    def title(self) -> str:
        """What is trained on what, for pictures."""
        return f"{self.dataset.name}, preset {self.preset.kind}"

    def plan(self) -> list[str]:
        """Return lines on the rows and the preset."""
        dataset, limit = self.dataset, self.options.time_limit
        folds = "another part" if self.preset.folds else "the same part"
        within = f", within {limit:g} s" if limit else ""
        rows = (
            f"{dataset.name}: {len(dataset.train[0]):,} rows to train on, of which each network "
            f"is validated on {folds} of {self.held_out:,}; {len(dataset.test[0]):,} to test"
            f"{share_of_test(self.options)}"
        )
        instead = "an option such as --layers trains a single network instead"
        return [rows, f"preset {self.preset.kind}{within}; {instead}"]

    def train(
        self,
        *,
        silent: bool,
        checkpoints: CheckpointFolder | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Any:
        """Train all networks, from the newest checkpoint if there is one.

        Raises
        ------
        InvalidArgumentError
            In a group of processes.
        """
        if find_group(self.given.parallel, self.backend).engine:
            message = (
                "--parallel divides the batches of a single network, and a preset trains several: "
                "add an option of a single network such as --layers"
            )
            raise InvalidArgumentError(message)
        weights = {CLASS_WEIGHT: self.given.class_weight} if self.given.class_weight else {}
        with closing(PresetBar(self.options.time_limit, silent)) as bar, self.memory_errors():
            return train_preset(
                **self.arguments,
                metadata=self.dataset.metadata | weights,
                progress=bar.update if bar.live else None,
                checkpoint=checkpoints,
                callbacks=callbacks,
                backend=self.backend,
            )

    def trained(self, model: Ensemble) -> dict[str, Any]:
        """Return the results of training: mean scores of the networks, and their epochs."""
        (x, y), histories = self.dataset.train, histories_of(model)
        best = [history.best for history in histories if history.records]
        figures: dict[str, Any] = {
            "loss": [record.validation_loss for record in best],
            self.metric: [record.validation_score for record in best],
        }
        return {
            **{f"validation_{name}": float(np.mean(values)) for name, values in figures.items()},
            f"train_{self.metric}": self._score(y, np.asarray(model.predict(x))),
            "preset": {n: each for n, each in to_config(self.preset).items() if each is not None},
            "members": len(model.models),
            "epochs": max(len(history.records) for history in histories),
            "best_epoch": [history.best_epoch for history in histories],
            "stopped": "; ".join(dict.fromkeys(history.stopped for history in histories)),
        }
