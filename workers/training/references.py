"""The frozen model, a linear probe and full fine-tuning, measured by a study's own readout and metric on its own splits.

A probe is multinomial logistic regression on kept states of the frozen model, standardised by the training rows' mean and deviation (which
fold into its weights: W h + c, C·d + C numbers). Of a large training split it sees rows spread over it, as many as a head starts from. Its
penalty is the one that does best in validation; it never sees another split. Of other kinds of task: `probes.py`.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...spaces.records import Split
from ...spaces.references import Reference, ReferenceKind
from ...spaces.shape import Answers
from ..methods.maths.pairs import FEATURES as FEATURES_OF_PAIRS
from ..methods.maths.pairs import features
from ..model.frozen_scores import own_scores
from ..model.pack import Pack
from ..tasks import Task
from .ceiling import tune
from .heads import spread
from .pack_scores import pack_scores
from .probes import MISSING, Probe, fit
from .scoring import Score, measured
from .session import Session

PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Inverse strengths C of the L2 penalty, from the strongest down."""
ROUNDS = 1000
PATIENCE = 30.0
"""Seconds after which no further penalty is tried, and that one fit may take: it gets as many rounds as fit into them."""
LEAST_ROUNDS = 20
ROUND = 2.0
"""A round of L-BFGS in such pairs of products: the line search and the softmax included."""
ROWS_AT_ONCE = 64
FEATURES = {"encoder": ("mean", "the mean of the text's states"), "decoder": ("last", "the last token's state")}
OTHER_FEATURES = ("first", "the decoder's first state")
PAIR = "|u - v| and u ⊙ v of"


def possible(task: Task, answers: Answers) -> tuple[ReferenceKind, ...]:
    """Return what can be measured: a probe needs outputs that all rows share, and the frozen model a readout of its own."""
    asked: tuple[ReferenceKind, ...] = ("frozen", "probe", "ceiling") if task.outputs else ("frozen", "ceiling")
    return tuple(kind for kind in asked if kind != "frozen" or not answers.needs_head)


def measure(session: Session, kinds: Sequence[ReferenceKind]) -> Iterator[Reference]:
    """Yield the references of these kinds that the task has."""
    for kind in (kind for kind in possible(session.task, session.backbone.shape.answers) if kind in kinds):
        began = time.perf_counter()
        found = MEASURES[kind](session)
        yield replace(found, seconds=time.perf_counter() - began)


def _frozen(session: Session) -> Reference:
    return _reference(
        session,
        "frozen",
        f"frozen model: {type(session.trainer.readout).about}",
        0,
        _frozen_scores(session, "validation"),
        _frozen_scores(session, "test"),
    )


def _frozen_scores(session: Session, split: Split) -> Score:
    data, trainer = session.splits[split], session.trainer
    if session.task.kind == "generation":
        return pack_scores(session, Pack([[]], device=trainer.backbone.device), split, final=True)[0]
    order = np.argsort(np.asarray(data.lengths), kind="stable")
    pieces = [order[begin : begin + ROWS_AT_ONCE].tolist() for begin in range(0, len(order), ROWS_AT_ONCE)]
    scores = torch.cat([own_scores(trainer.backbone, trainer.readout, data, piece).cpu() for piece in pieces])
    return _score(session, split, torch.empty_like(scores).index_copy_(0, torch.from_numpy(order), scores).float().numpy())


@dataclass(frozen=True)
class Fitted:
    """A probe at one penalty."""

    model: Any
    penalty: float
    validation: Score


def _probe(session: Session) -> Reference:
    how, named = FEATURES.get(session.backbone.family, OTHER_FEATURES)
    chosen = {split: np.arange(len(data.lengths)) for split, data in session.splits.items()} | {"train": spread(session.splits["train"])}
    states = {split: _states(session, split, how, rows) for split, rows in chosen.items()}
    named = f"{PAIR} {named}" if session.backbone.shape.answers.apart else named
    targets = np.asarray(session.splits["train"].targets)[chosen["train"]]
    best = _best(session, states, targets)
    rounds, most = (best.model.rounds, best.model.most) if isinstance(best.model, Probe) else _rounds_of(best.model[-1])
    ended = "" if rounds < most else f", not converged in {most} rounds"
    about = f"linear probe on {named}, C = {best.penalty:g} chosen in validation, {_seen(session, targets)}{ended}"
    labels, width = session.task.outputs, states["train"].shape[1]
    test = _score(session, "test", _label_scores(session, best.model, states["test"]))
    return _reference(session, "probe", about, labels * width + labels, best.validation, test)


