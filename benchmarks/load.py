"""How a large ledger is carried: going on with a study, its curve, its tables, and the mirror.

    python benchmarks/load.py [--trials 100000] [--results 1000000] [--runs 2000] [--only resume,frontier,show,json,mirror] [--url URL]

Makes a study of so many trials with results at as many rungs as that takes, all rows in bulk, and does each thing in a process of its
own. `--url` takes a PostgreSQL database (empty, it is filled) in place of an SQLite file. Prints JSON: wall-clock seconds, processor
seconds, and the largest resident memory in MB, imports included; of the mirror, runs a second, and what it costs to follow ten results.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ulpt_search.search.brain.feasibility import assess
from ulpt_search.search.brain.study import Study
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.migrations import tables
from ulpt_search.spaces.axes import Axis, Float, Int, Value
from ulpt_search.spaces.identity import Content, FrozenSide, Identity, Numerics, TaskSide
from ulpt_search.spaces.records import Outcome, Result, Trial
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.spaces.space_json import space_to_json

NAME = "load"
CHUNK = 20_000
IDENTITY = Identity(
    FrozenSide(Content("53" * 32, "f0" * 32), Content("70" * 32), Content("c0" * 32)),
    TaskSide("a1" * 32, "a2" * 32, "a3" * 32, "b1" * 32, "b2" * 32, "accuracy", "1: text", "128", "rule 0"),
    Numerics("float32", "sdpa", "cpu", "2.13.0", "5.24.0"),
)


def main() -> None:
    """Make the ledger, then time what is asked for."""
    options = _options()
    if options.resume:
        _resume(options.resume, options.rungs)
        return
    if options.mirror:
        _mirror(options.mirror, options.runs)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/ledger.sqlite"
        rungs = max(1, options.results // options.trials)
        found: dict[str, Any] = {"trials": options.trials, "results": options.trials * rungs}
        began = time.perf_counter()
        fill(Ledger.open(url), trials=options.trials, rungs=rungs)
        found["filled"] = round(time.perf_counter() - began, 1)
        for name, command in _commands(url, Path(folder), rungs, options.runs).items():
            if name in options.only.split(","):
                found[name] = _timed(command)
                print(json.dumps({name: found[name]}), file=sys.stderr, flush=True)
        print(json.dumps(found, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name, default in (("trials", 100_000), ("results", 1_000_000), ("runs", 2000), ("rungs", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", default="resume,frontier,show,json,mirror")
    for name in ("url", "resume", "mirror"):
        parser.add_argument(f"--{name}")
    return parser.parse_args()


def _commands(url: str, folder: Path, rungs: int, runs: int) -> dict[str, list[str]]:
    python, place = sys.executable, ["--home", str(folder), "--ledger", url]
    cli = [python, "-m", "ulpt_search.search.cli"]
    return {
        "resume": [python, __file__, "--resume", url, "--rungs", str(rungs)],
        "frontier": [*cli, "frontier", NAME, *place],
        "show": [*cli, "show", NAME, *place],
        "json": [*cli, "show", NAME, "--json", *place],
        "mirror": [python, __file__, "--mirror", str(folder), "--runs", str(runs)],
    }


def space(rungs: int, trials: int) -> Space:
    """The space of such a study."""
    methods: dict[str, dict[str, Axis | Value]] = {
        "prompt": {"prompt_length": Int(1, 100, log=True), "lr": Float(1e-3, 0.3, log=True)},
        "lora": {"rank": Int(1, 16, log=True), "lr": Float(1e-4, 3e-2, log=True)},
    }
    steps = tuple(2 ** (n + 1) for n in range(rungs))
    return Space("load", ModelSpec(), TaskSpec(), Training(steps=steps[-1], rungs=steps), methods, trials=trials + 100)


def fill(ledger: Ledger, *, trials: int, rungs: int) -> None:
    """Write a study's rows in bulk: every trial at every rung."""
    ledger.create(NAME, space=space_to_json(space(rungs, trials)), budget=100_000, seed=0, identity=IDENTITY)
    with ledger._transaction(writes=True) as connection:
        study = connection.scalar(sa.select(tables.studies.c.id))
        for rows in _chunks({"study": study, **trial(n).to_json()} for n in range(trials)):
            connection.execute(sa.insert(tables.trials), rows)
        for rows in _chunks({"study": study, **one.to_json()} for one in _results(trials, rungs)):
            connection.execute(sa.insert(tables.results), rows)
        if connection.dialect.name == "postgresql":  # what its own housekeeping does within minutes
            connection.execute(sa.text("ANALYZE"))


