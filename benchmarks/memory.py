"""How much memory training takes: of one more worker of the same machine, and of a step beside what `plan` says on paper.

    python -m ulpt_search.benchmarks.memory [--quick] [--workers 2] [--dtype float32|bfloat16] [--model minilm] [--task pydocs]
    python -m ulpt_search.benchmarks.memory --peaks minilm,100m,1b
    python -m ulpt_search.benchmarks.memory --loads 100m,1b

Each worker is a process with an open session. A page that n of them share counts 1/n for each (Linux: PSS), so that the sum is
what the machine spends; a worker adds (sum of n - sum of 1) / (n - 1). With `--peaks`, models of these sizes and random weights train a
few steps of 4 rows of 256 tokens, each in a process of its own: the most that it held (Linux: VmHWM) over what it held before there was
a model, beside the sum on paper. As for all models that are not small, tensors have pages of their own (`heap.thrifty`). Models beyond a
billion weights are in bfloat16. With `--loads`, folders of such models in bfloat16 are loaded to be computed in bfloat16 and in float32:
the most that a process held beside what it held before, and what of the weights is its own afterwards, not the file's. Prints JSON, bytes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import torch

from ulpt_search.benchmarks.random_models import backbone_of, model_of
from ulpt_search.benchmarks.tiny_families import FAMILIES, tokenizer
from ulpt_search.benchmarks.tiny_tasks import colours
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import parts, rule
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.shared_weights import private
from ulpt_search.workers.training.heap import release, thrifty
from ulpt_search.workers.training.memory import Pass, memory_of
from ulpt_search.workers.training.trainer import Trainer
from ulpt_search.workers.training.worker import session

ROWS, TOKENS, STEPS = 4, 256, 3
METHODS: dict[str, dict[str, Any]] = {"lora": {"rank": 4, "modules": "all"}, "prompt": {"prompt_length": 10}}
LARGE = ("1b", "8b")


def main() -> None:
    """Measure what is asked for."""
    options = _options()
    if options.open:
        _worker(options)
    elif options.peak:
        print(json.dumps(_peaks(options.peak, dtype=torch.bfloat16 if options.peak in LARGE else torch.float32)))
    elif options.load:
        print(json.dumps(_loaded(Path(options.load), dtype=options.dtype)))
    elif options.loads:
        print(json.dumps({name: _loads(name) for name in options.loads.split(",")}, indent=1))
    elif options.peaks:
        print(json.dumps({name: _apart(name) for name in options.peaks.split(",")}, indent=1))
    else:
        _compared(options)


def _compared(options: argparse.Namespace) -> None:
    """Workers in turns, so that all variants see the same machine."""
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
    parser.add_argument("--peaks", help="sizes of benchmarks/random_models.py")
    parser.add_argument("--loads", help="sizes of benchmarks/random_models.py")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    parser.add_argument("--open", help=argparse.SUPPRESS)
    parser.add_argument("--cache", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _apart(name: str) -> Any:
    """The peaks of one size, measured in a process of its own."""
    return _told([sys.executable, "-W", "ignore", "-m", "ulpt_search.benchmarks.memory", "--peak", name])


def _told(command: list[str]) -> Any:
    """What a process of its own prints."""
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _peaks(name: str, *, dtype: torch.dtype) -> list[dict[str, Any]]:
    """Paper and measurement, with and without checkpointing, method by method."""
    thrifty()
    _train(backbone_of("tiny", dtype=dtype, device=torch.device("cpu")), "lora", checkpointing=False)  # libraries load at their first use
    release()
    before = _status("VmRSS")
    backbone, found = backbone_of(name, dtype=dtype, device=torch.device("cpu"), kernel="eager"), []
    for checkpointing in (False, True):
        for method, values in METHODS.items():
            release()
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts again from here
            tokens = _train(backbone, method, checkpointing=checkpointing)
            measured = _status("VmHWM") - before
            paper = model_of(name, dtype=dtype, device=torch.device("meta"))
            said = memory_of(paper, backbone.shape, parts(method, values), Pass(ROWS, tokens, 1, checkpointing))
            row = {"method": method, "checkpointing": checkpointing, "tokens": tokens, **said.to_json()}
            found.append({**row, "measured": measured, "paper_over_measured": round(said.total / measured, 3)})
            print(name, found[-1], file=sys.stderr)
    return found


def _loads(name: str) -> Any:
    """What loading a folder of this size takes, by the precision that is computed in."""
    with tempfile.TemporaryDirectory() as folder:
        model_of(name, dtype=torch.bfloat16, device=torch.device("cpu")).save_pretrained(folder)
        tokenizer(FAMILIES["llama"]).save_pretrained(folder)
        command = [sys.executable, "-W", "ignore", "-m", "ulpt_search.benchmarks.memory", "--load", folder, "--dtype"]
        found = {dtype: _told([*command, dtype]) for dtype in ("bfloat16", "float32")}
        return {"file": (Path(folder) / "model.safetensors").stat().st_size, **found}


def _loaded(folder: Path, *, dtype: Any) -> dict[str, int]:
    """Load a folder; libraries have been loaded at their first use by then."""
    with tempfile.TemporaryDirectory() as small:
        model_of("tiny", dtype=torch.bfloat16, device=torch.device("cpu")).save_pretrained(small)
        tokenizer(FAMILIES["llama"]).save_pretrained(small)
        load(ModelSpec(small, dtype=dtype, device="cpu"))
    release()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts again from here
    backbone = load(ModelSpec(str(folder), dtype=dtype, device="cpu"))
    return {"peak": _status("VmHWM") - before, "own": private(backbone.model.parameters())}


def _train(backbone: Backbone, method: str, *, checkpointing: bool) -> int:
    """A few steps of one trial; returns the tokens of a row."""
    recipe, task = Training(steps=STEPS, rungs=(STEPS,), batch=ROWS), colours(2 * ROWS, words=(TOKENS, TOKENS))
    readout = readout_of(backbone, task)
    data = encode(backbone, task.train, max_tokens=TOKENS)
    trainer, values = Trainer(backbone, readout, recipe, checkpointing), METHODS[method]
    pack = Pack([build_parts(0, parts(method, values), backbone.shape, 0)], device=backbone.device)
    follow = rule(method, values)
    trainer.train(pack, follow, follow.start(pack), [0], data, start=0, stop=STEPS)
    return max(data.lengths)


def _status(name: str) -> int:
    """A number of bytes that Linux keeps of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


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
