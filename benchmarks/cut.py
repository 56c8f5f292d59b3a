"""The wire between the two nodes of a Ray cluster is cut in the middle of a search, and heals.

    python -m ulpt_search.benchmarks.cut [--seconds 30] [--driver 0] [--trials 24] [--impatient]

Two network namespaces on a bridge (root, Linux), a node of one CPU in each, the ledger on a PostgreSQL server on the bridge itself, the
adapters in a folder. The driver runs beside the cluster's head (`--driver 0`) or on the other node (1): then it is cut from cluster and
ledger at once. The second node is cut off after a few results. `--impatient` has Ray count a node as dead that is silent for about six
seconds; by its own settings it waits longer than half a minute.

Prints JSON: acknowledged results that were lost or changed, results that came twice, the status of the last command (0: it came to
the end) and of the first (whatever else, a node that Ray counts as dead is begun again, and the same command given; `commands` says how
often), checks of `verify` that failed, results before the
cut, during it and in the end, seconds from the healing to the next new result, nodes that Ray says are alive in the end, lines in which
the search spoke of it, and, where the first command failed, its last ones.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ulpt_search.benchmarks.namespaces import Place, missing, places
from ulpt_search.search.home import Home
from ulpt_search.search.keeping.checking import check_study
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.search.ledger.reading import read_study
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.records import Result
from ulpt_search.tests import postgres, tiny

ROOT = Path(__file__).resolve().parents[1]
PORT = 6379
LONG = 900.0
"""Seconds after which whatever was waited for has failed."""
IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
TOLD = ("out of reach", "gave no result", "waiting", "beginning again", "error", "no node of")
"""Words of the lines that speak of it."""
ASK = "import json, ray; ray.init('{}', log_to_driver=False); print(json.dumps([n['Alive'] for n in ray.nodes()].count(True)))"


@dataclass
class Search:
    """A study of a folder, the place from which it is searched, and the command that does it."""

    place: Place
    folder: Path
    address: str
    ledger: str
    trials: int
    commands: int = 0

    def start(self) -> "subprocess.Popen[bytes]":
        """Give the command."""
        own = ["--address", self.address, "--workers", "2", "--ledger", self.ledger, "--trials", str(self.trials)]
        calm = ["--quiet", "--no-references", "--pack", "1", "--set", "model.dtype=float32", *SIZE]
        self.commands += 1
        with self.log.open("ab") as log:
            words = self.place.command([sys.executable, *tiny.COMMAND, *own, *calm], folder=self.folder)
            return subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    @property
    def log(self) -> Path:
        """What the commands said."""
        return self.folder / "log"

    @property
    def home(self) -> Home:
        """Where it keeps its state."""
        return Home.at(self.folder / "home", ledger=self.ledger)

    def results(self) -> list[Result]:
        """Return what is acknowledged."""
        try:
            return Ledger.open(self.home.ledger_url).results("tiny")
        except (Failure, WrongInput):
            return []

    def until(self, count: int, command: "subprocess.Popen[bytes]") -> None:
        """Wait for so many results, or the command's end."""
        deadline = time.monotonic() + LONG
        while len(self.results()) < count and command.poll() is None:
            if time.monotonic() > deadline:
                raise Failure(f"no {count} results within {LONG:.0f} s: {self.log.read_text()[-2000:]}")
            time.sleep(0.5)


SIZE = ("--set", "steps=120", "--set", "rungs=[30, 60, 120]")
"""Jobs of seconds, so that there are some when the wire is cut."""


def main() -> None:
    """Search, cut, heal, and compare."""
    parser = argparse.ArgumentParser()
    for name, default in {"seconds": 30, "driver": 0, "trials": 24}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--impatient", action="store_true")
    options = parser.parse_args()
    if why := missing():
        raise SystemExit(f"not here: {why}")
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    found = measure(seconds=options.seconds, driver=options.driver, trials=options.trials, impatient=options.impatient)
    print(json.dumps(found, indent=1))
    sys.exit(any(found[name] for name in ("lost", "twice", "checks")) or found["status"] != 0)


def measure(*, seconds: float, driver: int, trials: int, impatient: bool) -> dict[str, object]:
    """Return what came of a search whose second node was cut off for so long. Needs what `missing` asks for."""
    with ExitStack() as stack:
        top = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))
        stack.callback(shutil.rmtree, top, ignore_errors=True)
        shared = top / "r"
        shared.mkdir()
        here, both = stack.enter_context(places(2, shared=shared))
        server = stack.enter_context(postgres.restartable(here))
        nodes = stack.enter_context(_cluster(both, shared, IMPATIENT if impatient else {}))
        folder = top / "study"
        folder.mkdir()
        tiny.prepare(folder)
        return _measured(Search(both[driver], folder, nodes.address, server.url, trials), nodes, seconds)


