"""Full fine-tuning of the frozen model's linears, read and measured as trials are: what a curve may be held against.

Every rate of `RATES` gets the study's recipe. The one that does best in validation is trained anew over twice as many steps, schedule and
all, and again while that helps in validation, up to `LONGEST` times the steps. The test split decides nothing.
"""

import math
from dataclasses import dataclass, replace

from ...spaces.axes import Hyperparameters
from ...spaces.errors import Failure
from ...spaces.records import Split
from ...spaces.shape import Shape
from ..catalogue import count, parts, rule
from ..model.pack import Pack, build_parts
from .pack_scores import pack_scores
from .scoring import Score
from .session import Session

RATES = (1e-5, 3e-5, 1e-4)
"""Around the 5e-5 of BERT's paper, from which MiniLM's best ones on four tasks lie up to five times apart (`docs/methods-compared.md`)."""
LONGEST = 4
SEED = 0
SPLITS: tuple[Split, ...] = ("validation", "test")


@dataclass(frozen=True)
class Tuned:
    """One whole training."""

    rate: float
    steps: int
    validation: Score
    test: Score
    parameters: int
    headed: bool
    longer_helped: bool = True
    """Whether twice the steps would have been tried, too, or were not allowed."""

    @property
    def about(self) -> str:
        """What was chosen, and from what."""
        ended = "the most that are tried" if self.longer_helped else "more did not help"
        rates = f"rate {self.rate:g} of {', '.join(f'{rate:g}' for rate in RATES)}"
        whole = "all linears under a head" if self.headed else "all linears"
        return f"full fine-tuning of {whole}, {rates} and {self.steps:,} steps ({ended}) chosen in validation"


def method_of(shape: Shape, rate: float) -> tuple[str, Hyperparameters]:
    """Return what is trained, with its rate: a head, too, where nothing else reads the task."""
    return ("full+head", {"full.lr": rate}) if shape.answers.needs_head else ("full", {"lr": rate})


def planned(steps: int) -> tuple[int, int]:
    """Return how many steps a ceiling of a recipe of so many takes: where twice as many do not help, and where they always do."""
    lengths = [steps * 2**n for n in range(1, LONGEST.bit_length())]
    return len(RATES) * steps + lengths[0], len(RATES) * steps + sum(lengths)


def tune(session: Session) -> Tuned:
    """Return the best training; `Failure` where every rate diverged."""
    steps = session.trainer.training.steps
    found = [one for rate in RATES if (one := _trained(session, rate, steps)) is not None]
    if not found:
        raise Failure(f"full fine-tuning diverged at every rate of {', '.join(f'{rate:g}' for rate in RATES)}: scores are no numbers")
    best = max(found, key=lambda one: one.validation.value)
    while best.steps < LONGEST * steps:
        longer = _trained(session, best.rate, 2 * best.steps)
        if longer is None or longer.validation.value <= best.validation.value:
            return replace(best, longer_helped=False)
        best = longer
    return best


def _trained(session: Session, rate: float, steps: int) -> Tuned | None:
    """A training from the frozen weights; None where it diverged."""
    trainer = replace(session.trainer, training=replace(session.trainer.training, steps=steps, rungs=(steps,)))
    shape, data = session.backbone.shape, session.splits["train"]
    method, values = method_of(shape, rate)
    pack = Pack([build_parts(0, parts(method, values), shape, SEED)], device=session.backbone.device)
    trainer.heads.begin(pack, data)
    follow = rule(method, values)
    done = trainer.train(pack, follow, follow.start(pack), [SEED], data, start=0, stop=steps)
    if not (math.isfinite(float(done.losses[0])) and math.isfinite(float(pack.norms(pack.flat)[0]))):
        return None
    own = replace(session, trainer=trainer)
    validation, test = (pack_scores(own, pack, split, final=True)[0] for split in SPLITS)
    if not (math.isfinite(validation.value) and math.isfinite(test.value)):
        return None
    return Tuned(rate, steps, validation, test, count(method, values, shape), "+" in method)
