"""What a search would do and cost, on paper."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ...spaces.errors import WrongInput
from ...spaces.shape import Shape
from ...spaces.space import Space
from ..brain.feasibility import Feasibility
from ..brain.promotion import ratios, rungs_of
from ..request import Request
from .head_places import head_places
from .inspection import compare_frozen_scores, judge_methods
from .memory_plan import MemoryPlan, memory_plan
from .promised_formats import Promise, promises
from .resources import own_cpus, own_gpus, resources
from .writing_cost import WritingCost, answer_tokens, writing_cost

if TYPE_CHECKING:
    from ...workers.tasks import Task
    from .speed import Pace

_PASSES, _FULL = 4, 6
"""Forward, and backward through a frozen model: 2 operations a weight each, without weight gradients; and where these are computed."""


@dataclass(frozen=True)
class CostEstimate:
    """What a search is expected to take."""

    rungs: Mapping[int, int]
    """Step -> trials expected to be trained up to it."""
    finals: int
    """Trials of the finals: fresh seeds for every configuration expected on the curve."""
    trial_steps: int
    """Training steps over all trials, finals included."""
    operations: float
    """Floating-point operations, with every text as long as the task allows."""

    def seconds(self, pace: "Pace", *, batch: int, workers: int) -> float:
        """Return the wall clock of `workers` that train at this pace and then score, a row forward only: half of a row trained."""
        validated, tested = sum(self.rungs.values()) + self.finals, self.finals
        rows = validated * pace.rows["validation"] + tested * pace.rows["test"]
        return (self.trial_steps + rows / (2 * batch)) / (pace.rate * workers)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        rungs = [{"step": step, "trials": trials} for step, trials in self.rungs.items()]
        return {"rungs": rungs, "final_trials": self.finals, "trial_steps": self.trial_steps, "floating_point_operations": self.operations}


@dataclass(frozen=True)
class LabelText:
    """A label, the text that the model gets for it, and whose text that is."""

    label: str
    text: str
    origin: str
    """`name`: the label's own; `task.labels`: the user's; `ours`: a description that we wrote for a well-known set of labels."""


@dataclass(frozen=True)
class SearchPlan:
    """A search before it runs."""

    study: str
    budget: int
    space: Space
    methods: Mapping[str, Feasibility]
    cost: CostEstimate
    workers: int
    seconds: float | None
    """Expected wall clock of these workers; None before a run has measured this machine with this model and task."""
    readout: str
    """How the task is read off the model."""
    heads: str
    """Where methods with a head of their own read hidden states instead; empty where there are none."""
    labels: tuple[LabelText, ...]
    """What stands for each label, and where that comes from."""
    exports: Mapping[str, Promise]
    """What each method that fits can leave as."""
    frozen_scores: "Compared"
    """Whether the model without an adapter computes here what it computes by itself."""
    notes: tuple[str, ...] = ()
    """What was done to the task's data beyond reading it."""
    ceiling: "CeilingCost | None" = None
    """Full fine-tuning, where it was asked for."""
    writing: WritingCost | None = None
    """Answers that are written to be measured, where any are."""
    modules: Mapping[str, int] = field(default_factory=dict)
    """Role -> how many linears of the model have it: what methods may touch."""
    untouched: tuple[str, ...] = ()
    """Weights of its blocks that no method touches."""
    memory: MemoryPlan | None = None
    """What training takes."""

    def to_json(self) -> dict[str, Any]:
        """Return what `plan --json` prints."""
        return {
            "study": self.study,
            "budget": self.budget,
            "model": self.space.model.name,
            "task": self.space.task.name,
            "readout": self.readout,
            "heads": self.heads,
            "labels": [asdict(label) for label in self.labels],
            "trials": self.space.trials,
            "methods": {name: one.to_json() for name, one in self.methods.items()},
            "exports": {name: one.to_json() for name, one in self.exports.items()},
            **self.cost.to_json(),
            "workers": self.workers,
            "expected_seconds": self.seconds,
            "frozen_scores": asdict(self.frozen_scores),
            "modules": dict(self.modules),
            "untouched": list(self.untouched),
            "memory": None if self.memory is None else self.memory.to_json(),
            "notes": list(self.notes),
            "ceiling": None if self.ceiling is None else asdict(self.ceiling),
            "writing": None if self.writing is None else asdict(self.writing),
        }


@dataclass(frozen=True)
class Compared:
    """What came of comparing frozen scores with the plain model's, which `run` does before anything is trained."""

    agree: bool | None
    """None where it was not tried."""
    said: str


@dataclass(frozen=True)
class CeilingCost:
    """What full fine-tuning would take beside the search."""

    parameters: int
    steps: tuple[int, int]
    """Where twice the recipe's steps do not help, and where they always do."""
    seconds: tuple[float, float] | None
    """Of one worker; None before a run has measured this machine with this model and task."""


