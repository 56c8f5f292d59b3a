"""How a pack's trials do on a task of written answers: by the likelihood of the right ones, or by writing their own.

Answers are written where they are measured: at a rung only for the task's own metric, and of `decoded_rows` rows; of finals for every
metric, and of all rows.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...spaces.metrics import Array, Metric
from ...spaces.metrics import metric as metric_called
from ...spaces.records import Split
from ..model.decoding import Decoder
from ..model.pack import Pack
from ..model.readouts.written_rows import prompts_of
from ..model.written_text import limits_of, text_of
from ..tasks import Rows
from .scoring import Score, score
from .session import Session
from .trainer import bound_values


def score_answers(session: Session, pack: Pack, split: Split, *, final: bool) -> list[Score]:
    """Return every trial's score on a split by the task's metric, further ones beside it; `final` measures all, on all rows."""
    task, rows = session.task, getattr(session.task, split)
    own, *others = (metric_called(name) for name in (task.metric, *task.metrics))
    wanted = [own, *(one for one in others if final or not one.decodes)]
    some = rows if final else rows.take(some_rows(len(rows), task.decoding.decoded_rows))
    told: Sequence[Array | None] = [None] * pack.size
    if not all(one.decodes for one in wanted):
        told = list(session.trainer.predict(pack, session.splits[split]).double().numpy())
    texts = write_answers(session, pack, some) if any(one.decodes for one in wanted) else [()] * pack.size

    def measured(metric: Metric, losses: Array | None, answers: Sequence[str]) -> Score:
        return right_of(metric, some, answers) if losses is None or metric.decodes else likely(metric, rows, losses)

    return [_with_others(wanted, [measured(one, *pair) for one in wanted]) for pair in zip(told, texts, strict=True)]


def some_rows(count: int, limit: int) -> list[int]:
    """Numbers of `limit` of `count` rows, the same ones each time, in their order."""
    return sorted(np.random.default_rng(0).permutation(count)[:limit].tolist())


def write_answers(session: Session, pack: Pack, rows: Rows) -> list[tuple[str, ...]]:
    """Return every trial's own answers to some rows."""
    backbone, task = session.backbone, session.task
    limits = limits_of(backbone, task.decoding, session.splits["train"])
    found = Decoder(backbone).write(pack, bound_values(pack), prompts_of(backbone, rows.conversations, task.template), limits)
    return [tuple(text_of(backbone.tokenizer, ids, limits) for ids in own) for own in found]


def right_of(metric: Metric, rows: Rows, answers: Sequence[str]) -> Score:
    """The score of written answers, each beside whichever of the row's right ones it is nearest to."""
    right = [best(metric, answer, (one.reference, *one.accepted)) for answer, one in zip(answers, rows.conversations, strict=True)]
    return score(metric.name, right, [0.0] * len(right), groups=rows.groups)


def best(metric: Metric, answer: str, wanted: Sequence[str]) -> float:
    """How right an answer is by the nearest of those wanted."""
    assert metric.right is not None, "asked of metrics that decode"
    return max(metric.right(answer, one) for one in wanted)


def likely(metric: Metric, rows: Rows, losses: Array) -> Score:
    """The score of losses and numbers of tokens (rows, 2); not a number where they are none."""
    if not np.isfinite(losses).all():
        return Score(float("nan"), float("nan"))
    return score(metric.name, losses, rows.labels, groups=rows.groups)


def _with_others(metrics: Sequence[Metric], scores: Sequence[Score]) -> Score:
    others = {one.name: one.turned(found.value) for one, found in zip(metrics[1:], scores[1:], strict=True)}
    return replace(scores[0], others=others)
