"""What MLflow should show of a study, as plain values: computed from the ledger's records, compared with what is there already.

A study is one parent run, a trial one child run: both are an `RunRecord`. Its numbers come in rows (one for the start, one per
result) that only ever grow at the end, so a short `mark` over the first rows tells how far an entry has been written and
whether what was written is still what the ledger says.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from ...spaces.attempts import verdict
from ...spaces.records import Point, Problem, Result, Trial
from ...spaces.references import Reference

if TYPE_CHECKING:
    from ..ledger.ledger import StudyRecord

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

STUDY = "study"
"""The key of the parent entry; a trial's key is its number."""
IDENTITY, KEY, MARK = "ulpt_search.study", "ulpt_search.key", "ulpt_search.mark"
"""Tags by which runs are found again: which study, which entry of it, and how far it has been written."""

_TEXT = 5000
"""Longest tag or parameter that every MLflow store takes."""


Part = tuple[Sequence[Trial], Sequence[Result], Sequence[Problem]]
"""Some trials, and all that came of each of them."""


@dataclass(frozen=True)
class Snapshot:
    """The ledger's records of one study at one moment, and what has been made of them."""

    trials: Sequence[Trial] = ()
    results: Sequence[Result] = ()
    problems: Sequence[Problem] = ()
    frontier: Sequence[Point] = ()
    """The Pareto front, cheapest first."""
    files: Sequence[Path] = ()
    """Files and folders to show on the parent run under their own names; those that do not exist yet are passed over."""
    references: Sequence[Reference] = ()
    """What was measured beside the trials."""
    pages: Iterable[Part] = ()
    """More trials with all that came of each, read when they are asked for: a long study is in memory a page at a time."""
    others: int = 0
    """How many trials the study has besides `trials`, whether they are among the pages or not."""
    whole: bool = True
    """Whether every trial is here, rather than those that have changed."""

    @property
    def count(self) -> int:
        """How many trials the study has."""
        return len(self.trials) + self.others

    def parts(self) -> Iterator[Part]:
        """Yield the trials that are here with what came of them, some at a time."""
        if self.trials:
            yield self.trials, self.results, self.problems
        yield from self.pages


@dataclass(frozen=True)
class Number:
    """One value of one metric, at a training step and `after` seconds of the trial's own training."""

    key: str
    value: float
    step: int
    after: float


@dataclass(frozen=True)
class RunRecord:
    """One MLflow run as the ledger says it should be."""

    key: str
    name: str
    status: Status
    params: Mapping[str, str]
    tags: Mapping[str, str]
    rows: tuple[tuple[Number, ...], ...]

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return max((number.after for row in self.rows for number in row), default=0.0)

    def mark(self, count: int) -> str:
        """Name the first `count` rows, with everything about the run that MLflow cannot change afterwards."""
        content = repr((self.name, sorted(self.params.items()), self.rows[:count]))
        return f"{count}:{hashlib.sha256(content.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Logged:
    """One MLflow run as it is."""

    run: str
    started: int
    """Milliseconds since 1970."""
    status: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """What is missing in MLflow to make a run equal to its entry; empty fields need no call."""

    params: Mapping[str, str]
    tags: Mapping[str, str]
    numbers: tuple[Number, ...]
    status: Status | None

    def __bool__(self) -> bool:
        return bool(self.params or self.tags or self.numbers or self.status)


def difference(entry: RunRecord, logged: Logged) -> Change | None:
    """Return what to write so that the run shows the entry, or None when the run contradicts it and must be made anew."""
    mark = logged.tags.get(MARK)
    written = int(mark.partition(":")[0]) if mark else 0
    if mark and (written > len(entry.rows) or mark != entry.mark(written)):
        return None
    wanted = {**entry.tags, MARK: entry.mark(len(entry.rows))}
    return Change(
        params={} if mark else entry.params,
        tags={key: value for key, value in wanted.items() if logged.tags.get(key) != value},
        numbers=tuple(number for row in entry.rows[written:] for number in row),
        status=entry.status if entry.status != logged.status else None,
    )


