"""From ``--augment`` and its strengths to the augmentations that training takes."""

from dataclasses import replace
from typing import Any

from anynet.augment import AUGMENTATIONS
from anynet.cli.options import TrainOptions
from anynet.errors import InvalidArgumentError

#: What the options of strengths, ``--augment-rotation``, are of: an augmentation and its field.
STRENGTHS = {
    "augment_rotation": ("affine", "rotation"),
    "augment_shear": ("affine", "shear"),
    "augment_scale": ("affine", "scale"),
    "augment_shift": ("affine", "shift"),
    "augment_halved": ("affine", "halved"),
    "augment_either": ("affine", "either"),
    "augment_alpha": ("elastic", "alpha"),
    "augment_sigma": ("elastic", "sigma"),
    "augment_flip": ("flip", "probability"),
    "augment_erase": ("erase", "area"),
    "augment_noise": ("noise", "strength"),
    "augment_mixup": ("mixup", "alpha"),
}


def resolve_augmentation(options: TrainOptions) -> TrainOptions:
    """Fill in the strengths that were not given, so that a run records them.

    Raises
    ------
    InvalidArgumentError
        A strength is given of an augmentation that is not asked for.
    """
    filled: dict[str, Any] = {}
    for name, (kind, field) in STRENGTHS.items():
        given = getattr(options, name)
        if kind not in options.augment and given not in (None, (), False):
            flag = "--" + name.replace("_", "-")
            message = f"{flag} is of {kind}: add {kind} to --augment, or leave {flag} out"
            raise InvalidArgumentError(message)
        if kind in options.augment and given is None:
            filled[name] = getattr(AUGMENTATIONS[kind](), field)
    return replace(options, **filled)


def augmentations_of(options: TrainOptions) -> tuple[Any, ...]:
    """Make the augmentations, in the order in which they are named."""
    options = resolve_augmentation(options)
    strengths: dict[str, dict[str, Any]] = {kind: {} for kind in options.augment}
    for name, (kind, field) in STRENGTHS.items():
        if kind in strengths:
            strengths[kind][field] = getattr(options, name)
    return tuple(AUGMENTATIONS[kind](**fields) for kind, fields in strengths.items())
