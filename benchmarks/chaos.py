"""SIGKILLs at random moments over everything that a search is made of, and what of it is left.

    python -m ulpt_search.benchmarks.chaos [--kills 20] [--seed 0] [--longest 40]

Tiny studies of one worker, one after the other. Each is searched once undisturbed; then again, while driver, supervisor, worker, raylet
and gcs are killed at random, and the same command is given again whenever it ended. Prints JSON: kills by victim; acknowledged results
that were lost or changed, results that came twice, commands that had to be ended since nothing came of them any more, processes and
temporary files that were left, MLflow runs that say RUNNING, checks of `verify` that failed, studies whose results are others than
undisturbed; and the seconds from a kill to the next new result, median and longest.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ulpt_search.search.home import Home
from ulpt_search.search.keeping.checking import check_study
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.reading import read_study
from ulpt_search.spaces.records import Result
from ulpt_search.tests import tiny

VICTIMS = ("driver", "supervisor", "worker", "raylet", "gcs_server")
STUCK = 600.0
"""Seconds without a new result, or an end, after which a command is stuck."""


@dataclass
class Found:
    """What came of all of it."""

    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON."""
        names = ("lost", "twice", "stuck", "processes", "files", "running", "checks", "other results")
        again = {"median": round(statistics.median(self.seconds), 1), "longest": round(max(self.seconds), 1)} if self.seconds else {}
        return {"kills": dict(self.kills), **{name: self.faults[name] for name in names}, "seconds to go on": again}


class Searched:
    """A study of a folder, and the command that searches it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.temporary = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))
        folder.mkdir()
        tiny.prepare(folder)
        self._command = [sys.executable, *tiny.COMMAND, "--workers", "1", "--seed", str(seed), "--quiet", "--no-references"]

    @property
    def home(self) -> Home:
        """Where it keeps its state."""
        return Home.at(self.folder / "home")

    def measure_as(self, other: "Searched") -> None:
        """Take over how fast the machine was found to be: under another load another dtype may be the fastest, and results differ."""
        if other.home.speeds.exists():
            self.home.prepare()
            self.home.cache.mkdir()
            shutil.copy(other.home.speeds, self.home.speeds)

    def start(self) -> "subprocess.Popen[bytes]":
        """Give the command, in a session of its own."""
        log = (self.folder / "log").open("ab")
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        return subprocess.Popen(self._command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True)

    def results(self) -> list[Result]:
        """Return what is acknowledged."""
        if not self.home.has_ledger:
            return []
        ledger = Ledger.open(self.home.ledger_url)
        return ledger.results("tiny") if any(record.name == "tiny" for record in ledger.studies()) else []

    def outcome(self) -> set[tuple[object, ...]]:
        """Return what was found, without what no two runs share: seconds, and the names of files that hold them."""
        trials = {trial.number: trial for trial in Ledger.open(self.home.ledger_url).trials("tiny")}
        told = [(trials[one.trial], one) for one in self.results()]
        return {(t.method, str(sorted(t.hyperparameters.items())), t.seed, r.step, r.split, round(r.score, 6)) for t, r in told}


def main() -> None:
    """Kill as often as asked for; studies that end are followed by others."""
    parser = argparse.ArgumentParser()
    for name, default in (("kills", 20), ("seed", 0), ("longest", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    chance, found, number = random.Random(options.seed), Found(), 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as root:
        while found.kills.total() < options.kills:
            calm = Searched(Path(root, f"calm-{number}"), number)
            _end(calm.start(), calm, found)
            shaken = Searched(Path(root, f"shaken-{number}"), number)
            shaken.measure_as(calm)
            _shake(shaken, chance, found, kills=options.kills, longest=options.longest)
            _judge(shaken, calm, found)
            for study in (calm, shaken):
                shutil.rmtree(study.temporary)
            number += 1
            print(json.dumps(found.to_json()), file=sys.stderr, flush=True)
    print(json.dumps({"studies": number, **found.to_json()}, indent=1))
    sys.exit(bool(found.faults.total()))


def _shake(study: Searched, chance: random.Random, found: Found, *, kills: int, longest: int) -> None:
    """Search until the study is over, killing one thing after the other."""
    command = study.start()
    while True:
        time.sleep(chance.uniform(1, longest))
        if command.poll() == 0:
            return
        known = study.results()
        victim, began = chance.choice(VICTIMS), time.monotonic()
        killed = found.kills.total() < kills and command.poll() is None and _kill(command, victim)
        found.kills[victim] += killed
        command = _go_on(command, study, found, known=len(known))
        if killed and len(study.results()) > len(known):
            found.seconds.append(time.monotonic() - began)
        now = study.results()
        found.faults["lost"] += now[: len(known)] != known


def _kill(command: "subprocess.Popen[bytes]", victim: str) -> bool:
    """Kill one; False where there is none of that kind at the moment."""
    supervisor = psutil.Process(command.pid)
    try:
        family = supervisor.children(recursive=True)
        named = {"raylet": "raylet", "gcs_server": "gcs_server", "worker": "ray::ImplicitFunc"}
        if victim in named:
            who = [process for process in family if process.name().startswith(named[victim])]
        else:
            who = [supervisor] if victim == "supervisor" else supervisor.children()
        who[0].kill()
    except (psutil.NoSuchProcess, IndexError):
        return False
    return True


def _go_on(command: "subprocess.Popen[bytes]", study: Searched, found: Found, *, known: int) -> "subprocess.Popen[bytes]":
    """Wait until there is something new, giving the command again where it ended unfinished."""
    began = time.monotonic()
    while len(study.results()) <= known and time.monotonic() - began < STUCK:
        if command.poll() == 0:
            return command
        if command.poll() is not None:
            _check_nothing_left(command, study, found)
            command = study.start()
        time.sleep(0.5)
    if time.monotonic() - began >= STUCK:
        found.faults["stuck"] += 1
        os.killpg(command.pid, signal.SIGKILL)
    return command


def _end(command: "subprocess.Popen[bytes]", study: Searched, found: Found) -> None:
    try:
        command.wait(STUCK)
    except subprocess.TimeoutExpired:
        found.faults["stuck"] += 1
        os.killpg(command.pid, signal.SIGKILL)
    _check_nothing_left(command, study, found)


def _check_nothing_left(command: "subprocess.Popen[bytes]", study: Searched, found: Found) -> None:
    """Ten seconds after a command has ended nothing of it may run, or lie in the temporary folder."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (_session(command.pid) or any(study.temporary.iterdir())):
        time.sleep(0.2)
    found.faults["processes"] += len(_session(command.pid))
    found.faults["files"] += len(list(study.temporary.iterdir()))


def _session(leader: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def _judge(study: Searched, calm: Searched, found: Found) -> None:
    """What the study holds in the end."""
    from mlflow import MlflowClient

    results = study.results()
    keys = Counter((one.trial, one.step, one.split) for one in results)
    found.faults["twice"] += sum(count - 1 for count in keys.values())
    found.faults["checks"] += sum(not check.fine for check in check_study(read_study(study.home, "tiny")))
    found.faults["other results"] += study.outcome() != calm.outcome()
    client = MlflowClient(tracking_uri=study.home.tracking_uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()], max_results=1000)
    found.faults["running"] += sum(run.info.status == "RUNNING" for run in runs)


if __name__ == "__main__":
    main()