def identity(study: "StudyRecord") -> str:
    """Return a name that no other study has, not even one of the same name in another ledger."""
    content = repr((study.name, study.created, study.budget, study.seed, study.fingerprint, study.task_digest))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def settled(snapshot: Snapshot, *, shown: str | None) -> Status:
    """Return the status of a study that nobody drives, given what MLflow shows of it (None: nothing).

    A driver that ended in order has said how; where none did, the study is finished when no trial was left without a result.
    """
    if shown in ("FINISHED", "FAILED", "KILLED"):
        return cast(Status, shown)
    return "FINISHED" if shown is None and all(map(_ended, snapshot.parts())) else "KILLED"


def _ended(part: Part) -> bool:
    trials, results, problems = part
    ended = {result.trial for result in results} | {problem.trial for problem in problems}
    return all(trial.number in ended for trial in trials)


def study_run(study: "StudyRecord", snapshot: Snapshot, *, status: Status) -> RunRecord:
    """Return the parent run: the study's settings, and its frontier as a table in the description."""
    settings = {"budget": study.budget, "seed": study.seed, **_settings(study)}
    params = {key: str(value)[:_TEXT] for key, value in settings.items()}
    shared = {key: params[key] for key in ("budget", "model", "task", "seed")}
    tags = {
        **shared,
        "study": study.name,
        "trials": str(snapshot.count),
        IDENTITY: identity(study),
        KEY: STUDY,
        "mlflow.note.content": _description(study, snapshot),
        "task_notes": "; ".join(study.task_notes)[:_TEXT] or "none",
    }
    return RunRecord(STUDY, study.name, status, params, tags, rows=())


def trial_runs(study: "StudyRecord", snapshot: Snapshot, *, status: Status, parent: str) -> Iterator[RunRecord]:
    """Yield the child runs of the run `parent` in the order of their numbers, of those trials that are in the snapshot.

    `status` is the study's own; a trial without a result shares it, for it was waiting or running when the study ended.
    """
    front = {point.trial for point in snapshot.frontier}
    settings = {key: str(_settings(study)[key])[:_TEXT] for key in ("model", "task")}
    shared = {"study": study.name, IDENTITY: identity(study), "mlflow.parentRunId": parent, **settings}
    for part in snapshot.parts():
        for trial, results, problems in _by_trial(part):
            tags = {**shared, **_trial_tags(trial, problems, on_frontier=trial.number in front)}
            params = {"method": trial.method, "seed": trial.seed, **trial.hyperparameters}
            yield RunRecord(
                key=str(trial.number),
                name=f"{trial.method} #{trial.number}",
                status=_trial_status(results, problems, study=status),
                params={key: str(value)[:_TEXT] for key, value in params.items()},
                tags=tags,
                rows=_rows(trial, results),
            )


def _by_trial(part: Part) -> Iterator[tuple[Trial, Sequence[Result], Sequence[Problem]]]:
    trials, all_results, all_problems = part
    results: dict[int, list[Result]] = defaultdict(list)
    problems: dict[int, list[Problem]] = defaultdict(list)
    for result in all_results:
        results[result.trial].append(result)
    for problem in all_problems:
        problems[problem.trial].append(problem)
    for trial in sorted(trials, key=lambda trial: trial.number):
        yield trial, results[trial.number], problems[trial.number]


def reference_runs(study: "StudyRecord", snapshot: Snapshot, *, parent: str) -> Iterator[RunRecord]:
    """Yield the child runs of what stands beside the curve, tagged as such."""
    settings = {key: str(_settings(study)[key])[:_TEXT] for key in ("model", "task")}
    for one in snapshot.references:
        numbers = {"trainable_parameters": one.parameters, "log10_trainable_parameters": math.log10(max(1, one.parameters))}
        scores = {"validation_score": one.score, "test_score": one.test_score, "seconds": one.seconds}
        further = {f"test_{name}": value for name, value in one.others.items()}
        row = tuple(Number(key, float(value), 0, 0.0) for key, value in {**numbers, **scores, **further}.items())
        tags = {"study": study.name, IDENTITY: identity(study), "mlflow.parentRunId": parent, **settings, "purpose": "reference"}
        own = {KEY: f"reference {one.kind}", "method": one.kind, "mlflow.note.content": one.about, "on_frontier": "no"}
        yield RunRecord(own[KEY], f"reference: {one.kind}", "FINISHED", {"method": one.kind}, {**tags, **own}, (row,))


