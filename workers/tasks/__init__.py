"""What is trained on: one file per kind of task. `load_task` is the door."""

from collections.abc import Callable, Mapping

from ...spaces import plugins
from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.metrics import Kind
from ...spaces.space import TaskSpec
from .build import Known
from .conversation import Conversation, Turn
from .generation import asked_by
from .local import load_local
from .published import Definition, definition, definitions
from .pydocs import load_pydocs
from .task import METRICS, Rows, Target, Task

__all__ = ["BUILT_IN", "METRICS", "Conversation", "Kind", "Rows", "Target", "Task", "Turn", "asked_by", "load_task"]

BUILT_IN: Mapping[str, Callable[[TaskSpec], Task]] = {"pydocs": load_pydocs}
"""Name -> loader of the tasks that need no data from outside."""


def load_task(spec: TaskSpec) -> Task:
    """Return the task that `spec` describes, with train, validation and test that share no text.

    Raises `WrongInput`, one line with file and line number, for data that cannot be used, and `Failure` where data that
    should be there cannot be reached.
    """
    found = _definition(spec)
    spec = found.filled(spec) if found else spec
    known = found.known if found else Known()
    if spec.path and spec.hub:
        raise WrongInput(f"task: both path ({spec.path}) and hub ({spec.hub}); keep the one that holds the data")
    if spec.path:
        return load_local(spec, known, found.named(spec) if found else None)
    if spec.hub:
        from .hub import load_hub  # the datasets library takes over a second to import

        return load_hub(spec, known)
    if spec.name not in BUILT_IN and (brought := plugins.load(plugins.TASKS, spec.name)) is not None:
        return _brought(spec, brought)
    if spec.name not in BUILT_IN:
        names = (*BUILT_IN, *definitions())
        hint = did_you_mean(spec.name, names)
        raise WrongInput(f"task {spec.name}: no task of this name ({', '.join(names)}); give data as task.path or task.hub.{hint}")
    return BUILT_IN[spec.name](spec)


def _definition(spec: TaskSpec) -> Definition | None:
    """The papers' task that is asked for by `definition`, or by a bare name that nobody else has."""
    if spec.definition is not None:
        return definition(spec.definition)
    bare = not spec.path and not spec.hub and spec.name not in BUILT_IN and spec.name not in plugins.names(plugins.TASKS)
    return definitions().get(spec.name) if bare else None


def _brought(spec: TaskSpec, part: object) -> Task:
    """A task of another distribution: its entry point is a function of the spec."""
    task = part(spec) if callable(part) else part
    if not isinstance(task, Task):
        whose = plugins.sources(plugins.TASKS)[spec.name]
        raise WrongInput(f"task {spec.name}: {whose} brings {type(task).__name__}, wanted a function of a TaskSpec that returns a Task")
    return task
