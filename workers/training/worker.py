"""One job from beginning to end: build or resume a pack of trials, train it to a step, score it, store it.

A worker keeps nothing but caches: the backbone, the tokenised task and the adapter store of the last few setups.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ...spaces.attempts import NO_ROOM
from ...spaces.errors import Failure, WrongInput, reason
from ...spaces.records import Assignment, Job, Outcome, Problem, Result, Split, Trial
from ...spaces.references import Reference
from ...spaces.space import Setup
from ..catalogue import parts, rule
from ..method import Pooled
from ..model import backbone as backbones
from ..model.architecture import weight_of
from ..model.backbone import Backbone
from ..model.fitting import fit_task
from ..model.hash_cache import HashCache
from ..model.pack import Pack, Part, build_parts
from ..model.readouts.choice import for_task, readout_of
from ..model.seeds import sha256_of
from ..model.shared_weights import share_weights
from ..model.sites import lowest_block
from ..optimizer import Optimizer, State
from ..tasks import load_task
from .class_weights import class_weights
from .memory_here import checkpoints
from .pack_scores import pack_scores
from .provenance import Foreign, identity_of, of_study, require_own, require_same_store, require_same_tensors, to_metadata
from .references import measure
from .row_scores import PREFIX, packed
from .scoring import Score
from .session import Session
from .store import AdapterStore, Unusable
from .tokens import encoded
from .trainer import Trainer


@lru_cache(maxsize=2)
def session(setup: Setup) -> Session:
    """Load the model, the task and the store of a study; cached, so that later jobs start at once.

    Raises `Foreign` where model or task are not what the study was begun with, or the store is another machine's.
    """
    store = AdapterStore(setup.store, patience=setup.patience)
    require_same_store(setup, store)
    folder = None if setup.cache is None else Path(setup.cache)
    backbone = backbones.load(setup.model, setup.execution, hashes=HashCache(folder))
    task = fit_task(load_task(setup.task), backbone, max_tokens=setup.task.max_tokens, folder=folder)
    weights = class_weights(setup.training, task)
    identity = identity_of(backbone, task, max_tokens=setup.task.max_tokens)
    backbone = for_task(of_study(setup, backbone, identity), task)
    share_weights(backbone, folder)
    readout = readout_of(backbone, task)
    readout.weights = weights
    splits = encoded(backbone, task, max_tokens=readout.room(setup.task.max_tokens, backbone.conventions.room), folder=folder)
    longest, told = (max(getattr(split, name) for split in splits.values()) for name in ("longest", "longest_answer"))
    again = checkpoints(backbone, setup.model, setup.training, tokens=longest, told=told * backbone.shape.vocabulary)
    trainer = Trainer(backbone, readout, setup.training, again)
    return Session(backbone, task, trainer, store, splits, identity)


def run_job(setup: Setup, job: Job) -> Outcome:
    """Train and score a job's trials, those of one training rule together; a pack that does not fit in memory is halved until it does.

    Returns results for the trials that made it and problems for those that did not; raises only where no trial could run. Where
    this machine's model or task is not the study's, or model, task or store cannot be used, nothing is trained and the outcome says so.
    """
    try:
        own = session(setup)
    except Foreign as error:
        return Outcome(job.number, refused=str(error))
    except Exception as error:  # model, task or store: whatever it is, it is no trial's doing
        return Outcome(job.number, unable=_told(error))
    if job.references:
        return _measured(own, job)
    try:
        return _train(own, job)
    except Foreign as error:
        return Outcome(job.number, refused=str(error))
    except Unusable as error:
        return Outcome(job.number, unable=str(error))


def _measured(session: Session, job: Job) -> Outcome:
    """Each reference by itself: one that fails takes no other with it. Raises where none could be measured."""
    found, errors = list[Reference](), list[Exception]()
    for kind in job.references:
        try:
            found += measure(session, (kind,))
        except Exception as error:  # whatever it is, the others stand
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return Outcome(job.number, references=tuple(found), failed=_told(errors[0]) if errors else None)


def _train(session: Session, job: Job) -> Outcome:
    ordered = sorted(job.assignments, key=lambda a: (a.trial.method, sorted(map(str, a.trial.hyperparameters.items()))))
    packs: dict[tuple[object, ...], list[Assignment]] = {}
    for assignment in ordered:
        packs.setdefault(_company(session.trainer, assignment.trial), []).append(assignment)
    return _together(job, [_run(session, replace(job, assignments=tuple(pack))) for pack in packs.values()])


def _told(error: Exception) -> str:
    """What an error says, with its type unless it was written to be read."""
    return str(error) if isinstance(error, WrongInput | Failure) else f"{type(error).__name__}: {reason(error)}"


def _company(trainer: Trainer, trial: Trial) -> tuple[object, ...]:
    """Equal for trials that share a pack: those of one training rule and number of passes whose methods touch nothing but their own rows.

    A CPU is busy with one trial already; there, trials that leave the lower blocks alone are not held up by others. Nowhere are those
    that train a head alone, or that have one where the others' passes are of no use to it.
    """
    backbone, methods = trainer.backbone, parts(trial.method, trial.hyperparameters)
    lowest = min(lowest_block(method, backbone.shape) for method in methods)
    if backbone.device.type != "cpu" and lowest < backbone.shape.layers:
        lowest = 0
    twice = any(method.consistency for method in methods)
    apart = not trainer.readout.joins and any(isinstance(method, Pooled) for method in methods)
    return rule_of(trial), twice, lowest, apart, None if all(method.packable for method in methods) else trial.number


def _together(job: Job, outcomes: Sequence[Outcome]) -> Outcome:
    results = tuple(result for outcome in outcomes for result in outcome.results)
    problems = tuple(problem for outcome in outcomes for problem in outcome.problems)
    limit = min((outcome.pack_limit for outcome in outcomes if outcome.pack_limit is not None), default=None)
    heavy = tuple(sorted({method for outcome in outcomes for method in outcome.heavy}))
    return Outcome(job.number, results, problems, pack_limit=limit, heavy=heavy)


def _run(session: Session, job: Job) -> Outcome:
    damaged = [problem for assignment in job.assignments if (problem := _unreadable(session.store, assignment))]
    if damaged:
        out = {problem.trial for problem in damaged}
        rest = tuple(assignment for assignment in job.assignments if assignment.trial.number not in out)
        others = [_run(session, replace(job, assignments=rest))] if rest else []
        return _together(job, [Outcome(job.number, problems=tuple(damaged)), *others])
    try:
        return _train_and_score(session, job)
    except torch.OutOfMemoryError as error:
        if len(job.assignments) == 1:
            trial = job.assignments[0].trial.number
            return Outcome(job.number, problems=(Problem(trial, f"{NO_ROOM}: {reason(error)}", alone=True, own=False),))
    torch.cuda.empty_cache()
    half = len(job.assignments) // 2
    halves = [_run(session, replace(job, assignments=part)) for part in (job.assignments[:half], job.assignments[half:])]
    heavy = tuple({assignment.trial.method for assignment in job.assignments})
    return _together(job, [Outcome(job.number, pack_limit=half, heavy=heavy), *halves])


def _unreadable(store: AdapterStore, assignment: Assignment) -> Problem | None:
    """Why a trial cannot go on from its adapter: a file that is gone or damaged costs nobody else an attempt, and may be restored."""
    try:
        if assignment.adapter is not None:
            store.read(assignment.adapter)
    except Unusable:
        raise
    except Failure as error:
        return Problem(assignment.trial.number, str(error), alone=True, own=False)
    return None


@dataclass(frozen=True)
class Finished:
    """A job's pack after training and scoring."""

    job: Job
    pack: Pack
    state: State
    losses: Tensor
    scores: dict[Split, list[Score]]
    seconds: float
    """Each trial's share of the wall clock."""

    def healthy(self) -> list[bool]:
        """Whether each trial's numbers are still numbers; a trial that diverged cannot harm its neighbours."""
        finite = torch.isfinite(self.pack.norms(self.pack.flat)).cpu() & torch.isfinite(self.losses)
        scored = [all(math.isfinite(own[position].value) for own in self.scores.values()) for position in range(self.pack.size)]
        return [bool(value) and measured for value, measured in zip(finite, scored, strict=True)]


