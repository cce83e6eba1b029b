"""From ``--augment`` and ``--preprocess`` to what is done to samples."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from anynet.augment import AUGMENTATIONS, preprocess
from anynet.augment.preprocess import PREPROCESSINGS
from anynet.cli.options import TrainOptions
from anynet.data import Dataset, Source
from anynet.errors import InvalidArgumentError

CLASSES = {**AUGMENTATIONS, **PREPROCESSINGS}

#: Of what an option such as ``--augment-rotation`` is the strength: kind and field.
STRENGTHS = {
    "preprocess_width": ("width", "width"),
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


def resolve_strengths(options: TrainOptions) -> TrainOptions:
    """Fill in the strengths that were not given, so that a run records them.

    Raises
    ------
    InvalidArgumentError
        A strength is given of what is not asked for.
    """
    filled: dict[str, Any] = {}
    for name, (kind, field) in STRENGTHS.items():
        given, which = getattr(options, name), name.partition("_")[0]
        if kind not in getattr(options, which):
            if given not in (None, (), False):
                flag = "--" + name.replace("_", "-")
                message = f"{flag} is of {kind}: add {kind} to --{which}, or leave {flag} out"
                raise InvalidArgumentError(message)
        elif given is None:
            filled[name] = getattr(CLASSES[kind](), field)
    return replace(options, **filled)


def augmentations_of(options: TrainOptions, dataset: Dataset | None = None) -> tuple[Any, ...]:
    """Make the augmentations, in the order in which they are named.

    Raises
    ------
    InvalidArgumentError
        The options do not go together, or some are for images and the data set has none.
    """
    made = _made(options.augment, options)
    of_images = [one.kind for one in made if one.needs_images]
    if of_images and dataset is not None and dataset.image_shape is None:
        message = f"{dataset.name} has no images: leave {', '.join(of_images)} out of --augment"
        raise InvalidArgumentError(message)
    classes = len(dataset.classes) if dataset is not None else 0
    absent = [label for label in options.augment_halved if label >= classes]
    if dataset is not None and absent:
        message = (
            f"--augment-halved takes classes by their numbers, 0 to {classes - 1} in "
            f"{dataset.name}, got {absent[0]}"
        )
        raise InvalidArgumentError(message)
    return made


def preprocessing_of(options: TrainOptions) -> tuple[Any, ...]:
    """Make the steps of preprocessing, in the order in which they are named."""
    return _made(options.preprocess, options)


def _made(kinds: tuple[str, ...], options: TrainOptions) -> tuple[Any, ...]:
    options = resolve_strengths(options)
    strengths: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, (kind, field) in STRENGTHS.items():
        if kind in strengths:
            strengths[kind][field] = getattr(options, name)
    return tuple(CLASSES[kind](**fields) for kind, fields in strengths.items())


def preprocessed(dataset: Dataset, steps: Sequence[Any]) -> Dataset:
    """Return the data set with all its images preprocessed.

    Raises
    ------
    InvalidArgumentError
        Its samples are no images, or not such that this can be done to them.
    """
    if not steps:
        return dataset
    if dataset.image_shape is None:
        message = f"--preprocess {steps[0].kind} is for images, which {dataset.name} has none of"
        raise InvalidArgumentError(message)
    if isinstance(dataset.train[0], Source):
        message = f"--preprocess {steps[0].kind} is done in memory: do it before, or without stream"
        raise InvalidArgumentError(message)
    (x, y), (x_test, y_test) = dataset.train, dataset.test
    return replace(
        dataset,
        image_steps=tuple(steps),
        train=(preprocess(x, steps, dataset.image_shape), y),
        test=(preprocess(x_test, steps, dataset.image_shape), y_test),
    )
