"""A job from outside: trials of every kind in one job, each trained as if it were alone, to be continued from what was stored."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.records import Assignment, Job, Result, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.training.heads import Heads
from ulpt_search.workers.training.worker import run_job

from . import task_files, toy, zoo

KINDS: list[tuple[str, Hyperparameters]] = [
    ("prompt", {"prompt_length": 2, "lr": 0.02}),
    ("lora", {"layers": "last:1", "lr": 0.01}),
    ("lora+dst", {"lora.lr": 0.01, "dst.fraction": 0.2}),
    ("lora+sgc", {"lora.lr": 0.01}),
    ("lora+subzero", {"subzero.lr": 1e-3}),
    ("peft:loha", {"lr": 0.01}),
    ("full+senszoq", {"full.modules": "q", "senszoq.fraction": 0.05, "senszoq.calibration": 2, "senszoq.lr": 1e-3}),
]
TRIALS = [Trial(n, name, values, n, count(name, values, zoo.backbone("encoder").shape)) for n, (name, values) in enumerate(KINDS)]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    rows = [{"text_a": text, "label": toy.LABELS[int(label)]} for text, label in zip(toy.rows().texts_a, toy.rows().labels, strict=True)]
    folder = task_files.folder(tmp_path_factory.mktemp("worker") / "toy", train=rows[:64], validation=rows[64:80], test=rows[80:])
    model = ModelSpec(zoo.saved("encoder"), dtype="float32", device="cpu")
    task = TaskSpec("toy", path=str(folder), labels={label: label for label in toy.LABELS}, max_tokens=32)
    return Setup(model, task, Training(steps=8, rungs=(4, 8), batch=8), store=str(folder.parent / "store"))


def job(trials: list[Trial], stop: int, earlier: list[Result] | None = None) -> Job:
    stands = {result.trial: result for result in earlier or []}
    parts = [
        Assignment(trial, stands[trial.number].step, stands[trial.number].adapter) if stands else Assignment(trial) for trial in trials
    ]
    return Job(0, tuple(parts), stop)


def run(setup: Setup, trials: list[Trial], stop: int, earlier: list[Result] | None = None) -> list[Result]:
    outcome = run_job(setup, job(trials, stop, earlier))
    assert not outcome.problems
    return sorted(outcome.results, key=lambda result: result.trial)


def test_one_job_holds_every_kind(setup: Setup) -> None:
    half = run(setup, TRIALS, 4)
    assert [result.trial for result in half] == [trial.number for trial in TRIALS]
    through, apart = run(setup, TRIALS, 8), run(setup, TRIALS, 8, half)
    for resumed, straight in zip(apart, through, strict=True):
        assert resumed.score == pytest.approx(straight.score)
    for trial, result in zip(TRIALS, through, strict=True):
        (alone,) = run(setup, [trial], 8)
        assert replace(alone, seconds=0.0, adapter="", loss=0.0) == replace(result, seconds=0.0, adapter="", loss=0.0)
        assert alone.loss == pytest.approx(result.loss, rel=1e-3)


@pytest.mark.parametrize("modules", ["q", "q,k,v"])
def test_a_trial_whose_tensors_are_others_today_ends_the_run(setup: Setup, modules: str) -> None:
    """As when a linear is no site any more, or a name stands for another part of one: nothing that was trained is dropped in silence."""
    begun, stored = replace(TRIALS[1], hyperparameters={"modules": "q,v"}), replace(TRIALS[1], hyperparameters={"modules": modules})
    half = run(setup, [stored], 4)
    outcome = run_job(setup, job([begun], 8, half))
    assert outcome.refused is not None
    assert "unlike what its hyperparameters mean on this model today" in outcome.refused
    assert not outcome.problems


HEAD = Trial(90, "head+dst", {"head.lr": 0.05, "dst.fraction": 0.2}, 1, count("head+dst", {}, zoo.backbone("encoder").shape))


def test_a_start_that_another_machine_computes_otherwise_changes_nothing_that_goes_on(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head starts from the frozen model's states, which are another machine's to some digits; DST goes back to that start."""
    half = run(setup, [HEAD], 4)
    (here,) = run(setup, [HEAD], 8, half)
    begin = Heads.begin
    monkeypatch.setattr(Heads, "begin", lambda self, pack, data: (begin(self, pack, data), pack.flat.mul_(1.001)))
    (there,) = run(setup, [HEAD], 8, half)
    assert there.adapter == here.adapter
    assert run(setup, [HEAD], 4)[0].adapter != half[0].adapter


GO_ON = """
import pickle, sys
from ulpt_search.workers.training.worker import run_job
print(run_job(*pickle.loads(open(sys.argv[1], "rb").read())).results[0].adapter)
"""


@pytest.mark.slow
def test_another_process_goes_on_to_the_same_bits(setup: Setup, tmp_path: Path) -> None:
    half = run(setup, [HEAD], 4)
    (here,) = run(setup, [HEAD], 8, half)
    (tmp_path / "job").write_bytes(pickle.dumps((setup, job([HEAD], 8, half))))
    done = subprocess.run([sys.executable, "-c", GO_ON, str(tmp_path / "job")], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == here.adapter
