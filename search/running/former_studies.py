"""Studies from before there were identities: recognised once, by what was written down then."""

from collections.abc import Sequence
from dataclasses import replace

from ...spaces.identity import Difference
from ...spaces.space import Space
from ..ledger.ledger import StudyRecord
from .inspection import Inspection

Sides = tuple[Sequence[Difference], Sequence[Difference]]


def adopt(record: StudyRecord, space: Space, inspection: Inspection) -> Sides:
    """Return what `recognise` finds; where that is nothing, raise `WrongInput` if the model was read otherwise then."""
    sides = recognise(record, space, inspection)
    if not any(sides):
        _require_same_reading(record, space)
    return sides


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
