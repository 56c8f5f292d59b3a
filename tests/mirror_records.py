"""A small study as the ledger would hand it over, and what MLflow shows of it: shared by the mirror's tests."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ulpt_search.search.ledger.ledger import StudyRecord
from ulpt_search.search.tracking.run_records import IDENTITY, KEY, Snapshot, identity
from ulpt_search.search.tracking.runs import connect
from ulpt_search.spaces.axes import Int
from ulpt_search.spaces.records import Point, Problem, Result, Split, Trial
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.spaces.space_json import space_to_json

SPACE = space_to_json(Space("ulpt", ModelSpec(), TaskSpec(), Training(), {"ulpt": {"dim": Int(2, 256, log=True)}, "lora": {}}))
STUDY = StudyRecord("tiny", SPACE, 10_000, 0, "53aa51", "ab12", "2025-11-20T20:00:00+00:00")


def trial(number: int, method: str = "ulpt", *, parameters: int = 788, finalist: int | None = None) -> Trial:
    hyperparameters = {"dim": number + 2, "lr": 0.1 / (number + 1), "scale": True}
    return Trial(number, method, hyperparameters, number % 3, parameters, "search" if finalist is None else "final", finalist)


def result(number: int, step: int, score: float, *, split: Split = "validation") -> Result:
    return Result(number, step, split, score, 2e-4, 1 / step, step / 100, f"{number:060x}{step:04x}", 3152)


def small() -> Snapshot:
    """Four trials: one at the horizon, one stopped early, one that failed, one that runs; and a finalist."""
    trials = [trial(0), trial(1, "lora", parameters=1536), trial(2), trial(3), trial(4, finalist=0)]
    scores = [result(0, 25, 0.5), result(1, 25, 0.55), result(0, 50, 0.6), result(4, 50, 0.61), result(4, 50, 0.58, split="test")]
    point = Point(0, "ulpt", trials[0].hyperparameters, 0, 788, 3152, 50, 0.6, 0.57, 0.63, 0.58, 0.55, 0.61, (1004,), (3,), 3, 0.6, 0.58)
    return Snapshot(trials, scores, [Problem(2, "the loss became NaN at step 3", fatal=True)], [point])


def many(count: int) -> Snapshot:
    """`count` trials with three results each, in the order in which a search would have recorded them."""
    trials = [trial(number, parameters=700 + number) for number in range(count)]
    scores = [result(number, step, 0.4 + step / 1000 + number / 10_000) for step in (25, 50, 100) for number in range(count)]
    return Snapshot(trials, scores)


def add(snapshot: Snapshot, *results: Result) -> Snapshot:
    return replace(snapshot, results=[*snapshot.results, *results])


def sqlite(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.sqlite'}"


def runs(uri: str, study: StudyRecord = STUDY) -> list[Any]:
    """Every run of the study that a person sees, asked of MLflow itself."""
    client = connect(uri)
    experiment = client.get_experiment_by_name(f"ulpt-search/{study.name}")
    assert experiment
    return list(client.search_runs([experiment.experiment_id], f"tags.`{IDENTITY}` = '{identity(study)}'", max_results=5000))


def keys(shown: Iterable[Any]) -> list[str]:
    return sorted(run.data.tags[KEY] for run in shown)


def statuses(uri: str, *, study: StudyRecord = STUDY) -> dict[str, str]:
    return {run.data.tags[KEY]: run.info.status for run in runs(uri, study)}


def history(uri: str, run: Any, metric: str) -> list[tuple[int, float]]:
    """`(step, value)` of everything that was ever logged, duplicates and all."""
    return sorted((m.step, m.value) for m in connect(uri).get_metric_history(run.info.run_id, metric))


def assert_mirrored(uri: str, snapshot: Snapshot, *, study: StudyRecord = STUDY) -> None:
    """MLflow shows exactly one run per trial with exactly the ledger's scores and costs, and one for the study."""
    shown = runs(uri, study)
    assert keys(shown) == sorted(["study", *(str(t.number) for t in snapshot.trials)])
    by_key = {run.data.tags[KEY]: run for run in shown}
    for t in snapshot.trials:
        run, mine = by_key[str(t.number)], [r for r in snapshot.results if r.trial == t.number]
        assert run.data.params == {"method": t.method, "seed": str(t.seed), **{k: str(v) for k, v in t.hyperparameters.items()}}
        assert history(uri, run, "trainable_parameters") == [(0, t.parameters)]
        for split in ("validation", "test"):
            wanted = sorted((r.step, r.score) for r in mine if r.split == split)
            assert history(uri, run, f"{split}_score") == wanted
        assert history(uri, run, "loss") == sorted({(r.step, r.loss) for r in mine})
