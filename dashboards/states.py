"""Where trials stand, by the records alone: they cannot tell a running trial from a waiting one."""

from collections import defaultdict
from collections.abc import Sequence

from ..spaces.attempts import verdict
from ..spaces.records import Problem, Result, State, Trial


def state_of(trial: Trial, results: Sequence[Result], problems: Sequence[Problem], *, last_step: int) -> State:
    """Return where a trial stands. `results` and `problems` are its own; with results below `last_step` alone it counts as stopped."""
    if any(result.step >= last_step for result in results):
        return "done"
    if verdict(problems) is not None:
        return "failed"
    return "stopped" if results else "waiting"


def states_of(trials: Sequence[Trial], results: Sequence[Result], problems: Sequence[Problem], *, last_step: int) -> dict[int, State]:
    """Return trial number -> where it stands, for all trials of a study at once."""
    scored, failed = results_by_trial(results), problems_by_trial(problems)
    return {
        trial.number: state_of(trial, scored.get(trial.number, ()), failed.get(trial.number, ()), last_step=last_step) for trial in trials
    }


def results_by_trial(results: Sequence[Result]) -> dict[int, list[Result]]:
    """Return trial number -> its results, in the given order, for those that have any."""
    found: dict[int, list[Result]] = defaultdict(list)
    for result in results:
        found[result.trial].append(result)
    return dict(found)


def problems_by_trial(problems: Sequence[Problem]) -> dict[int, list[Problem]]:
    """Return trial number -> its problems, in the given order, for those that have any."""
    found: dict[int, list[Problem]] = defaultdict(list)
    for problem in problems:
        found[problem.trial].append(problem)
    return dict(found)
