"""A run's jobs as Ray Tune knows them: a job is a trial of its own, an outcome its metrics. Imported by `cluster.py`, which prepares Ray.

`fit` gives a round of them to one `Tuner`, which keeps a record of each for as long as it lives.
"""

import json
import secrets
import shutil
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from ...spaces.attempts import LOST
from ...spaces.errors import Failure
from ...spaces.outages import heard_by
from ...spaces.records import Job, Outcome
from ...spaces.space import Setup
from .dispatch import Dispatch, failed, traced
from .messages import WAITING, from_metrics, loaded, reason_of, to_metrics

ROUND = 2000
"""Jobs of one `Tuner`, some 25 kB each in the driver. The next one's workers begin anew."""

_RUNS: dict[str, Dispatch] = {}
"""Runs in progress by the name of the `Tuner` at work. Tune pickles its helpers, which therefore know only the name."""
_TRIALS: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""Tune's own record of each job in flight, by the name that it has there."""


class _JobSearcher(Searcher):
    """Tune's view of a run: a job as a configuration, an outcome as a metric, both as JSON."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._last = _RUNS[name].given + ROUND

    def suggest(self, trial_id: str) -> Any:
        run = _RUNS[self._name]
        if run.given >= self._last or run.over():
            return Searcher.FINISHED
        job = run.suggest(trial_id)
        return None if job is None else {"job": json.dumps(job.to_json())}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if WAITING in result:
            _RUNS[self._name].wait(trial_id, result[WAITING])
        else:
            _RUNS[self._name].settle(trial_id, from_metrics(result))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result and not error:
            _RUNS[self._name].settle(trial_id, from_metrics(result))
        else:
            _RUNS[self._name].lose(trial_id, LOST)


class _Keeper(FIFOScheduler):
    """First to hear of a lost worker: keeps Tune's report of it and says why. Not a callback: given one, Tune imports MLflow."""

    def __init__(self, name: str, errors: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name
        self._errors = errors

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        _TRIALS[trial.trial_id] = trial
        super().on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        if trial.should_recover():  # its machine was taken away, and Tune runs it again by itself
            return
        report = Path(trial.local_path, trial.run_metadata.error_filename).read_text()
        self._errors.mkdir(exist_ok=True)
        (self._errors / f"{self._name}-{trial.trial_id}.txt").write_text(report)
        _RUNS[self._name].lose(trial.trial_id, reason_of(report))


class _Leaver(tune.Stopper):
    """Asked in each of Tune's steps, ten times a second or more: the place to leave from."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        run = _RUNS[self._name]
        run.check()
        for name in run.overdue():
            actor = _TRIALS[name].temporary_state.ray_actor
            if actor is not None:  # else it waits for a place: what holds that place is overdue, too
                ray.kill(actor)  # by SIGKILL in the end, which reaches a stopped process
                run.give_up(name)
        return False


def fit(run: Dispatch, train: Any, *, workers: int, storage: Path) -> None:
    """Do a run's jobs, or a round of them, with so many workers at a time; what Tune writes goes to `storage`, and away again."""
    name = f"run-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    _RUNS[name] = run
    try:
        _tuner(name, train, workers=workers, storage=storage).fit()
    finally:
        del _RUNS[name]
        shutil.rmtree(storage / name, ignore_errors=True)


def _tuner(name: str, train: Any, *, workers: int, storage: Path) -> tune.Tuner:
    return tune.Tuner(
        train,
        tune_config=tune.TuneConfig(
            search_alg=_JobSearcher(name),
            scheduler=_Keeper(name, storage / "errors"),
            num_samples=-1,
            max_concurrent_trials=workers,  # else Tune asks for a job ahead, proposed before the last results were known
            reuse_actors=True,
            trial_name_creator=_trial_id,
            trial_dirname_creator=_trial_id,
        ),
        run_config=tune.RunConfig(name=name, storage_path=str(storage), verbose=0, stop=_Leaver(name)),
    )


def trainable(setup: Setup, *, run_job: str, threads: int) -> Callable[[Mapping[str, str]], None]:
    """Return what Tune runs in a worker for each job; a closure, so that it travels by value."""

    def train(config: Mapping[str, str]) -> None:
        job = Job.from_json(json.loads(config["job"]))
        try:
            function = loaded(run_job, threads=threads)
        except BaseException as error:  # our own program cannot be loaded
            tune.report(to_metrics(Outcome(job.number, unable=f"a worker cannot load {run_job}: {traced(error)}")))
            raise
        try:
            with heard_by(lambda why: tune.report({WAITING: why})):
                outcome = function(setup, job)
        except BaseException as error:
            tune.report(to_metrics(failed(job, traced(error))))
            raise  # Tune replaces the process: after an error nobody foresaw, its memory and its GPU are not to be trusted
        if outcome.unable is not None:
            tune.report(to_metrics(outcome))
            raise Failure(outcome.unable)
        tune.report({**to_metrics(outcome), "done": True})

    return train


def _trial_id(trial: Any) -> str:
    return str(trial.trial_id)
