"""What is known of a search before it starts: its model and its task, the methods that fit, and the fastest way to train here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ...spaces.axes import Hyperparameters
from ...spaces.identity import Identity, Numerics
from ...spaces.records import Split
from ...spaces.references import ReferenceKind
from ...spaces.shape import Shape
from ...spaces.space import Space
from ..brain.feasibility import Feasibility, assess, require_feasible
from ..request import Request
from .promised_formats import promises
from .writing_cost import NONE, Writes, writes_of, writing_room

if TYPE_CHECKING:
    from ...workers.model.backbone import Backbone
    from ...workers.model.readouts.readout import Readout
    from ...workers.tasks import Task
    from .speed import Speed

ROOM = 128
"""Positions that any prompt of the shipped axes finds enough."""


@dataclass(frozen=True)
class Inspection:
    """A model's shape and the methods that fit it, and by what model and task are recognised when the study is continued."""

    shape: Shape
    identity: Identity
    task_digest: str
    """By which studies that are older than identities recognise their task."""
    metric: str
    """What the task is measured by."""
    notes: tuple[str, ...]
    """What was done to the task's data beyond reading it."""
    methods: Mapping[str, Feasibility]
    """Those of the space that fit under the budget."""
    rows: Mapping[Split, int]
    """Those of each split that trials are scored on."""
    speed: "Speed | None" = None
    """How this machine trains the model fastest, where it was measured."""
    text: int = 1
    """Tokens of a text at most, beside which prompts must fit."""
    references: tuple[ReferenceKind, ...] = ()
    """What this task has beside the curve."""
    writes: Writes = NONE
    """How many answers a trial writes when it is scored."""
    looked: int = 0
    """How many training rows light trials want the frozen model's states of."""

    def count(self, method: str, hyperparameters: Hyperparameters) -> int:
        """Return the trainable elements of a configuration to be tried; `WrongInput` where it does not fit the model and the task."""
        from ...workers.catalogue import count_to_begin

        return count_to_begin(method, hyperparameters, self.shape, text=self.text)


def judge_methods(space: Space, shape: Shape, *, budget: int, text: int | None = None) -> dict[str, Feasibility]:
    """Return, per method of a space, what of it fits a model of this shape under the budget, beside texts of so many tokens.

    Without `text` they may be as long as the task allows.
    """
    from ...workers.catalogue import axes_of, count_to_begin, defaults_of, is_head

    def fitted(method: str, values: Hyperparameters) -> int:
        return count_to_begin(method, values, shape, text=space.task.max_tokens if text is None else text)

    return assess(space.methods, budget=budget, count=fitted, catalogue=axes_of, defaults=defaults_of, light=is_head)