def ceiling_cost(space: Space, shape: Shape, pace: "Pace | None") -> CeilingCost:
    """Return the cost of full fine-tuning by the recipe; a step needs the weights' gradients beside the rows', a half more."""
    from ...workers.catalogue import count
    from ...workers.training.ceiling import RATES, method_of, planned

    least, most = planned(space.training.steps)
    seconds = None if pace is None else (_FULL / _PASSES * least / pace.rate, _FULL / _PASSES * most / pace.rate)
    return CeilingCost(count(*method_of(shape, RATES[0]), shape), (least, most), seconds)


UNTRIED = Compared(None, "not compared with the plain model's, for the model was not loaded: plan --check does it, run always")


def make_plan(request: Request) -> SearchPlan:
    """Return the plan of a request. Reads the task, the model's configuration and tokenizer, weights only to `check`; write nothing."""
    from ...workers.model.backbone import shape_of, tokenizer_of
    from ...workers.model.fitting import fitted
    from ...workers.model.readouts.asking import shape_for
    from ...workers.model.readouts.choice import about, trained_tokens
    from ...workers.tasks import load_task
    from .speed import SpeedCache

    space = request.space()
    tokenizer, bare = tokenizer_of(space.model), shape_of(space.model)
    task = fitted(load_task(space.task), tokenizer, bare.family, max_tokens=space.task.max_tokens, positions=bare.positions)
    shape = shape_for(bare, task)
    readout = about(tokenizer, shape.family, task, mask=space.model.mask)
    judged = judge_methods(space, shape, budget=request.budget)
    tokens = trained_tokens(tokenizer, shape.family, task, mask=space.model.mask, text=space.task.max_tokens)
    means, expected = (
        resources(request, cpus=own_cpus(), gpus=own_gpus(), split=space.model.device == "split"),
        cost(space, shape, tokens=tokens),
    )
    pace = None if request.address else SpeedCache(request.places.speeds).pace(space, threads=int(means.cpus_per_worker))
    seconds = expected.seconds(pace, batch=space.training.batch, workers=means.workers) if pace else None
    exports = promises(space, judged, shape, task, tokenizer=lambda: tokenizer)
    compared = _compared(space, task) if request.check else UNTRIED
    ceiling = ceiling_cost(space, shape, pace) if request.ceiling else None
    name = request.name(space)
    read = (readout, head_places(space, shape), labels_of(task), exports, compared)
    counts = {"scored": sum(expected.rungs.values()), "finals": expected.finals, "trained": space.training.batch * tokens}
    writing = writing_cost(task, tokenizer, pace, **counts, workers=means.workers)
    notes = (task.notes, ceiling, writing, shape.roles, shape.apart)
    memory = memory_plan(space, shape, tokens=tokens, told=answer_tokens(task, tokenizer) * shape.vocabulary)
    return SearchPlan(name, request.budget, space, judged, expected, means.workers, seconds, *read, *notes, memory)


def _compared(space: Space, task: "Task") -> Compared:
    """Load the model and compare; `WrongInput` where it cannot be loaded, or its labels cannot be told apart."""
    from ...workers.model.backbone import load
    from ...workers.model.readouts.choice import readout_of

    backbone = load(space.model)
    readout = readout_of(backbone, task)
    try:
        far = compare_frozen_scores(backbone, readout, task, space)
    except WrongInput as refused:
        return Compared(False, str(refused))
    return Compared(True, f"those of the plain model, but for {far:.0e} of the largest")


def labels_of(task: "Task") -> tuple[LabelText, ...]:
    """Return what stands for each label of a task."""
    return tuple(LabelText(*each) for each in zip(task.labels, task.descriptions, task.origins, strict=True))


def cost(space: Space, shape: Shape, *, tokens: int | None = None) -> CostEstimate:
    """Return the expected cost: at each rung one in eta goes on, and of the n that arrive about ln n + 1 make the curve.

    That is how many records n numbers in random order set: what a curve of unrelated sizes and scores would hold. A step reads `tokens`
    of each row, else as many as the longest text may have.
    """
    rungs = rungs_of(space.training)
    reached = _reached(space.trials, rungs)
    finals = space.finalists * round(math.log(max(1, reached[rungs[-1]])) + 1)
    lengths = [high - low for low, high in zip((0, *rungs), rungs, strict=False)]
    steps = sum(trials * length for trials, length in zip(reached.values(), lengths, strict=True)) + finals * rungs[-1]
    weights = sum(linear.inputs * linear.outputs for linear in shape.linears)
    return CostEstimate(reached, finals, steps, float(_PASSES * weights) * steps * space.training.batch * (tokens or space.task.max_tokens))


def _reached(trials: int, rungs: tuple[int, ...]) -> dict[int, int]:
    reached, left = {}, float(trials)
    for step, eta in ratios(rungs).items():
        reached[step] = math.ceil(left)
        left /= eta
    return reached
