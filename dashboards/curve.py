"""One study's curve as a plain value. It knows nothing of tables, pictures and pages: those are written from it."""

from dataclasses import dataclass
from functools import cached_property

from ..spaces.records import Point
from .frontier import frontier
from .palette import Style, styles
from .verdicts import notes
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
    earlier: tuple[Point, ...] = ()
    """Trials whose last score is of an earlier step than that of `points`: shown faintly, compared with nothing."""
    trials: int = 0
    """Search trials asked for, scored or not; default: those with a point."""
    failed: int = 0
    """Trials that failed, scored before or not."""

    @cached_property
    def front(self) -> tuple[Point, ...]:
        """The frontier, cheapest first."""
        return tuple(frontier(self.points))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What must be said under the curve."""
        return tuple(notes(self.points, self.front))

    @cached_property
    def styles(self) -> dict[str, Style]:
        """Method -> how it is drawn."""
        return styles((*self.methods, *(point.method for point in self.drawn)))

    @property
    def drawn(self) -> tuple[Point, ...]:
        """Every trial that has a place in a plot, those of earlier steps first."""
        return (*self.earlier, *self.points)

    @property
    def step(self) -> int:
        """The step at which all points are compared; 0 without points."""
        return max((point.steps for point in self.points), default=0)

    @property
    def has_finals(self) -> bool:
        """Whether some point of the frontier has a test score."""
        return any(point.test_score is not None for point in self.front)

    @property
    def caption(self) -> str:
        """`sst2 · minilm · 15 of 24 trials at step 200, 2 failed`."""
        failures = f", {count(self.failed)} failed" if self.failed else ""
        compared = f"{self._share()} at step {self.step}{failures}" if self.points else f"no results yet{failures}"
        return " · ".join(part for part in (self.task, self.model, compared) if part)

    def _share(self) -> str:
        all_trials = max(self.trials, len(self.drawn))
        share = "" if all_trials == len(self.points) else f"{count(len(self.points))} of "
        return f"{share}{count(all_trials)} trials"