def trial(number: int) -> Trial:
    """The same trial for the same number."""
    chance = random.Random(number)
    if number % 2:
        length = chance.randint(1, 100)
        return Trial(number, "prompt", {"prompt_length": length, "lr": chance.uniform(1e-3, 0.3)}, 0, 384 * length)
    rank = chance.randint(1, 16)
    return Trial(number, "lora", {"rank": rank, "lr": chance.uniform(1e-4, 3e-2)}, 0, 768 * rank)


def _results(trials: int, rungs: int) -> Iterator[Result]:
    chance, computed = random.Random(0), str(IDENTITY.numerics)
    for rung in range(rungs):
        for number in range(trials):
            score = min(0.99, chance.gauss(0.5 + 0.03 * rung, 0.05))
            adapter = f"{rung:02x}{number:062x}"
            yield Result(number, 2 ** (rung + 1), "validation", score, 1e-4, 1 - score, 0.1, adapter, 3152, computed, {"f1": score})


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _resume(url: str, rungs: int) -> None:
    """What `run` does with a ledger before it hands out the first job, and that job."""
    ledger = Ledger.open(url)
    trials = ledger.trials(NAME)
    chosen = space(rungs, len(trials))
    methods = assess(chosen.methods, budget=100_000, count=_count)
    study = Study(
        space=chosen,
        budget=100_000,
        count=_count,
        methods=methods,
        trials=trials,
        results=ledger.brief_results(NAME),
        problems=ledger.problems(NAME),
    )
    assert study.next_job() is not None


def _count(method: str, values: Any) -> int:
    return 384 * int(values["prompt_length"]) if method == "prompt" else 768 * int(values["rank"])


def _mirror(folder: str, runs: int) -> None:
    """How fast MLflow catches up with a study of so many trials, and what a round costs after ten more results, by changes and whole."""
    from ulpt_search.search.tracking.curve_files import Pages
    from ulpt_search.search.tracking.runs import Tracking, prepare

    uri, home = f"sqlite:///{folder}/mlflow.sqlite", Ledger.open(f"sqlite:///{folder}/small.sqlite")
    fill(home, trials=runs, rungs=3)
    prepare(uri)
    pages = Pages(home, home.study(NAME), folder=Path(folder) / "pages")
    tracking = Tracking(tracking_uri=uri, artifacts=Path(folder), study=home.study(NAME))
    pages.snapshot()  # draws the curve, which takes seconds and is not what is measured here
    wall, processor = _clocked(lambda: tracking.sync(pages.snapshot(), status="RUNNING"))
    home.record(NAME, Outcome(0, tuple(replace(one, split="test") for one in home.results(NAME)[-10:])))
    changes = _clocked(lambda: tracking.sync(pages.snapshot(tracking.running), status="RUNNING"))
    whole = _clocked(lambda: tracking.sync(pages.snapshot(), status="RUNNING"))
    told = {"runs_a_second": runs / wall, "runs_a_processor_second": runs / processor}
    rounds = {"ten_results_processor": changes[1], "looking_at_all_processor": whole[1]}
    print(json.dumps({name: round(value, 2) for name, value in {**told, **rounds}.items()}))


def _clocked(act: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    began, spent = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - began, time.process_time() - spent


def _timed(command: list[str]) -> dict[str, Any]:
    """One process: its seconds and its memory, with what it printed if that was JSON of one line."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    told = {} if process.returncode == 0 else {"failed": process.returncode}
    more = json.loads(out) if out.startswith("{") and out.count("\n") == 1 else {}
    return {**told, **_spent(time.perf_counter() - began, used), **more}


def _spent(wall: float, used: resource.struct_rusage) -> dict[str, float]:
    return {"seconds": round(wall, 2), "processor": round(used.ru_utime + used.ru_stime, 2), "mb": round(used.ru_maxrss / 1024)}


if __name__ == "__main__":
    main()
