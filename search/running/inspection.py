"""What a study is about, measured before anything is written: the frozen model and the task."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...spaces.axes import Hyperparameters
from ...spaces.shape import Shape
from ...spaces.space import Space

if TYPE_CHECKING:
    from ...workers.model.backbone import Backbone
    from ...workers.tasks import Task
    from .speed import Speed

Count = Callable[[str, Hyperparameters], int]


@dataclass(frozen=True)
class Inspection:
    """A model's shape, and by what model and task are recognised when the study is continued."""

    shape: Shape
    fingerprint: str
    task_digest: str
    metric: str
    """What the task is measured by."""
    speed: "Speed | None" = None
    """How this machine trains the model fastest, where it was measured."""

    def count(self, method: str, hyperparameters: Hyperparameters) -> int:
        """Return a configuration's trainable elements; `WrongInput` where it does not fit the model."""
        from ...workers.catalogue import count

        return count(method, hyperparameters, self.shape)


def inspect_inputs(space: Space, *, measure: "Callable[[Inspection, Backbone, Task], Speed | None] | None" = None) -> Inspection:
    """Load the model and the task of a space once, `measure` both, and let them go again. Raises `WrongInput` where one cannot be used."""
    from ...workers.model.backbone import load
    from ...workers.model.verbalizer import Verbalizer
    from ...workers.tasks import load_task

    task = load_task(space.task)
    backbone = load(space.model)
    Verbalizer(backbone, task)  # whether the labels can be told apart by this model is known before a search, too
    inspection = Inspection(backbone.shape, backbone.fingerprint, task.digest, task.metric)
    return replace(inspection, speed=measure(inspection, backbone, task)) if measure else inspection
