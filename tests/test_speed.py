"""The fastest way to train here: how it is chosen, that it is remembered, and that every way computes the same."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ulpt_search.search.request import Request
from ulpt_search.search.running.resources import Resources
from ulpt_search.search.running.speed import Pace, Speed, SpeedCache, fastest
from ulpt_search.spaces.identity import Numerics
from ulpt_search.spaces.schema import load_space
from ulpt_search.spaces.space import Execution, ModelSpec, Space, Training
from ulpt_search.workers.catalogue import axes_of
from ulpt_search.workers.model.backbone import load
from ulpt_search.workers.model.devices import native_dtypes
from ulpt_search.workers.training.processor_share import Got, share
from ulpt_search.workers.training.speed_measurement import BUSY, Fastest, _candidates, _Stage, cheapest, grow, measure, smallest

from . import toy, zoo

FOUND = Fastest(Execution("float32", "sdpa"), 4, 12.5)
MIXED: list[toy.Config] = [("prefix", {"prefix_length": 3, "lr": 0.01}, 0), ("lora", {"rank": 1}, 1), ("ulpt", {"prompt_length": 4}, 2)]


def test_the_smallest_pack_that_is_nearly_the_fastest() -> None:
    assert smallest({1: 10.0, 2: 19.0, 4: 24.0, 8: 24.9}) == 4
    assert smallest({1: 10.0, 2: 10.4}) == 1
    assert smallest({1: 1.0}) == 1


def test_packs_grow_while_it_pays() -> None:
    assert list(grow({1: 1.0, 2: 2.0, 4: 4.0, 8: 4.1, 16: 9.0}.__getitem__, (1, 2, 4, 8, 16), seconds=60)) == [1, 2, 4, 8]
    assert list(grow(float, (1, 2, 4), seconds=0)) == [1]


def test_packs_grow_while_there_is_memory() -> None:
    def rate(size: int) -> float:
        if size > 2:
            raise torch.OutOfMemoryError("no room")
        return float(size)

    assert grow(rate, (1, 2, 4, 8), seconds=60) == {1: 1.0, 2: 2.0}
    with pytest.raises(torch.OutOfMemoryError):
        grow(rate, (4, 8), seconds=60)


def test_measured_on_the_real_thing() -> None:
    found = measure(load(ModelSpec(zoo.saved("encoder"), device="cpu")), toy.task(), Training(batch=8), dtype="float32", threads=1)
    assert found.execution.dtype == "float32"
    assert found.execution.attention in ("eager", "sdpa")
    assert found.pack >= 1
    assert found.rate > 0
    assert Fastest.from_json(found.to_json()) == found


def test_a_slow_model_is_tried_in_one_way_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def rate(stage: _Stage, size: int) -> float:
        tried.append(size)
        stage.rates_by_the_clock[size] = 1.0
        return 1.0

    monkeypatch.setattr("ulpt_search.workers.training.speed_measurement.KERNEL_SECONDS", 0.0)
    monkeypatch.setattr("ulpt_search.workers.training.speed_measurement._Stage.rate", rate)
    backbone = load(ModelSpec(zoo.saved("encoder"), device="cpu"))
    found = measure(backbone, toy.task(), Training(batch=8), dtype="float32", threads=1)
    assert found.execution == Execution("float32", "eager")
    assert tried[:2] == [1, 1]  # the one way, then packs


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_both_kernels_compute_the_same(family: str) -> None:
    def scores(kernel: str) -> torch.Tensor:
        execution = Execution("float32", kernel)  # type: ignore[arg-type]
        _, _, made = toy.train(load(ModelSpec(zoo.saved(family), device="cpu"), execution), MIXED, steps=3)
        return made

    torch.testing.assert_close(scores("eager"), scores("sdpa"), rtol=1e-3, atol=1e-3)


@pytest.fixture
def space() -> Space:
    return load_space("smoke", catalogue=axes_of)


def ask(space: Space, file: Path, *, begun: Numerics | None = None, anew: bool = False) -> tuple[Speed | None, list[str]]:
    said: list[str] = []
    backbone, memory = load(ModelSpec(zoo.saved("encoder"), device="cpu")), SpeedCache(file)
    return fastest(backbone, toy.task(), space, threads=1, memory=memory, say=said.append, begun=begun, anew=anew), said


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else this machine does, its measurements are believed."""
    monkeypatch.setattr("ulpt_search.workers.training.speed_measurement.BUSY", 0.0)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """One way and one pack are enough."""
    for name in ("KERNEL_SECONDS", "SECONDS"):
        monkeypatch.setattr(f"ulpt_search.workers.training.speed_measurement.{name}", 0.0)


def known(speed: Speed | None) -> Fastest:
    assert speed is not None
    assert speed.found is not None
    return speed.found


@pytest.mark.usefixtures("calm", "hasty")
def test_remembered(space: Space, tmp_path: Path) -> None:
    first, said = ask(space, tmp_path / "cache" / "speed.json")
    again, nothing = ask(space, tmp_path / "cache" / "speed.json")
    assert first == again
    assert len(said) == 2
    assert nothing == []
    assert len(ask(space, tmp_path / "cache" / "speed.json", anew=True)[1]) == 2, "--measure"


def test_near_ties_always_end_alike() -> None:
    """A load that slows one turn a little must not change how a study computes."""
    plain, fused = Execution("float32", "eager"), Execution("float32", "sdpa")
    assert cheapest({plain: 1.05, fused: 1.0}) == plain
    assert cheapest({plain: 1.0, fused: 1.05}) == plain
    assert cheapest({plain: 2.0, fused: 1.0}) == fused