def _train_and_score(session: Session, job: Job) -> Outcome:
    began = time.perf_counter()
    begin = partial(session.trainer.heads.begin, data=session.splits["train"])
    pack, follow, state = restore_from(session.backbone, session.store, job.assignments, begin=begin)
    start, seeds = job.assignments[0].start, [assignment.trial.seed for assignment in job.assignments]
    trained = session.trainer.train(pack, follow, state, seeds, session.splits["train"], start=start, stop=job.stop)
    final = any(assignment.trial.purpose == "final" for assignment in job.assignments)
    scores = {split: pack_scores(session, pack, split, final=final) for split in job.splits}
    done = Finished(job, pack, state, trained.losses, scores, (time.perf_counter() - began) / pack.size)
    healthy = done.healthy()
    results = [r for position in range(pack.size) if healthy[position] for r in _results(session, done, position)]
    problems = [_diverged(job.assignments[position].trial, job.stop) for position in range(pack.size) if not healthy[position]]
    return Outcome(job.number, tuple(results), tuple(problems))


def restore_from(
    backbone: Backbone, store: AdapterStore, assignments: Sequence[Assignment], *, begin: Callable[[Pack], None] = lambda pack: None
) -> tuple[Pack, Optimizer, State]:
    """Build the pack of some assignments of one training rule at the step they stand at, with the rule and its state.

    `begin` puts the pack where trials start that look at the task first (`Heads.begin`).
    """
    built = [
        build_parts(position, parts(a.trial.method, a.trial.hyperparameters), backbone.shape, a.trial.seed)
        for position, a in enumerate(assignments)
    ]
    pack = Pack(built, device=backbone.device)
    begin(pack)
    follow = rule_of(assignments[0].trial)
    state = follow.start(pack, reference(backbone, pack) if follow.uses_reference else None)
    for position, assignment in enumerate(assignments):
        if assignment.adapter is not None:
            tensors, metadata = store.get(assignment.adapter)
            require_own(metadata, backbone, assignment.adapter)
            _load(tensors, metadata, pack, state, position, built[position], assignment.adapter)
    return pack, follow, state


