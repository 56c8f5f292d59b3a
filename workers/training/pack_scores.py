"""How the trials of a pack do on a split, whatever the task is read by."""

from functools import partial

from ...spaces.records import Split
from ..model.pack import Pack
from .answer_scoring import score_answers
from .scoring import Score, measured
from .session import Session


def pack_scores(session: Session, pack: Pack, split: Split, *, final: bool) -> list[Score]:
    """Return every trial's score by the task's metric, further ones beside it; `final` measures all of them, on all rows."""
    if session.task.kind == "generation":
        return score_answers(session, pack, split, final=final)
    data = session.splits[split]
    scores, metrics = session.trainer.predict(pack, data), (session.task.metric, *session.task.metrics)
    groups: tuple[str, ...] = getattr(session.task, split).groups
    measure = partial(measured, metrics, targets=data.targets, classes=len(session.task.labels), groups=groups)
    return [measure(scores=own.float().numpy()) for own in scores]
