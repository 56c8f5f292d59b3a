"""Whether what is kept of a study still holds together: the ledger's rows, the adapters that they name, and what those were trained on."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ...dashboards.states import results_by_trial
from ...spaces.errors import Failure, WrongInput
from ...spaces.identity import Identity, said
from ...spaces.metrics import METRICS
from ...spaces.records import Result, Trial
from ...workers.training.store import AdapterStore, metadata_of
from ..ledger.reading import History
from ..ledger.row_scores import row_scores

SLACK = 1e-5
"""What a score may differ by from the mean of its rows, which are kept in single precision."""
SHOWN = 3
"""Faults of a kind that are named; of the others there is a count."""


@dataclass(frozen=True)
class StudyCheck:
    """One thing that must be true of a study, and whether it is."""

    name: str
    fine: bool
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def check_study(history: History) -> list[StudyCheck]:
    """Return what was checked of a study; reads every adapter that its results name, and writes nothing."""
    store, checked = AdapterStore(history.store, make=False), _Adapters(history)
    adapters = {result.adapter for result in history.results}
    return [
        _check("rows", _rows(history), f"{len(history.trials):,} trials, {len(history.results):,} results"),
        _check("adapters", checked.faults(store), f"{len(adapters):,} adapters, each of its hash, trial and step"),
        _check("identity", iter(checked.foreign), "all trained on the study's model and task"),
        _check("scores", _scores(history), "of the finals, each the mean of its rows"),
    ]


def _check(name: str, faults: Iterator[str], fine: str) -> StudyCheck:
    found = list(faults)
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return StudyCheck(name, not found, "; ".join(found[:SHOWN]) + more if found else fine)


def _rows(history: History) -> Iterator[str]:
    budget, metric = history.record.budget, METRICS.get(history.space.task.metric or "")
    low, high = metric.span if metric is not None and metric.higher_is_better else (-math.inf, math.inf)
    known = {trial.number: trial for trial in history.trials}
    for trial in history.trials:
        if trial.parameters > budget:
            yield f"trial {trial.number} has {trial.parameters} parameters, over the budget of {budget}"
        if trial.purpose == "final" and trial.finalist not in known:
            yield f"trial {trial.number} is the final of trial {trial.finalist}, which is not there"
    for result in history.results:
        if result.trial not in known:
            yield f"a result is of trial {result.trial}, which is not there"
        elif result.step <= 0 or not low <= result.score <= high:
            yield f"trial {result.trial} has a score of {result.score} at step {result.step}"
        elif result.split == "test" and known[result.trial].purpose != "final":
            yield f"trial {result.trial} saw the test split in the search"


class _Adapters:
    """Reads each adapter once; what was trained on something else is told apart from what is damaged."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._trials = {trial.number: trial for trial in history.trials}
        self.foreign: list[str] = []

    def faults(self, store: AdapterStore) -> Iterator[str]:
        """Yield what is wrong with the files; `foreign` is complete when this ends."""
        for number, results in sorted(results_by_trial(self._history.results).items()):
            for adapter, result in {result.adapter: result for result in results}.items():
                fault = self._fault(store, self._trials.get(number), result, adapter)
                if fault:
                    yield f"trial {number}, step {result.step}: {fault}"

    def _fault(self, store: AdapterStore, trial: Trial | None, result: Result, adapter: str) -> str:
        try:
            metadata = metadata_of(store.read(adapter))
            known = Identity.from_json(json.loads(metadata["identity"])) if "identity" in metadata else None
            written = Trial.from_json(json.loads(metadata["trial"]))
        except (Failure, WrongInput) as error:
            return str(error)
        except (KeyError, ValueError, TypeError):
            return f"adapter {adapter[:12]}: its header is not one of ours"
        if trial is not None and (written != trial or metadata.get("step") != str(result.step)):
            return f"was trained as {_briefly(written)} to step {metadata.get('step')}, and the ledger has {_briefly(trial)}"
        wanted = self._history.record.known
        told = said(wanted.differences(known)) if wanted and known else ""
        if told:
            self.foreign.append(f"trial {result.trial}, step {result.step}: trained with {told}")
        return ""


def _briefly(trial: Trial) -> str:
    values = ", ".join(f"{key}={value}" for key, value in sorted(trial.hyperparameters.items()))
    return f"trial {trial.number} {trial.method} ({values}), seed {trial.seed}"


def _scores(history: History) -> Iterator[str]:
    finals = {trial.number for trial in history.trials if trial.purpose == "final"}
    for result in history.results:
        if result.trial not in finals or history.space.task.metric not in MEANS:
            continue
        kept = row_scores(history.store, [result]).get((result.trial, result.split))
        if kept is not None and len(kept) and abs(float(sum(kept)) / len(kept) - result.score) > SLACK:
            mean = float(sum(kept)) / len(kept)
            yield f"trial {result.trial}: the {result.split} score is {result.score:.6f}, and its rows have {mean:.6f}"


MEANS = ("accuracy",)
"""Metrics that are the mean of what rows add; of others the kept rows are pseudo-values."""