def reference(backbone: Backbone, pack: Pack) -> Tensor:
    """The frozen weights that a pack's values are added to, (elements,); see `Pack.reference`."""
    return pack.reference(backbone.shape, lambda site: weight_of(backbone.model.get_submodule(site.name), site))


def rule_of(trial: Trial) -> Optimizer:
    """The training rule of a trial."""
    return rule(trial.method, trial.hyperparameters)


def _load(
    tensors: dict[str, Tensor], metadata: dict[str, str], pack: Pack, state: State, position: int, built: Sequence[Part], digest: str
) -> None:
    start = "value:"
    values = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
    require_same_tensors(values, pack.of_trial(pack.flat, position), digest)
    expected = frozen_digest(built)
    if metadata["frozen"] != expected:
        now, then = expected[:12], metadata["frozen"][:12]
        raise Failure(f"adapter {digest[:12]}: its seed now regenerates {now}, not {then}; use the torch it was made with")
    pack.set_trial(pack.flat, position, {name: tensor.to(pack.flat) for name, tensor in values.items()})
    state.set_trial(pack, position, tensors)


def frozen_digest(built: Sequence[Part]) -> str:
    """sha256 of everything that a trial's seed regenerates."""
    return sha256_of({f"{part.prefix}{name}": tensor for part in built for name, tensor in part.tensors.frozen.items()})


def _results(session: Session, done: Finished, position: int) -> list[Result]:
    """Store a trial's state and return its result on every split."""
    trial, step = done.job.assignments[position].trial, done.job.stop
    digest = _save(session, done, position)
    size = len(safetensors.torch.save(done.pack.of_trial(done.pack.flat, position)))
    loss = float(done.losses[position])
    scored = ((split, scores[position]) for split, scores in done.scores.items())
    computed = str(session.identity.numerics)
    return [
        Result(trial.number, step, split, s.value, s.variance, loss, done.seconds, digest, size, computed, dict(s.others))
        for split, s in scored
    ]


def _save(session: Session, done: Finished, position: int) -> str:
    trial, pack = done.job.assignments[position].trial, done.pack
    values = {f"value:{name}": t for name, t in pack.of_trial(pack.flat, position).items()}
    tensors = values | done.state.of_trial(pack, position) | (_rows(done, position) if trial.purpose == "final" else {})
    built = build_parts(0, parts(trial.method, trial.hyperparameters), session.backbone.shape, trial.seed)
    metadata = {
        "trial": json.dumps(trial.to_json(), sort_keys=True),
        "step": str(done.job.stop),
        "frozen": frozen_digest(built),
        **to_metadata(session.identity),
    }
    return session.store.put(tensors, metadata)


def _rows(done: Finished, position: int) -> dict[str, Tensor]:
    """What each row added to a final's scores: two finals are compared row by row."""
    return {f"{PREFIX}{split}": torch.from_numpy(packed(scores[position].rows)) for split, scores in done.scores.items()}


def _diverged(trial: Trial, step: int) -> Problem:
    rates = {key: value for key, value in trial.hyperparameters.items() if key.rpartition(".")[2].startswith("lr")}
    shown = ", ".join(f"{key}={value:.3g}" for key, value in rates.items())
    return Problem(trial.number, f"diverged before step {step} ({shown}): the loss is not a number", fatal=True)
