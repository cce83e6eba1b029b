"""From ``--augment`` and its strengths to the augmentations that training takes."""

from dataclasses import replace
from typing import Any

from anynet.cli.options import TrainOptions
from anynet.data.augment import AUGMENTATIONS
from anynet.errors import InvalidArgumentError

#: Each strength's option, ``--augment-rotation``, and the augmentation whose field it is.
STRENGTHS = {
    "rotation": "affine",
    "shear": "affine",
    "scale": "affine",
    "shift": "affine",
    "alpha": "elastic",
    "sigma": "elastic",
}


def resolve_augmentation(options: TrainOptions) -> TrainOptions:
    """Fill in the strengths that were not given, so that a run records them.

    Raises
    ------
    InvalidArgumentError
        A strength is given of an augmentation that is not asked for.
    """
    filled: dict[str, Any] = {}
    for field, kind in STRENGTHS.items():
        name = f"augment_{field}"
        given = getattr(options, name)
        if kind not in options.augment and given is not None:
            flag = name.replace("_", "-")
            message = f"--{flag} is of {kind}: add {kind} to --augment, or leave --{flag} out"
            raise InvalidArgumentError(message)
        if kind in options.augment and given is None:
            filled[name] = getattr(AUGMENTATIONS[kind], field)
    return replace(options, **filled)


def augmentations_of(options: TrainOptions) -> tuple[Any, ...]:
    """Make the augmentations, in the order in which they are named."""
    options = resolve_augmentation(options)
    return tuple(
        AUGMENTATIONS[kind](
            **{
                field: getattr(options, f"augment_{field}")
                for field, owner in STRENGTHS.items()
                if owner == kind
            }
        )
        for kind in options.augment
    )
