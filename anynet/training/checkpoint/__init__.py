"""Checkpoints: the folder that holds them, and the state of a run in a file and back."""

from anynet.training.checkpoint.folder import CheckpointFolder, Checkpoints

__all__ = ["CheckpointFolder", "Checkpoints"]
