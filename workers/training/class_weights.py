"""What a training row's loss counts by its label, for labels that are seldom: a study's `class_weights`.

balanced: w_c = n / (C · n_c)        n rows, C labels, n_c rows of label c: scikit-learn's rule; a label without rows weighs nothing
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.space import Training
from ..tasks import Task


def class_weights(training: Training, task: Task) -> Tensor | None:
    """Return a weight for each label, (labels,), or None where all count alike.

    Labels that a mapping leaves out weigh 1. Raises `WrongInput` for an unknown label and for a task without labels that all rows share.
    """
    given = training.class_weights
    if given == "none":
        return None
    if task.kind != "classification":
        raise WrongInput(
            f"class_weights: {task.name} is a {task.kind.replace('_', '-')} task, whose rows have no one label each; take none"
        )
    if isinstance(given, Mapping):
        _check(given, task)
        return torch.tensor([float(given.get(label, 1.0)) for label in task.labels])
    counts = np.bincount(np.asarray(task.train.labels, dtype=np.int64), minlength=len(task.labels))
    return torch.tensor([len(task.train) / (len(counts) * count) if count else 0.0 for count in counts.tolist()])


def _check(given: Mapping[str, float], task: Task) -> None:
    for label in given:
        if label not in task.labels:
            has = ", ".join(task.labels[:12])
            raise WrongInput(f"class_weights.{label}: unknown label; {task.name} has {has}.{did_you_mean(label, task.labels)}")
