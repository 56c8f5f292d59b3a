"""What the commands print, as rows of plain text: pure functions of records, without a width or a colour."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..spaces.axes import Axis
from ..spaces.records import Point, Problem, Result, State, Trial
from .verdicts import ties
from .words import axis, configuration, count, mean_over_seeds, metric, one_line, size

ATTEMPTS = 3
"""A trial that has failed this often is failed for good."""


class FrontierRow(NamedTuple):
    """One point of the curve."""

    trial: str
    method: str
    parameters: str
    bytes: str
    validation: str
    test: str
    ties: str
    hyperparameters: str
    seed: str


class TrialRow(NamedTuple):
    """One trial of a study."""

    trial: str
    method: str
    parameters: str
    state: str
    step: str
    score: str
    note: str
    seed: str


class StudyRow(NamedTuple):
    """One study of the ledger."""

    study: str
    task: str
    model: str
    budget: str
    trials: str
    best: str
    created: str


class MethodRow(NamedTuple):
    """One method of the catalogue."""

    method: str
    floor: str
    packs: str
    exports: str
    formula: str
    axes: str


class RuleRow(NamedTuple):
    """One training rule of the catalogue."""

    rule: str
    formula: str
    axes: str


class PlanRow(NamedTuple):
    """One method of a plan."""

    method: str
    smallest: str
    largest: str
    feasible: str
    why: str


def frontier_rows(front: Sequence[Point]) -> list[FrontierRow]:
    """Return one row a point, in the given order."""
    tied = ties(front)
    return [
        FrontierRow(
            trial=str(point.trial),
            method=point.method,
            parameters=count(point.trainable_parameters),
            bytes=size(point.bytes),
            validation=metric(point.score),
            test=mean_over_seeds(point),
            ties=", ".join(map(str, tied[point.trial])) or "–",
            hyperparameters=configuration(point.hyperparameters),
            seed=str(point.seed),
        )
        for point in front
    ]


def state_of(trial: Trial, results: Sequence[Result], problems: Sequence[Problem], *, last_step: int) -> State:
    """Return where a trial stands by the records alone: they cannot tell a running trial from a waiting one.

    `results` and `problems` are the trial's own. A trial with results below `last_step` counts as stopped.
    """
    if any(result.step >= last_step for result in results):
        return "done"
    if len(problems) >= ATTEMPTS or any(problem.fatal for problem in problems):
        return "failed"
    return "stopped" if results else "waiting"


def trial_rows(trials: Sequence[Trial], results: Sequence[Result], problems: Sequence[Problem], *, last_step: int) -> list[TrialRow]:
    """Return one row a trial, in the given order; a failed trial says why, any other its configuration."""
    scored: dict[int, list[Result]] = {trial.number: [] for trial in trials}
    failed: dict[int, list[Problem]] = {trial.number: [] for trial in trials}
    for result in results:
        scored[result.trial].append(result)
    for problem in problems:
        failed[problem.trial].append(problem)
    return [_trial_row(trial, scored[trial.number], failed[trial.number], last_step) for trial in trials]


def _trial_row(trial: Trial, results: Sequence[Result], problems: Sequence[Problem], last_step: int) -> TrialRow:
    state = state_of(trial, results, problems, last_step=last_step)
    latest = max(results, key=lambda result: result.step, default=None)
    final = f"final of {trial.finalist}: " if trial.finalist is not None else ""
    return TrialRow(
        trial=str(trial.number),
        method=trial.method,
        parameters=count(trial.parameters),
        state=state,
        step=str(latest.step) if latest else "–",
        score=metric(latest.score) if latest else "–",
        note=one_line(problems[-1].error) if state == "failed" else final + configuration(trial.hyperparameters),
        seed=str(trial.seed),
    )


def method_row(
    *, name: str, formula: str, citation: str, floor: int | None, axes: Mapping[str, Axis], exports: Sequence[str], packable: bool
) -> MethodRow:
    """Return a method's row from the fields of `methods --json`; `floor` None where it does not fit the model."""
    return MethodRow(
        method=name,
        floor="–" if floor is None else count(floor),
        packs="yes" if packable else "no",
        exports="\n".join(exports),
        formula=f"{formula}\n{citation}",
        axes="\n".join(f"{name}: {axis(of)}" for name, of in axes.items()),
    )


def rule_row(*, name: str, formula: str, citation: str, axes: Mapping[str, Axis]) -> RuleRow:
    """Return a training rule's row from the fields of `methods --rules --json`."""
    return RuleRow(name, f"{formula}\n{citation}", "\n".join(f"{name}: {axis(of)}" for name, of in axes.items()))


def plan_row(*, method: str, smallest: int | None, largest: int | None, feasible: bool, why: str) -> PlanRow:
    """Return a method's row from the fields of `plan --json`."""
    return PlanRow(
        method=method,
        smallest="–" if smallest is None else count(smallest),
        largest="–" if largest is None else count(largest),
        feasible="yes" if feasible else "no",
        why=why,
    )


def study_row(*, study: str, task: str, model: str, budget: int, trials: int, best: float | None, created: str) -> StudyRow:
    """Return a study's row; `best` is the highest validation score at the highest step, `created` an ISO time."""
    return StudyRow(
        study=study,
        task=task,
        model=model,
        budget=count(budget),
        trials=count(trials),
        best="–" if best is None else metric(best),
        created=created[:16].replace("T", " "),
    )
