"""Studies of earlier versions: recognised where they have no identity yet, refused where their trials mean something else today."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...spaces.errors import WrongInput
from ...spaces.identity import Difference, Numerics
from ...spaces.records import Trial
from ...spaces.space import Space
from ..brain.feasibility import Count
from ..home import Home
from ..ledger.ledger import Ledger, StudyRecord
from .inspection import Inspection

Sides = tuple[Sequence[Difference], Sequence[Difference]]


def begun_with(places: Home, study: str) -> Numerics | None:
    """Return how a study computes that is there already; None where there is none, or it is older than identities.

    Raises `WrongInput` where the ledger cannot be opened.
    """
    if not places.has_ledger:
        return None
    known = next((record.known for record in Ledger.open(places.ledger_url).studies() if record.name == study), None)
    return known.numerics if known else None


def adopt(record: StudyRecord, space: Space, inspection: Inspection) -> Sides:
    """Return what `recognise` finds; where that is nothing, raise `WrongInput` if the model was read otherwise then."""
    sides = recognise(record, space, inspection)
    if not any(sides):
        _require_same_reading(record, space)
    return sides


def require_same_counts(study: str, trials: Iterable[Trial], count: Count) -> None:
    """Raise `WrongInput` where a trial's hyperparameters mean another count today: old and new would share a curve and a budget.

    What cannot be counted any more, as a method that is not installed, is nobody's to compare. Numbers such as rates seldom change a
    count: of trials that differ in nothing else one is counted.
    """
    from ...workers.catalogue import require_same_count

    for trial in {_counted_alike(trial): trial for trial in trials}.values():
        today = _today(trial, count)
        if today is not None:
            require_same_count(f"--study {study}", trial, today)


def _today(trial: Trial, count: Count) -> int | None:
    try:
        return count(trial.method, trial.hyperparameters)
    except WrongInput:
        return None


def _counted_alike(trial: Trial) -> tuple[object, ...]:
    named = ((name, value) for name, value in trial.hyperparameters.items() if not isinstance(value, float))
    return (trial.method, trial.parameters, *sorted(named, key=str))


def _require_same_reading(record: StudyRecord, space: Space) -> None:
    from ...workers.catalogue import has_prefix
    from ...workers.model.backbone import load
    from ...workers.model.former_scores import refuse_moved
    from ...workers.tasks import load_task

    backbone = load(replace(space.model, dtype="float32", device="cpu"))
    prefixes = any(has_prefix(name) for name in record.space["methods"])
    what = f"--study {record.name}"
    refuse_moved(what, backbone, load_task(space.task), max_tokens=space.task.max_tokens, prefixes=prefixes)


def recognise(record: StudyRecord, space: Space, inspection: Inspection) -> Sides:
    """Return what differs from a study's record in the model and in the task; loads the model once more."""
    from ...workers.training.provenance import known_as

    identity, model, task = inspection.identity, list[Difference](), list[Difference]()
    if not known_as(space.model, record.fingerprint):
        model.append(Difference("weights", record.fingerprint[:12], str(identity.frozen.weights)))
    if record.task_digest != inspection.task_digest:
        task.append(Difference("rows, labels or metric", record.task_digest[:12], inspection.task_digest[:12]))
    then, now = record.space["task"]["max_tokens"], space.task.max_tokens
    if then != now:
        task.append(Difference("max_tokens", str(then), str(now)))
    return model, task