def test_the_dtype_is_the_hardware_s_and_no_measurement_s() -> None:
    backbone = load(ModelSpec(zoo.saved("encoder"), device="cpu"))
    assert {way.dtype for way in _candidates(backbone, "auto")} == {native_dtypes(backbone.device)[-1]}
    assert {way.dtype for way in _candidates(backbone, "float32")} == {"float32"}


@pytest.mark.usefixtures("hasty")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_a_measurement_on_a_busy_machine_is_doubted_and_taken_again(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # what is started from here on shares this one processor with us
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        speed, said = ask(space, tmp_path / "speed.json")
    finally:
        os.sched_setaffinity(0, before)
        for process in spinning:
            process.kill()
            process.wait()
    found = known(speed)
    assert found.share < BUSY
    assert found.doubtful
    assert "this machine is busy" in said[-1]
    assert Fastest.from_json(found.to_json()).doubtful
    monkeypatch.setattr("ulpt_search.workers.training.speed_measurement.BUSY", 2.0)
    again = ask(space, tmp_path / "speed.json")[1]
    assert "again, for this machine was busy the last time" in again[0]
    assert "the next command measures again" not in again[-1]
    assert ask(space, tmp_path / "speed.json")[1] == [], "twice busy is what the machine is like"


def test_threads_that_sleep_ask_for_no_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most threads of a small model wait for one another, and an idle machine is not busy for that."""
    before = Got.now()
    time.sleep(0.4)
    idle = Got.now() - before
    assert idle.ran + idle.waited < 0.2
    assert share([Got(0.9, 0.1), idle, Got(0.0, 0.0)]) > BUSY
    assert share([Got(0.2, 0.8)]) == pytest.approx(0.2)
    assert share([]) == share([Got(0.0, 0.0)]) == 1.0
    monkeypatch.setattr("ulpt_search.workers.training.processor_share.THREADS", tmp_path)
    before = Got.now()
    time.sleep(0.1)
    assert share([Got.now() - before]) < 0.5, "where the system keeps no such account, the calling thread's own"


@pytest.mark.usefixtures("calm", "hasty")
@pytest.mark.parametrize("anew", [False, True])
def test_a_study_that_was_begun_goes_on_computing_as_it_did(space: Space, tmp_path: Path, anew: bool) -> None:
    file = tmp_path / "speed.json"
    for way in ("eager", "sdpa"):
        begun = Numerics("float32", way, "cpu", "2.6", "4.56")
        speed, said = ask(space, file, begun=begun, anew=anew)
        assert said[0].startswith("trying"), "another way's rate is not this one's"
        assert known(speed).execution == Execution("float32", way)
        assert ask(space, file, begun=begun) == (speed, [])
    elsewhere, said = ask(space, file, begun=Numerics("float32", "sdpa", "NVIDIA H100", "2.6", "4.56"))
    assert said[0].startswith("trying"), "what an older study keeps to is nothing that a new one begins with"
    new = known(elsewhere).execution
    assert new.dtype == native_dtypes(torch.device("cpu"))[-1]
    assert ask(space, file, begun=Numerics(new.dtype, new.attention, "cpu", "2.6", "4.56"))[1] == []


def test_a_plan_finds_the_pace_by_name(space: Space, tmp_path: Path) -> None:
    memory = SpeedCache(tmp_path / "speed.json")
    assert memory.pace(space, threads=1) is None
    speed, _ = ask(space, memory.file)
    task = toy.task()
    assert memory.pace(space, threads=1) == Pace(known(speed).rate, {"validation": len(task.validation), "test": len(task.test)})
    assert memory.pace(space, threads=2) is None
    assert memory.pace(replace(space, training=replace(space.training, batch=99)), threads=1) is None


@pytest.mark.usefixtures("calm", "hasty")
@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 1}'])
def test_a_damaged_memory_is_measured_anew(content: str, space: Space, tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    file.write_text(content)
    assert SpeedCache(file).pace(space, threads=1) is None
    found, said = ask(space, file)
    assert said
    assert ask(space, file) == (found, [])


@pytest.mark.parametrize("execution", [{"dtype": "int3", "attention": "eager"}, {"dtype": "float32", "attention": "magic"}, {"speed": 9}])
def test_nonsense_is_not_believed(execution: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text(json.dumps({"key": {"execution": execution, "pack": 2, "rate": 1.0}}))
    assert SpeedCache(tmp_path / "speed.json").read("key") is None


def test_a_search_goes_on_without(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel\nfor this")

    monkeypatch.setattr("ulpt_search.search.running.speed.measure", broken)
    found, said = ask(space, tmp_path / "speed.json")
    assert found is None
    assert said[-1] == "could not be measured, so the defaults are taken: no kernel"
    kept, said = ask(space, tmp_path / "speed.json", begun=Numerics("float32", "sdpa", "cpu", "2.6", "4.56"))
    assert kept is not None
    assert (kept.execution, kept.rate) == (Execution("float32", "sdpa"), None)
    assert said[-1] == "could not be measured, so the study goes on as it was begun, its speed unknown: no kernel"


def test_who_decides_on_the_pack() -> None:
    means, request = Resources(2, 1.0, 0.0, 8), Request("x", 1, "home")
    speed = Speed(FOUND)
    assert means.packed(request, speed).pack == 4
    assert means.packed(request, None).pack == 8
    assert means.packed(request, Speed(None, FOUND.execution)).pack == 8
    assert means.packed(Request("x", 1, "home", pack=8), speed).pack == 8
    assert Resources(2, 1.0, 0.5, 8).packed(request, speed).pack == 8
