"""One search on a model in the shape of Llama-3.2-1B, as a user types it: what it takes in time and memory, and its adapter reloaded.

    python -m ulpt_search.benchmarks.one_billion [--size 1b|100m|tiny] [--trials 4] [--steps 10] [--tokens 32] [--rows 2] [--room FOLDER]

Random weights in bfloat16 (`random_models.py`), a made-up task of three labels, the three methods of `METHODS`, one worker. FOLDER, or the
system's own for temporary files, holds the model for as long as it runs, 2.5 GB at 1b. Prints JSON: what `plan` said of a worker's
memory and of an export's, the most that processes of each kind held (Linux: VmHWM, files that they have mapped included) beyond what the
same search on a model of kilobytes takes, seconds a step and trial, and what `verify` says of the adapter that leaves for PEFT.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import torch

from ulpt_search.benchmarks.random_models import model_of
from ulpt_search.benchmarks.tiny_families import FAMILIES, tokenizer
from ulpt_search.benchmarks.tiny_tasks import LABELS
from ulpt_search.search.ledger.ledger import Ledger

COMMAND = (sys.executable, "-m", "ulpt_search.search.cli")
METHODS = {"lora": {"rank": 4, "modules": "q,v"}, "prompt": {"prompt_length": 8}, "ia3": {}}
ROWS = {"train": 48, "validation": 12, "test": 12}


def main() -> None:
    """Make the model and the task, search, export, verify; print what was seen."""
    asked = _options()
    with tempfile.TemporaryDirectory(dir=asked.room) as folder:
        _, bare, _ = _searched(Path(folder) / "bare", "tiny", asked)
        print(json.dumps(judged(Path(folder) / asked.size, asked, bare), indent=1))


def judged(room: Path, asked: argparse.Namespace, bare: Mapping[str, int]) -> dict[str, Any]:
    """Plan and run the search, export its best adapter for PEFT, verify it; `bare` is what a model of nothing takes, by part."""
    memory, seen, seconds = _searched(room, asked.size, asked)
    held = {part: size - bare[part] for part, size in seen.items() if part in bare}
    shown = _told("show", "one", "--home", str(room / "home"))
    out = str(room / "adapter")
    exported = _told("export", "one", "--best", "--format", "peft", "--out", out, "--home", str(room / "home"))
    verified = _told("verify", out)
    results = Ledger.open(f"sqlite:///{room / 'home' / 'ledger.sqlite'}").results("one")
    steps = [result.seconds / asked.steps for result in results if result.split == "validation"]
    return {
        "size": asked.size, "rows": asked.rows, "tokens": asked.tokens, "steps": asked.steps,
        "trials": [[trial["method"], trial["state"]] for trial in shown["trials"]],
        "seconds": round(seconds, 1), "seconds_a_step": [round(step, 2) for step in steps],
        "plan": memory, "bare": bare, "held": held,
        "within_plan": held["worker"] <= memory["total"] and held["command"] <= memory["export"],
        "export": exported["proof"], "verified": verified["fine"],
    }  # fmt: skip


def _searched(room: Path, size: str, asked: argparse.Namespace) -> tuple[dict[str, Any], dict[str, int], float]:
    """What `plan` says of the memory of a search in a folder to be, what was held, and how many seconds it took."""
    room.mkdir()
    _write_model(size, room / "model")
    _write_task(room / "task", words=asked.tokens)
    given = _given(room, asked)
    planned = _told("plan", *given)
    with _largest() as seen:
        began = time.perf_counter()
        _told("run", "--study", "one", *given)
        return planned["memory"], seen, time.perf_counter() - began


def _given(room: Path, asked: argparse.Namespace) -> list[str]:
    methods = json.dumps(METHODS)
    recipe = {"steps": asked.steps, "rungs": [asked.steps], "batch": asked.rows, "finalists": 1, "trials": asked.trials, "seeds": 1}
    sets = [f"--set={key}={json.dumps(value)}" for key, value in recipe.items()]
    words = f"--set=task.max_tokens={asked.tokens + 8}"
    space = room / "space.yaml"
    space.write_text(f"model: {{name: {room / 'model'}, dtype: bfloat16, device: cpu}}\nmethods: {methods}\n", encoding="utf8")
    where = ["--space", str(space), "--task", str(room / "task"), "--budget", "1e7", "--home", str(room / "home")]
    return [*where, *sets, words, "--workers", "1", "--no-references", "--pack", "1"]


def _told(*command: str) -> Any:
    """What a command prints as JSON; raises `CalledProcessError` where it fails."""
    done = subprocess.run([*COMMAND, *command, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@contextmanager
def _largest() -> Iterator[dict[str, int]]:
    """The most that any process below this one held while inside, looked at ten times a second."""
    seen: dict[str, int] = {}
    stop = Event()

    def look() -> None:
        while not stop.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                with suppress(OSError, StopIteration, psutil.Error):
                    part = _part(process)
                    seen[part] = max(seen.get(part, 0), _held(process.pid))

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


PARTS = {"ray::ImplicitFunc": "worker", "search.cli": "command", "workers/exports": "reloading", "workers.exports": "reloading"}
"""Part of a process's command line, a title that Ray gives in the first -> what it is of a search."""


def _part(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    return next((part for told, part in PARTS.items() if told in words), "the rest")


def _held(pid: int) -> int:
    """The most that a process has held so far, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def _write_model(size: str, folder: Path) -> None:
    model_of(size, dtype=torch.bfloat16, device=torch.device("cpu")).save_pretrained(folder)
    tokenizer(FAMILIES["llama"]).save_pretrained(folder)


def _write_task(folder: Path, *, words: int) -> None:
    """Texts of about so many words, whose first word tells the label."""
    folder.mkdir()
    draw = random.Random(0)
    for split, rows in ROWS.items():
        lines = [json.dumps({"text_a": _text(draw, number, words), "label": LABELS[number % 3]}) for number in range(rows)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf8")


def _text(draw: random.Random, number: int, words: int) -> str:
    return " ".join([f"w{number % 3}", *(f"w{draw.randrange(10, 60)}" for _ in range(words - 4))])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1b")
    for name, default in (("trials", 4), ("steps", 10), ("tokens", 32), ("rows", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--room", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