def _settings(study: "StudyRecord") -> dict[str, object]:
    space = study.space
    training = space["training"]
    return {
        "model": space["model"]["name"],
        "task": space["task"]["name"],
        "space": space["name"],
        "methods": ", ".join(space["methods"]),
        "steps": training["steps"],
        "batch": training["batch"],
        "model_fingerprint": study.fingerprint,
        "task_digest": study.task_digest,
    }


def _trial_tags(trial: Trial, problems: Sequence[Problem], *, on_frontier: bool) -> dict[str, str]:
    tags = {
        KEY: str(trial.number),
        "method": trial.method,
        "seed": str(trial.seed),
        "purpose": trial.purpose,
        "on_frontier": "yes" if on_frontier else "no",
    }
    if trial.finalist is not None:
        tags["finalist"] = str(trial.finalist)
    if problems:
        tags["problem"] = problems[-1].error[:_TEXT]
    return tags


def _trial_status(results: Sequence[Result], problems: Sequence[Problem], *, study: Status) -> Status:
    """A trial that waits for more steps has nothing running: it is finished as far as it goes."""
    broken = any(not math.isfinite(result.score) for result in results)
    if broken or verdict(problems) is not None:
        return "FAILED"
    if results:
        return "FINISHED"
    return "RUNNING" if study == "RUNNING" else "KILLED"


def _rows(trial: Trial, results: Sequence[Result]) -> tuple[tuple[Number, ...], ...]:
    """One row per result, validation before test, so that a later result never comes before an earlier one."""
    size = {"trainable_parameters": float(trial.parameters), "log10_trainable_parameters": math.log10(max(1, trial.parameters))}
    rows = [tuple(Number(key, value, 0, 0.0) for key, value in size.items())]
    after, known = 0.0, 0
    for result in sorted(results, key=lambda result: (result.step, result.split == "test")):
        score = (f"{result.split}_score", result.score)
        if result.step == known:  # both splits of a step report the same stretch of training
            rows.append((Number(*score, result.step, after), *_others(result, after)))
            continue
        after, known = after + result.seconds, result.step
        row = dict([score, ("loss", result.loss), ("seconds", after), ("bytes", result.bytes)])
        rows.append((*(Number(key, float(value), result.step, after) for key, value in row.items()), *_others(result, after)))
    return tuple(rows)


def _others(result: Result, after: float) -> Iterator[Number]:
    """Further metrics of a result: `test_f1`."""
    yield from (Number(f"{result.split}_{name}", value, result.step, after) for name, value in (result.others or {}).items())


def _description(study: "StudyRecord", snapshot: Snapshot) -> str:
    lines = [
        f"Best adapters with at most {study.budget:,} trainable parameters; {snapshot.count} trials so far.",
        "",
        "| trial | method | parameters | validation (95 %) | test (95 %) |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for point in snapshot.frontier:
        if sum(map(len, lines)) + len(lines) > _TEXT - 200:
            return "\n".join([*lines, "| … | the whole frontier is among the artifacts | | | |"])
        lines.append(_table_row(point))
    return "\n".join(lines)


def _table_row(point: Point) -> str:
    seeds = f"{len(point.seeds)} seed{'s' * (len(point.seeds) != 1)}"
    test = "" if point.test_score is None else f"{point.test_score:.4f} ({point.test_low:.4f} to {point.test_high:.4f}) over {seeds}"
    validation = f"{point.score:.4f} ({point.score_low:.4f} to {point.score_high:.4f})"
    return f"| #{point.trial} | {point.method} | {point.trainable_parameters:,} | {validation} | {test} |"