def inspect_inputs(request: Request, space: Space, *, threads: int, begun: Numerics | None = None) -> Inspection:
    """Load the model and the task of a space once, look at both, and let them go again.

    Raises `WrongInput` where one cannot be used, no method fits, or frozen scores are not those of the plain model; only then is it
    measured how a worker with so many `threads` trains fastest, in the way in which the study was `begun` where there is one, unless on
    another's cluster, of which this machine says nothing.
    """
    from ...workers.model.backbone import load
    from ...workers.model.fitting import fit_task
    from ...workers.model.hash_cache import HashCache
    from ...workers.model.readouts.choice import for_task, readout_of
    from ...workers.model.readouts.cut_texts import cut_notes
    from ...workers.tasks import load_task
    from ...workers.training.class_weights import class_weights
    from ...workers.training.heads import looked_at
    from ...workers.training.provenance import identity_of
    from ...workers.training.references import possible
    from .speed import SpeedCache, fastest

    task = load_task(space.task)
    loaded = load(space.model, hashes=HashCache(request.places.known_cache, fresh=request.full_hash))
    task = fit_task(task, loaded, max_tokens=space.task.max_tokens, folder=request.places.known_cache)
    for note in task.notes:
        request.say(f"{task.name}: {note}")
    backbone = for_task(loaded, task)
    if backbone.part:
        request.say(f"{space.model.name}: reads more than text; its text part alone is used, a {type(backbone.model).__name__}")
    readout = readout_of(backbone, task)  # whether the labels can be told apart by this model is known before a search, too
    class_weights(space.training, task)  # raises where the task has no such label
    identity = identity_of(backbone, task, max_tokens=space.task.max_tokens)
    allowed = readout.room(space.task.max_tokens, backbone.conventions.room)
    cut = cut_notes(backbone, task.train, max_tokens=allowed)
    for note in cut:
        request.say(f"{task.name}: {note}")
    writing = writing_room(backbone, task, max_tokens=allowed, front=ROOM) if task.kind == "generation" else 0
    text = max(writing, _longest(backbone, task, allowed, behind=readout.behind))
    methods = _fitting(request, space, backbone.shape, text=text)
    for method, promise in promises(space, methods, backbone.shape, task, tokenizer=lambda: backbone.tokenizer).items():
        if promise.why:
            request.say(f"{method}: {promise.why}")
    compare_frozen_scores(backbone, readout, task, space)
    speed = None
    if request.address is None:
        memory = SpeedCache(request.places.speeds)
        speed = fastest(backbone, task, space, threads=threads, memory=memory, say=request.say, begun=begun, anew=request.measure)
        identity = _as_trained(identity, space, speed)
    rows: dict[Split, int] = {"validation": len(task.validation), "test": len(task.test)}
    notes, references = (*task.notes, *cut), possible(task, backbone.shape.answers)
    writes = writes_of(task, lambda: backbone.tokenizer, rate=speed.rate if speed else None, trained=space.training.batch * text)
    looked = looked_at(len(task.train), space.training)
    shape = replace(backbone.shape, rows=None, words=None)  # which would keep the model's embeddings in memory
    return Inspection(shape, identity, task.digest, task.metric, notes, methods, rows, speed, text, references, writes, looked)


def compare_frozen_scores(backbone: "Backbone", readout: "Readout", task: "Task", space: Space) -> float:
    """Return how far the model's frozen scores are from the plain model's; `WrongInput` where that is no noise."""
    from ...workers.model.frozen_scores import require_same_scores
    from ...workers.model.readouts.encoding import encode

    some = task.validation.take(range(min(64, len(task.validation))))
    allowed = readout.room(space.task.max_tokens, backbone.conventions.room)
    return require_same_scores(backbone, readout, encode(backbone, some, max_tokens=allowed, template=task.template))


def _as_trained(found: Identity, space: Space, speed: "Speed | None") -> Identity:
    """The identity with the numerics that workers will have, where they were measured."""
    if speed is None:
        return found
    execution = speed.execution
    dtype = execution.dtype if space.model.dtype == "auto" else space.model.dtype
    return replace(found, numerics=replace(found.numerics, dtype=dtype, attention=execution.attention))


def _longest(backbone: "Backbone", task: "Task", allowed: int, *, behind: int) -> int:
    """Tokens of the longest text with labels `behind` it: as many as allowed, unless so many leave no room for a prompt.

    Then the task is looked at.
    """
    from ...workers.model.readouts.encoding import encode

    positions = backbone.shape.positions
    if positions is None or allowed + behind + ROOM <= positions:
        return allowed + behind
    made = partial(encode, backbone, max_tokens=allowed, template=task.template)
    return behind + max(max(made(rows).lengths) for rows in (task.train, task.validation, task.test))


def _fitting(request: Request, space: Space, shape: Shape, *, text: int) -> dict[str, Feasibility]:
    """The methods that fit; says which are left out."""
    judged = judge_methods(space, shape, budget=request.budget, text=text)
    fitting = require_feasible(judged, budget=request.budget)
    for method, one in judged.items():
        if method not in fitting:
            request.say(f"{method} is left out: {one.why}")
    return fitting
