"""How much memory one more worker of the same machine takes, with and without what workers share.

    python benchmarks/memory.py [--quick] [--workers 2] [--dtype float32|bfloat16] [--model minilm] [--task pydocs]

Each worker is a process with an open session. A page that n of them share counts 1/n for each (Linux: PSS), so that the sum is
what the machine spends; a worker adds (sum of n - sum of 1) / (n - 1). Prints JSON, bytes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.training.worker import session


def main() -> None:
    """Measure in turns, so that all variants see the same machine."""
    options = _options()
    if options.open:
        _worker(options)
        return
    runs: dict[str, list[int]] = {"apart": [], "shared": []}
    for _ in range(1 if options.quick else 3):
        for name, made in runs.items():
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, *sys.argv, "--open", folder, *(["--cache"] if name == "shared" else [])]
                one, many = _together(command, 1), _together(command, options.workers)
            made.append((many - one) // (options.workers - 1))
    said = {name: {"median": int(statistics.median(made)), "least": min(made), "most": max(made)} for name, made in runs.items()}
    print(json.dumps({"workers": options.workers, "dtype": options.dtype, "repeats": len(runs["shared"]), "bytes_per_worker": said}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    for name, default in (("dtype", "float32"), ("model", "minilm"), ("task", "pydocs")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--open", help=argparse.SUPPRESS)
    parser.add_argument("--cache", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _together(command: list[str], workers: int) -> int:
    """Sum of the memory of so many workers while all are open."""
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(workers)]
    try:
        for process in processes:
            if process.stdout is None or process.stdout.readline() != "open\n":
                sys.exit("a worker ended before its session was open")
        return sum(psutil.Process(process.pid).memory_full_info().pss for process in processes)
    finally:
        for process in processes:
            process.communicate("")


def _worker(options: argparse.Namespace) -> None:
    folder = Path(options.open)
    model = ModelSpec(options.model, dtype=options.dtype, device="cpu")
    cache = str(folder / "cache") if options.cache else None
    session(Setup(model, TaskSpec(options.task), Training(), store=str(folder / "store"), cache=cache))
    print("open", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
