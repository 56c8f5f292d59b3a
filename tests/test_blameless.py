"""What goes wrong in a worker, and whose doing it is: the place's, one trial's, or a pack's that was too large."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ulpt_search.search.brain.blame import Blame
from ulpt_search.spaces.attempts import ATTEMPTS, NO_ROOM, verdict
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.records import Assignment, Job, Outcome, Problem, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.worker import run_job

from . import ledgers, task_files, toy, zoo


def trial(number: int, method: str = "prompt", **values: Any) -> Trial:
    chosen: Hyperparameters = values or {"prompt_length": 1, "lr": 0.02}
    return Trial(number, method, chosen, number, count(method, chosen, zoo.backbone("encoder").shape))


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    rows = [{"text_a": text, "label": toy.LABELS[int(label)]} for text, label in zip(toy.rows().texts_a, toy.rows().labels, strict=True)]
    folder = task_files.folder(tmp_path / "toy", train=rows[:32], validation=rows[64:72], test=rows[80:88])
    model = ModelSpec(zoo.saved("encoder"), dtype="float32", device="cpu")
    task = TaskSpec("toy", path=str(folder), labels={label: label for label in toy.LABELS}, max_tokens=32)
    return Setup(model, task, Training(steps=4, rungs=(2, 4), batch=4), store=str(tmp_path / "store"))


def job(*trials: Trial, stop: int = 2) -> Job:
    return Job(0, tuple(Assignment(one) for one in trials), stop)


def test_a_damaged_adapter_costs_its_packmates_nothing(setup: Setup) -> None:
    first = run_job(setup, job(trial(0), trial(1), trial(2)))
    stands = {result.trial: result.adapter for result in first.results}
    file = next(Path(setup.store).rglob(f"{stands[1]}*"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    outcome = run_job(setup, Job(1, tuple(Assignment(trial(n), 2, stands[n]) for n in range(3)), 4))
    assert [result.trial for result in outcome.results] == [0, 2]
    (problem,) = outcome.problems
    assert (problem.trial, problem.alone, problem.own, problem.fatal) == (1, True, False, False), "it may be restored from a copy"
    assert "damaged" in problem.error
    assert outcome.unable is None


def test_a_store_that_cannot_be_written_is_nobodys_doing(setup: Setup, tmp_path: Path) -> None:
    assert run_job(setup, job(trial(0))).results
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_text("in the way")
    outcome = run_job(setup, job(trial(1), trial(2)))
    assert (outcome.results, outcome.problems) == ((), ())
    assert outcome.unable is not None
    assert "store" in outcome.unable
    (tmp_path / "store").unlink()
    assert len(run_job(setup, job(trial(1), trial(2))).results) == 2, "put right, it goes on"


def test_a_model_that_is_gone_is_nobodys_doing(setup: Setup, tmp_path: Path) -> None:
    outcome = run_job(replace(setup, model=ModelSpec(str(tmp_path / "gone"), device="cpu")), job(trial(0)))
    assert outcome.problems == ()
    assert outcome.unable is not None
    assert "gone" in outcome.unable


def test_memory_that_runs_out_is_told_of_the_methods_that_need_it(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's own error, raised where training would meet it, for packs of LoRA alone."""
    real = worker._train_and_score

    def short(session: Any, part: Job) -> Any:
        if len(part.assignments) > 1 and part.assignments[0].trial.method == "lora":
            raise torch.OutOfMemoryError("no room for 1234 bytes")
        return real(session, part)

    monkeypatch.setattr(worker, "_train_and_score", short)
    lora = [trial(n, "lora", layers="last:1", lr=0.01) for n in range(2, 4)]
    outcome = run_job(setup, job(trial(0), trial(1), *lora))
    assert len(outcome.results) == 4
    assert (outcome.pack_limit, outcome.heavy) == (1, ("lora",))


def test_a_single_trial_without_room_may_be_tried_again(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may have held the memory."""

    def short(session: Any, part: Job) -> Any:
        raise torch.OutOfMemoryError("no room for 1234 bytes")

    monkeypatch.setattr(worker, "_train_and_score", short)
    (problem,) = run_job(setup, job(trial(0))).problems
    assert (problem.fatal, problem.alone, problem.own) == (False, True, False)
    assert problem.error == f"{NO_ROOM}: no room for 1234 bytes"


def test_memory_that_others_hold_is_held_against_nobody_and_a_trial_too_large_is_found() -> None:
    """Each meeting is a job of its own; only where other jobs come back in between is it the trial that needs too much."""
    alone, blame = job(trial(0)), Blame()
    short = Outcome(0, problems=(Problem(0, f"{NO_ROOM}: 12 MiB of 80 GiB are free", alone=True, own=False),))
    full = [blame.judged(short, alone).problems[0] for _ in range(ATTEMPTS + 1)]
    assert [problem.own for problem in full] == [False] * (ATTEMPTS + 1)
    assert verdict(full) is None
    large: list[Problem] = []
    for number in range(ATTEMPTS + 1):
        large += blame.judged(short, alone).problems
        blame.judged(Outcome(number, results=(ledgers.result(1),)), job(trial(1)))
    assert [problem.own for problem in large] == [False, True, True, True]
    assert verdict(large) == large[-1].error
