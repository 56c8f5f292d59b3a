"""SIGKILLs at random moments over everything that a search is made of or stands on, and what of it is left.

    python -m ulpt_search.benchmarks.chaos [--kills 20] [--nodes 1] [--seed 0] [--pace 8] [--burst 10] [--trials 6] [--share 60]
        [--minutes 600] [--keep FOLDER]

Studies of a few trials on a model of kilobytes, one after the other, with the ledger on a PostgreSQL server and their runs on an MLflow
server. Each is searched under fire, and a second time undisturbed. Under fire means: after pauses drawn from an exponential distribution
of `pace` seconds, of five times as many for one in five (starts and ends of commands are hit as well as what lies between), one of the
driver, its supervisor, a worker, the raylet, the gcs, the MLflow server and PostgreSQL is killed, and the same command is given again
whenever it ended. Who is killed is drawn among those who live at that moment, the more readily the less often one was killed before: a
search whose driver is begun again and again hardly ever has a worker. After each `burst` the search is left alone until it has got on.
With two nodes a Ray cluster of two is joined, and a node is killed in place of raylet and gcs. A study takes at most `share` kills and is
then left to end; after `minutes` nothing is killed any more.

Prints JSON at its end, after SIGTERM and Ctrl-C too, and to stderr after each burst: kills by victim; acknowledged results that were lost
or changed, results that came twice, searches that did not get on within 15 minutes in peace, processes and temporary files that were left,
MLflow runs that say RUNNING, checks of `verify` that failed, tracebacks, and studies whose results differ from the undisturbed ones (one
worker: not a digit may differ but in the order of rows; with two workers what is proposed and what goes on to the next rung depends on who
came back first, so as many trials of the search have to be there, and what both studies have of the same trial has to be the same to the
digit); and the seconds from the last kill to the next new result, median and longest. With `--keep` homes and logs stay in
that folder.
"""

import argparse
import contextlib
import json
import math
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ulpt_search.benchmarks.chaos_site import Searched, Site, site
from ulpt_search.search.keeping.checking import check_study
from ulpt_search.search.ledger.reading import History
from ulpt_search.spaces.records import Result

STUCK = 900.0
"""Seconds in peace without a new result, or an end, after which a command is stuck."""
GONE = 30.0
"""Seconds after a command's end within which all that it started must be gone."""
Row = tuple[object, ...]
FAULTS = ("lost", "twice", "stuck", "processes", "files", "running", "checks", "tracebacks", "other results")


@dataclass
class Found:
    """What came of all of it."""

    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    left: int = 0
    """Commands whose supervisor and driver were both killed, of which something was left to the next one."""
    seconds: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    until: float = math.inf
    """When the killing ends, on the monotonic clock."""

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON."""
        again = {"median": round(statistics.median(self.seconds), 1), "longest": round(max(self.seconds), 1)} if self.seconds else {}
        faults = {name: self.faults[name] for name in FAULTS}
        own = {
            "kills": dict(self.kills),
            "all kills": self.kills.total(),
            **faults,
            "exits": dict(self.ends),
            "left to the next command": self.left,
        }
        return {
            **own,
            "studies compared": self.judged,
            "times it got on": len(self.seconds),
            "seconds to go on": again,
            "told": self.told[:20],
        }


@dataclass
class Fire:
    """One study under fire: the command, what is known of it, and when it was hit last."""

    study: Searched
    site: Site
    found: Found
    chance: random.Random
    command: "subprocess.Popen[bytes]"
    known: list[Result] = field(default_factory=list)
    hit: float = 0.0

    def shoot(self, *, pace: float) -> None:
        """Wait a while, giving the command again where it ends; then kill something."""
        until = time.monotonic() + self.chance.expovariate(1 / pace) * (5 if self.chance.random() < 0.2 else 1)
        while time.monotonic() < until and not self.over():
            self.look()
            time.sleep(0.3)
        if self.over():
            return
        alive = self.site.alive(self.command)
        victim = self.chance.choices(alive, [1 / (1 + self.found.kills[one]) for one in alive])[0]
        moment = time.monotonic()
        self.study.note(f"--- {victim} is killed")
        if self.site.kill(victim, self.command, pause=self.chance.uniform(0, 5)):
            self.found.kills[victim] += 1
            self.hit = moment

    def get_on(self) -> None:
        """Leave the search alone until there is a new result, or it is over."""
        had, began = len(self.known), time.monotonic()
        while len(self.known) <= had and not self.over():
            self.look()
            if time.monotonic() - began > STUCK:
                self.found.faults["stuck"] += 1
                os.killpg(self.command.pid, signal.SIGKILL)
                return
            time.sleep(0.5)

    def look(self) -> None:
        """Take note of what is new, and give the command again where it has ended before the search had."""
        now = self.study.results()
        if now:
            self.found.faults["lost"] += now[: len(self.known)] != self.known
            if self.hit and len(now) > len(self.known):
                self.found.seconds.append(time.monotonic() - self.hit)
                self.hit = 0.0
            self.known = now
        if self.command.poll() not in (None, 0):
            self.found.ends[str(self.command.returncode)] += 1
            self._count_left()
            self.command = self.study.start()

    def _count_left(self) -> None:
        """Of a command whose supervisor was killed nobody may be alive who clears away: the next command does."""
        if self.command.returncode == -signal.SIGKILL:
            self.found.left += bool(_wait_until_gone(self.command, self.study))
        else:
            check_nothing_left(self.command, self.study, self.found)

    def over(self) -> bool:
        """Whether the command came to the search's end."""
        return self.command.poll() == 0

    def end(self) -> None:
        """End a command that still runs, and whatever it started."""
        for signum, seconds in ((signal.SIGTERM, 60), (signal.SIGKILL, 10)):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.command.pid, signum)
                self.command.wait(seconds)