@dataclass
class Nodes:
    """A Ray cluster of one CPU in each place; the first is its head."""

    both: Sequence[Place]
    shared: Path
    environment: dict[str, str]
    undo: ExitStack
    begun: int = 0

    @property
    def address(self) -> str:
        """Where it is joined."""
        return f"{self.both[0].address}:{PORT}"

    def start(self, place: Place) -> None:
        """`ray start` there, and wait until it is a node."""
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1", "--object-store-memory", str(10**8)]
        first = ["--head", "--port", str(PORT), "--include-dashboard", "false", "--temp-dir", str(self.shared)]
        more = first if place is self.both[0] else ["--address", self.address]
        before = 0 if place is self.both[0] else alive(self.both[0], self.address)
        log = self.undo.enter_context((self.shared.parent / f"{place.name}.log").open("ab"))
        words = place.command([*ray, "--node-ip-address", place.address, *more])
        node = subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        self.undo.callback(_end, node)
        self.begun += 1
        _until(lambda: alive(self.both[0], self.address) == before + 1, f"{place.name} is no node")

    def complete(self) -> None:
        """What a person does whose node Ray counts as dead: begin it again."""
        if alive(self.both[0], self.address) < len(self.both):
            self.start(self.both[1])


@contextmanager
def _cluster(both: Sequence[Place], shared: Path, settings: dict[str, str]) -> Iterator[Nodes]:
    own = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "PYTHONPATH": _path()}
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_TMPDIR=str(shared), PYTHONPATH=_path())
    with ExitStack() as stack:
        nodes = Nodes(both, shared, {**os.environ, **settings, **own}, stack)
        for place in both:
            nodes.start(place)
        yield nodes


def _path() -> str:
    return os.pathsep.join(filter(None, (str(ROOT.parent), os.environ.get("PYTHONPATH"))))


def _end(node: "subprocess.Popen[bytes]") -> None:
    for signum, seconds in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(node.pid, signum)
            node.wait(seconds)


def alive(place: Place, address: str) -> int:
    """How many nodes a cluster says that it has, asked from a place; 0 where it does not answer."""
    asked = subprocess.run(place.command([sys.executable, "-c", ASK.format(address)]), capture_output=True, text=True, check=False)
    words = asked.stdout.split()
    return int(words[-1]) if asked.returncode == 0 and words and words[-1].isdigit() else 0


def _until(condition: object, what: str) -> None:
    deadline = time.monotonic() + LONG
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise Failure(f"{what} after {LONG:.0f} s")
        time.sleep(0.5)


def _measured(search: Search, nodes: Nodes, seconds: float) -> dict[str, object]:
    command, both = search.start(), nodes.both
    try:
        search.until(4, command)
        before = search.results()
        both[1].cut()
        time.sleep(seconds)
        during = search.results()
        both[1].heal()
        healed = time.monotonic()
        search.until(len(during) + 1, command)
        again = time.monotonic() - healed
        status = command.wait(LONG)
        while command.poll() and search.commands < 4:
            nodes.complete()
            command = search.start()
            command.wait(LONG)
        lines = search.log.read_text(errors="replace").splitlines()
        said = [line[:200] for line in lines if any(word in line for word in TOLD)]
        own = {"status": command.poll(), "first status": status, "commands": search.commands, "seconds to the next result": round(again, 1)}
        last = [line[:200] for line in lines if not line.startswith("/")][-40:] if status else []
        ends = {"nodes in the end": alive(both[0], search.address), "nodes begun again": nodes.begun - len(both), "last": last}
        return {**_judged(search, before, during), **own, **ends, "said": said}
    finally:
        _end(command)


def _judged(search: Search, before: Sequence[Result], during: Sequence[Result]) -> dict[str, object]:
    """What the ledger holds in the end, against what it had acknowledged on the way."""
    history = read_study(search.home, "tiny")
    keys = Counter((one.trial, one.step, one.split) for one in history.results)
    return {
        "lost": sum(one not in history.results for one in {*before, *during}),
        "twice": sum(count - 1 for count in keys.values()),
        "checks": [check.detail for check in check_study(history) if not check.fine],
        "results": {"before": len(before), "with the cut's": len(during), "in the end": len(history.results)},
    }


if __name__ == "__main__":
    main()