def _rounds_of(model: Any) -> tuple[int, int]:
    """How many rounds a fit took, and how many it had."""
    return int(max(model.n_iter_)), model.max_iter


def _ceiling(session: Session) -> Reference:
    best = tune(session)
    return _reference(session, "ceiling", best.about, best.parameters, best.validation, best.test)


MEASURES: Mapping[ReferenceKind, Callable[[Session], Reference]] = {"frozen": _frozen, "probe": _probe, "ceiling": _ceiling}


def _seen(session: Session, targets: np.ndarray) -> str:
    rows = len(session.splits["train"].targets)
    return f"{rows:,} training rows" if rows == len(targets) else f"{len(targets):,} of {rows:,} training rows"


def _states(session: Session, split: str, how: str, rows: np.ndarray) -> np.ndarray:
    kept: Tensor = session.trainer.heads.states.rows(session.splits[split], rows, how)
    kept = features(kept, FEATURES_OF_PAIRS[0]) if session.backbone.shape.answers.apart else kept
    states: np.ndarray = kept.double().cpu().numpy()
    return states


def _best(session: Session, states: dict[str, np.ndarray], targets: np.ndarray) -> Fitted:
    """The probe that does best in validation; of equals that of the stronger penalty."""
    began, found = time.perf_counter(), list[Fitted]()
    for penalty in PENALTIES:
        if found and time.perf_counter() - began > PATIENCE:
            break
        model = _fit(session, states["train"], targets, penalty)
        found.append(Fitted(model, penalty, _score(session, "validation", _label_scores(session, model, states["validation"]))))
    return max(found, key=lambda one: one.validation.value)


def _fit(session: Session, rows: np.ndarray, targets: np.ndarray, penalty: float) -> Any:
    if session.task.kind in ("regression", "multi_label"):
        return fit(session.task.kind, rows, targets, penalty=penalty, rounds=_rounds(rows, session.task.outputs))
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weights = session.trainer.readout.weights
    counts = None if weights is None else weights.double().cpu().numpy()[targets]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said where the probe is
        made = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=_rounds(rows, len(session.task.labels))))
        return made.fit(rows, targets, logisticregression__sample_weight=counts)


def _rounds(rows: np.ndarray, labels: int) -> int:
    """How many rounds fit into `PATIENCE`, by the time of the two products that a round consists of; `ROUNDS` where that is no matter."""
    began = time.perf_counter()
    weights = np.zeros((rows.shape[1], labels))
    rows.T @ (rows @ weights)
    return int(np.clip(PATIENCE / (ROUND * (time.perf_counter() - began) + 1e-9), LEAST_ROUNDS, ROUNDS))


def _label_scores(session: Session, model: Any, rows: np.ndarray) -> np.ndarray:
    """Log-probabilities (rows, labels) in the task's order of labels, whichever of them the training rows have."""
    if isinstance(model, Probe):
        return model.scores(rows)
    scores = np.full((len(rows), len(session.task.labels)), MISSING)
    scores[:, model.classes_] = model.predict_log_proba(rows)
    kept: np.ndarray = np.maximum(scores, MISSING)
    return kept


def _score(session: Session, split: Split, scores: np.ndarray) -> Score:
    task, data = session.task, session.splits[split]
    groups: tuple[str, ...] = getattr(task, split).groups
    return measured((task.metric, *task.metrics), scores, data.targets, classes=len(task.labels), groups=groups)


def _reference(session: Session, kind: ReferenceKind, about: str, parameters: int, validation: Score, test: Score) -> Reference:
    return Reference(
        kind=kind,
        about=about,
        parameters=parameters,
        score=validation.value,
        variance=validation.variance,
        test_score=test.value,
        test_variance=test.variance,
        seconds=0.0,
        numerics=str(session.identity.numerics),
        others=dict(test.others),
    )
