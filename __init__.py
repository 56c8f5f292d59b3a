"""ulpt-search: the best adapters for a frozen language model under a cap on trainable parameters."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dashboards.frontier import frontier
    from .dashboards.points import points
    from .search.brain.study import Study
    from .search.ledger.ledger import Ledger
    from .spaces.axes import Choice, Float, Int
    from .spaces.errors import Failure, WrongInput
    from .spaces.records import Assignment, Job, Outcome, Point, Problem, Result, Trial
    from .spaces.shape import Shape
    from .spaces.space import ModelSpec, Setup, Space, TaskSpec, Training
    from .workers.catalogue import catalogue, load_space
    from .workers.exports import export, load_export
    from .workers.method import Method
    from .workers.training.worker import run_job

__version__ = "0.1.0"

__all__ = [
    "Assignment",
    "Choice",
    "Failure",
    "Float",
    "Int",
    "Job",
    "Ledger",
    "Method",
    "ModelSpec",
    "Outcome",
    "Point",
    "Problem",
    "Result",
    "Setup",
    "Shape",
    "Space",
    "Study",
    "TaskSpec",
    "Training",
    "Trial",
    "WrongInput",
    "catalogue",
    "export",
    "frontier",
    "load_export",
    "load_space",
    "points",
    "run_job",
]

_HOMES = {
    "dashboards.frontier": ("frontier",),
    "dashboards.points": ("points",),
    "search.brain.study": ("Study",),
    "search.ledger.ledger": ("Ledger",),
    "spaces.axes": ("Choice", "Float", "Int"),
    "spaces.errors": ("Failure", "WrongInput"),
    "spaces.records": ("Assignment", "Job", "Outcome", "Point", "Problem", "Result", "Trial"),
    "spaces.shape": ("Shape",),
    "spaces.space": ("ModelSpec", "Setup", "Space", "TaskSpec", "Training"),
    "workers.catalogue": ("catalogue", "load_space"),
    "workers.exports": ("export", "load_export"),
    "workers.method": ("Method",),
    "workers.training.worker": ("run_job",),
}
"""Where each public name lives; it is imported when it is first asked for, so that `import ulpt_search` costs nothing."""


def __getattr__(name: str) -> object:
    """Import a public name from its home."""
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, "__version__"]
