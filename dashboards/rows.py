"""What the commands print, as rows of plain text: pure functions of records, without a width or a colour."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..spaces.axes import Axis
from ..spaces.errors import one_line
from ..spaces.records import Problem, Result, Trial
from .curve import Curve
from .states import problems_by_trial, results_by_trial, state_of
from .verdicts import not_told_apart
from .words import axis, configuration, count, mean_over_seeds, metric, others, size

ALIKE_NAMED = 4
"""With more trials that one is not told from, only their number beyond these is said."""


class FrontierRow(NamedTuple):
    """One point of the curve."""

    trial: str
    method: str
    parameters: str
    bytes: str
    validation: str
    test: str
    not_told_from: str
    hyperparameters: str
    seed: str
    others: str
    """Further metrics, each with its name."""


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
    others: str
    """Further metrics, each with its name."""


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


def frontier_rows(curve: Curve) -> list[FrontierRow]:
    """Return one row a point of the frontier, smallest first."""
    alike = not_told_apart(curve)
    return [
        FrontierRow(
            trial=str(point.trial),
            method=point.method,
            parameters=count(point.trainable_parameters),
            bytes=size(point.bytes),
            validation=metric(point.score),
            test=mean_over_seeds(point),
            not_told_from=_named(alike[point.trial]),
            hyperparameters=configuration(point.hyperparameters),
            seed=str(point.seed),
            others=others(point.others),
        )
        for point in curve.front
    ]


def _named(alike: Sequence[int]) -> str:
    """`3, 5`, `3, 5, 7, 9 +12`, or a dash."""
    beyond = f" +{len(alike) - ALIKE_NAMED}" if len(alike) > ALIKE_NAMED else ""
    return ", ".join(map(str, alike[:ALIKE_NAMED])) + beyond or "–"


def trial_rows(trials: Sequence[Trial], results: Sequence[Result], problems: Sequence[Problem], *, last_step: int) -> list[TrialRow]:
    """Return one row a trial, in the given order; a failed trial says why, any other its configuration."""
    scored, failed = results_by_trial(results), problems_by_trial(problems)
    return [_trial_row(trial, scored.get(trial.number, []), failed.get(trial.number, []), last_step) for trial in trials]


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
        others=others(latest.others if latest else None),
    )


def method_row(
    *,
    name: str,
    formula: str,
    citation: str,
    floor: int | None,
    axes: Mapping[str, Axis],
    exports: Sequence[str],
    packable: bool,
    source: str = "",
) -> MethodRow:
    """Return a method's row from the fields of `methods --json`; `floor` None where it does not fit the model."""
    brought = f"\nby {source}" if source else ""
    return MethodRow(
        method=name,
        floor="–" if floor is None else count(floor),
        packs="yes" if packable else "no",
        exports="\n".join(exports),
        formula=f"{formula}\n{citation}{brought}",
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
