"""One study's curve as a plain value. It knows nothing of tables, pictures and pages: those are written from it."""

from dataclasses import dataclass, field
from functools import cached_property

from ..spaces.metrics import ANYTHING
from ..spaces.records import Point
from ..spaces.references import Reference
from ..spaces.space import Size
from .frontier import frontier
from .palette import Style, styles
from .points import Ends, Tables
from .words import count


@dataclass(frozen=True)
class Curve:
    """Every point of a study at one step, with what a reader must know about them."""

    study: str
    budget: int
    """Cap on trainable parameters."""
    points: tuple[Point, ...]
    metric: str = "score"
    task: str = ""
    model: str = ""
    methods: tuple[str, ...] = ()
    """Every method of the space, so that a legend does not change while results come in; default: those with points."""
    home: str = ""
    """The folder that commands name with `--home`; empty for the default one."""
    faint: tuple[Point, ...] = ()
    """Search trials that are not compared: those of earlier steps and, after the finals, those that were not retrained."""
    trials: int = 0
    """Search trials asked for, scored or not; default: those with a point."""
    failed: int = 0
    """Trials that failed, scored before or not."""
    size: Size = "parameters"
    """What the frontier trades against the score."""
    tables: Tables = field(default_factory=dict, compare=False, repr=False)
    """What each row added to the finals' scores, where it was kept."""
    incomplete: int = 0
    """Configurations of the finals that are not ranked, since some of their seeds are missing or failed."""
    references: tuple[Reference, ...] = ()
    """What was measured beside the trials; no choice follows from it."""
    ends: Ends = ANYTHING
    """What no score can be below, and above."""
    remarks: tuple[str, ...] = ()
    """What was done to the task's data, each a sentence."""
    compared: int = 0
    """How many points there are at this step, where `points` leaves out what the frontier is not made of; default: all are in it."""
    scored: int = 0
    """Search trials that were scored at any step, where not all have a point; default: those that have one."""

    @cached_property
    def front(self) -> tuple[Point, ...]:
        """The frontier, cheapest first."""
        return tuple(frontier(self.points, size=self.size))

    @cached_property
    def styles(self) -> dict[str, Style]:
        """Method -> how it is drawn."""
        return styles((*self.methods, *(point.method for point in self.drawn)))

    @property
    def drawn(self) -> tuple[Point, ...]:
        """Every point that has a place in a plot, faint ones first."""
        return (*self.faint, *self.points)

    @property
    def step(self) -> int:
        """The step at which all points are compared; 0 without points."""
        return max((point.steps for point in self.points), default=0)

    @property
    def has_finals(self) -> bool:
        """Whether the points are configurations that were retrained over fresh seeds."""
        return any(point.finals for point in self.points)

    @property
    def competed(self) -> int:
        """Search trials that were scored at any step: those that what is shown was chosen from."""
        return self.scored or len({point.trial for point in self.drawn})

    @property
    def caption(self) -> str:
        """`sst2 · minilm · 7 of 24 over fresh seeds at step 200, 2 failed`."""
        failures = f", {count(self.failed)} failed" if self.failed else ""
        compared = f"{self._compared()} at step {self.step}{failures}" if self.points else f"no results yet{failures}"
        return " · ".join(part for part in (self.task, self.model, compared) if part)

    def _compared(self) -> str:
        everyone, here = max(self.trials, self.competed), max(self.compared, len(self.points))
        if self.has_finals:
            return f"{count(len(self.points))} of {count(everyone)} over fresh seeds"
        share = "" if everyone == here else f"{count(here)} of "
        return f"{share}{count(everyone)} trials"