def main() -> None:
    """Kill as often as asked for; studies that end are followed by others."""
    parser = argparse.ArgumentParser()
    defaults = {"kills": 20, "nodes": 1, "seed": 0, "pace": 8, "burst": 10, "trials": 6, "share": 60, "minutes": 600}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))  # servers and nodes end with us
    found = Found(until=time.monotonic() + 60 * options.minutes)
    try:
        with _folder(options.keep) as root:
            burn(root, options, found)
    finally:
        print(json.dumps(found.to_json(), indent=1), flush=True)
    sys.exit(bool(found.faults.total()))


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="chaos-") as root:
            yield Path(root)
    else:
        kept.mkdir(parents=True)
        yield kept.resolve()


def burn(root: Path, options: argparse.Namespace, found: Found) -> None:
    """Search studies in an empty folder, each under fire and in peace, until there were kills enough."""
    with site(root, nodes=options.nodes) as place:
        for number in range(options.kills):
            if found.kills.total() < options.kills and time.monotonic() < found.until:
                _study(root, place, options, found, number)
                print(json.dumps(found.to_json()), file=sys.stderr, flush=True)


def _study(root: Path, place: Site, options: argparse.Namespace, found: Found, number: int) -> None:
    """Search one study twice, in peace and under fire, and compare."""
    seed, trials, workers = options.seed + number, options.trials, options.nodes
    names = [f"{kind}-{number}" for kind in ("calm", "shaken")]
    calm, shaken = pair = [Searched(root / name, place, name=name, seed=seed, trials=trials, workers=workers) for name in names]
    try:
        _search(shaken, options, found, shots=min(options.share, options.kills - found.kills.total()))
        calm.measure_as(shaken)
        _search(calm, options, found, shots=0)
        judge(shaken, calm, found, one_worker=options.nodes == 1)
    finally:
        for study in pair:
            shutil.rmtree(study.temporary)


def _search(study: Searched, options: argparse.Namespace, found: Found, *, shots: int) -> None:
    """Search to the end, hit so many times on the way."""
    told, ends = found.faults["stuck"], found.kills.total() + shots
    fire = Fire(study, study.site, found, random.Random(f"{options.seed} {study.folder.name}"), study.start())
    try:
        while not fire.over() and found.faults["stuck"] == told:
            before = found.kills.total()
            for _ in range(min(options.burst, ends - found.kills.total())):
                fire.shoot(pace=options.pace) if time.monotonic() < found.until else None
            fire.get_on()
            print(json.dumps(found.to_json()), file=sys.stderr, flush=True) if found.kills.total() > before else None
        check_nothing_left(fire.command, study, found)
    finally:
        fire.end()


def check_nothing_left(command: "subprocess.Popen[bytes]", study: Searched, found: Found) -> None:
    """Soon after a command has ended nothing of it may run, on a cluster's nodes neither, or lie in the temporary folder."""
    left = _wait_until_gone(command, study)
    files = [path.name for path in study.temporary.iterdir()]
    found.faults["files"] += len(files)
    found.faults["processes"] += len(left) - len(files)
    found.told += left


def _wait_until_gone(command: "subprocess.Popen[bytes]", study: Searched) -> list[str]:
    """Processes and files that are still there a while after a command's end."""
    deadline = time.monotonic() + GONE
    while (left := _left(command, study)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def _left(command: "subprocess.Popen[bytes]", study: Searched) -> list[str]:
    return [*_session(command.pid), *_begun_in(study.temporary), *study.site.working(), *(path.name for path in study.temporary.iterdir())]


def _begun_in(folder: Path) -> list[str]:
    """Names of processes whose temporary folder is below this one: of this command or one before it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.environ().get("TMPDIR", "/")).parent == folder:
                found.append(process.name())
    return found


def _session(leader: int) -> list[str]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
    return found


def judge(study: Searched, calm: Searched, found: Found, *, one_worker: bool) -> None:
    """What the study holds in the end."""
    from mlflow import MlflowClient

    found.judged += 1
    history = study.history()
    keys = Counter((one.trial, one.step, one.split) for one in history.results)
    found.faults["twice"] += sum(count - 1 for count in keys.values())
    failed = [f"{check.name}: {check.detail}" for check in check_study(history) if not check.fine]
    found.faults["checks"] += len(failed)
    ours, theirs = study.curve(), calm.curve()
    other = ours != theirs if one_worker else _contradict(ours, theirs) or _searched(history) != _searched(calm.history())
    found.faults["other results"] += other
    client = MlflowClient(tracking_uri=study.home.tracking_uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()], max_results=1000)
    found.faults["running"] += sum(run.info.status == "RUNNING" for run in runs)
    traces = study.log.read_text(encoding="utf8", errors="replace").count("Traceback (most recent call last)")
    found.faults["tracebacks"] += traces
    if failed or other or traces:
        found.told += [*failed, *sorted(map(str, set(ours) ^ set(theirs)))[:6], *_traced(study)]


def _searched(history: History) -> int:
    """How many trials were proposed. How many configurations are retrained depends on what these are."""
    return sum(trial.purpose == "search" for trial in history.trials)


def _contradict(ours: Sequence[Row], theirs: Sequence[Row]) -> bool:
    """Whether two studies have another score for the same configuration, seed, step and split."""
    scores = {row[1:-1]: row[-1] for row in theirs}
    return any(scores.get(row[1:-1], row[-1]) != row[-1] for row in ours)


def _traced(study: Searched) -> list[str]:
    """The first lines of the log's tracebacks."""
    text = study.log.read_text(encoding="utf8", errors="replace")
    return [part.strip()[:1500] for part in text.split("Traceback (most recent call last)")[1:3]]


if __name__ == "__main__":
    main()
