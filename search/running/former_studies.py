"""Studies from before there were identities: recognised once, by what was written down then."""

from collections.abc import Sequence

from ...spaces.identity import Difference
from ...spaces.space import Space
from ..ledger.ledger import StudyRecord
from .inspection import Inspection

Sides = tuple[Sequence[Difference], Sequence[Difference]]


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
