"""The rule that gives a task on a model its readout."""

from ....spaces.errors import WrongInput
from ....spaces.shape import Family
from ...tasks import Task
from ..backbone import Backbone
from .cosine import Cosine
from .words import Words


def choose(family: Family, task: Task) -> type[Cosine | Words]:
    """Return the readout of a task on a model of this family; `WrongInput` where there is none."""
    if not task.labels:
        raise WrongInput(f"task {task.name}: a {task.kind} task has no labels to choose from; give one with a fixed set of labels")
    return Cosine if family == "encoder" else Words


def readout_of(backbone: Backbone, task: Task) -> Cosine | Words:
    """Return the readout of a task, ready to read this model; `WrongInput` where its labels cannot be told apart by it."""
    return choose(backbone.family, task)(backbone, task)
