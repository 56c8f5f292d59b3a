"""Trial-steps per second of packs against one trial at a time, and how far from the matrix-product rate that is.

    python benchmarks/throughput.py [--json] [--quick] [--model FOLDER] [--task TASK] [--device cpu|cuda]

Everything compared is measured in turns within one process, so that a noisy machine slows all alike; figures are medians over
the repeats with their range. Floating-point operations are counted from the model's shape: a forward pass and a backward pass
without weight gradients are 2 + 2 operations per weight and token, padding not counted as work done.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from unittest import mock

import psutil
import torch

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.space import ModelSpec, TaskSpec, Training
from ulpt_search.workers.catalogue import parts
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.devices import pick_dtype
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.optimizers.adamw import AdamW
from ulpt_search.workers.tasks import load_task
from ulpt_search.workers.training import trainer as training
from ulpt_search.workers.training.batches import Batches
from ulpt_search.workers.training.trainer import Trainer

BATCH, PROMPT = 16, 10
Dtype = Literal["float32", "bfloat16"]
Row = tuple[Dtype, str, int]
"""What is measured: dtype, mix, trials in the pack."""
DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16")
HALF: Hyperparameters = {"layers": "last:50%"}
MIXES: dict[str, tuple[tuple[str, Hyperparameters], ...]] = {
    "ulpt": (("ulpt", {"prompt_length": PROMPT}),),
    "lora": (("lora", {}),),
    "mix": (
        ("ulpt", {"prompt_length": PROMPT, "dim": 2}), ("ulpt", {"prompt_length": PROMPT, "dim": 16}),
        ("prompt", {"prompt_length": PROMPT}), ("lora", {}), ("lora", {"rank": 4, **HALF}),
        ("ia3", {}), ("bitfit", {}), ("ulpt+bitfit", {"ulpt.prompt_length": PROMPT}),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """One model in one dtype with a tokenised task."""

    backbone: Backbone
    trainer: Trainer
    data: Encoded

    @classmethod
    def start(cls, dtype: Literal["auto"] | Dtype, *, model: str, task: str, device: str) -> "Bench":
        """Load everything once."""
        backbone, data = load(ModelSpec(model, dtype=dtype, device=device)), load_task(TaskSpec(task))
        trainer = Trainer(backbone, readout_of(backbone, data), Training(steps=1000, rungs=(1000,), batch=BATCH))
        return cls(backbone, trainer, encode(backbone, data.train, max_tokens=128))

    def run(self, mix: str, size: int, *, steps: int) -> float:
        """Seconds of one training step of a pack of `size` trials, after one step to warm up."""
        configs = [MIXES[mix][k * len(MIXES[mix]) // size] for k in range(size)] if size > 1 else [MIXES[mix][0]]
        built = [build_parts(k, parts(name, values), self.backbone.shape, k) for k, (name, values) in enumerate(configs)]
        pack = Pack(built, device=self.backbone.device)
        rule, seeds = AdamW(), list(range(size))
        state = rule.start(pack)
        self.trainer.train(pack, rule, state, seeds, self.data, start=0, stop=1)
        return self.trainer.train(pack, rule, state, seeds, self.data, start=1, stop=1 + steps).seconds / steps

    @property
    def native(self) -> bool:
        """Whether a search on this hardware would choose this dtype."""
        return bool(pick_dtype("auto", self.backbone.device) == self.backbone.dtype)

    def tokens(self, *, start: int, stop: int, prompt: int) -> float:
        """Mean tokens of one trial's step, padding left out, from step `start` to step `stop`."""
        batches = Batches(self.data.lengths, batch=BATCH)
        rows = [self.data.lengths[row] + prompt for step in range(start, stop) for row in batches.rows(seed=0, step=step)]
        return float(sum(rows) / (stop - start))


def padding_fraction(bench: Bench, *, size: int, steps: int) -> float:
    """Share of padding among the tokens of a pack's steps, each trial drawing its own rows."""
    batches, lengths = Batches(bench.data.lengths, batch=BATCH), bench.data.lengths
    steps_rows = [[lengths[row] + PROMPT for seed in range(size) for row in batches.rows(seed=seed, step=step)] for step in range(steps)]
    real, padded = sum(map(sum, steps_rows)), sum(len(rows) * max(rows) for rows in steps_rows)
    return float(1 - real / padded)


def matmul_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations per second of one matrix product in the shape of the model's larger linears, memory in place."""
    a, b = torch.randn(4096, 384, device=device).to(dtype), torch.randn(384, 1536, device=device).to(dtype)
    out = a @ b
    best: float = min(_timed(lambda: [torch.mm(a, b, out=out) for _ in range(20)], device) for _ in range(3))
    return 20 * 2 * 4096 * 384 * 1536 / best


def _timed(function: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def peak_memory(size: int, *, model: str, task: str) -> int:
    """Peak resident memory in bytes of a fresh process that trains a pack of this size."""
    code = (
        "import re, sys; sys.path.insert(0, sys.argv[1]); import throughput\n"
        "bench = throughput.Bench.start('auto', model=sys.argv[3], task=sys.argv[4], device='cpu')\n"
        "bench.run('ulpt', int(sys.argv[2]), steps=1)\n"
        "print(1024 * int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]))"
    )
    here = __file__.rpartition("/")[0] or "."
    done = subprocess.run([sys.executable, "-c", code, here, str(size), model, task], capture_output=True, text=True, check=True)
    return int(done.stdout.strip().splitlines()[-1])


def pieces_gain(bench: Bench, *, steps: int) -> float:
    """How many times faster a pack of 16 trains in pieces that fit the caches (`TOKENS_AT_ONCE`) than in one pass a step."""
    pieces = bench.run("ulpt", 16, steps=steps)
    with mock.patch.object(training, "TOKENS_AT_ONCE", {}):
        return bench.run("ulpt", 16, steps=steps) / pieces


def added_memory(few: int, many: int, *, model: str, task: str) -> float:
    """Bytes that each further trial of a pack adds to the peak of a process."""
    return (peak_memory(many, model=model, task=task) - peak_memory(few, model=model, task=task)) / (many - few)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": round(statistics.median(values), 4), "low": round(min(values), 4), "high": round(max(values), 4)}


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    repeats, steps = (2, 1) if asked.quick else (asked.repeats, 6)
    benches = {dtype: Bench.start(dtype, model=asked.model, task=asked.task, device=asked.device) for dtype in DTYPES}
    sizes = (1, 16) if asked.quick else tuple(map(int, asked.sizes.split(",")))
    native: Dtype = "bfloat16" if benches["bfloat16"].native else "float32"
    mixes = ("ulpt",) if asked.quick else MIXES
    rows: list[Row] = list(dict.fromkeys([*((native, mix, size) for mix in mixes for size in sizes), ("float32", "ulpt", 1)]))
    once = [_turn(benches, rows, native=native, steps=steps, number=n + 1, repeats=repeats) for n in range(repeats)]
    few, many = (1, 4) if asked.quick else (1, 16)
    memory = [added_memory(few, many, model=asked.model, task=asked.task) for _ in range(1 if asked.quick else repeats)]
    return summary(benches[native], once, memory, native=native, steps=steps)


@dataclass(frozen=True)
class Turn:
    """What one repeat measured."""

    rates: dict[Row, float]
    """Trial-steps per second."""
    products: dict[Dtype, float]
    """Operations per second of a matrix product alone."""
    pieces: float


def _turn(benches: dict[Dtype, Bench], rows: Sequence[Row], *, native: Dtype, steps: int, number: int, repeats: int) -> Turn:
    rates = {row: row[2] / benches[row[0]].run(row[1], row[2], steps=steps) for row in rows}
    products = {dtype: matmul_rate(bench.backbone.dtype, bench.backbone.device) for dtype, bench in benches.items()}
    pieces = pieces_gain(benches[native], steps=steps)
    print(f"repeat {number} of {repeats}", file=sys.stderr, flush=True)
    return Turn(rates, products, pieces)


def summary(bench: Bench, turns: Sequence[Turn], memory: Sequence[float], *, native: Dtype, steps: int) -> dict[str, Any]:
    """Ratios repeat by repeat.

    Where the hardware does not multiply bfloat16, packs run in float32, as they would in a search: `dtype` says so.
    """
    packed: Row = (native, "ulpt", 16)
    solo16: Row = (native, "ulpt", 1)
    solo32: Row = ("float32", "ulpt", 1)
    tokens = bench.tokens(start=1, stop=1 + steps, prompt=PROMPT)
    weights = sum(site.inputs * site.outputs for site in bench.backbone.shape.linears)

    def share(row: Row) -> dict[str, float]:
        return spread([turn.rates[row] * tokens * weights * 4 / turn.products[row[0]] for turn in turns])

    return {
        "machine": {
            "cores": psutil.cpu_count(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "device": str(bench.backbone.device),
            "dtype": native,
            "matmul_gflops": {dtype: spread([turn.products[dtype] / 1e9 for turn in turns]) for dtype in DTYPES},
        },
        "trial_steps_per_second": {" ".join(map(str, row)): spread([turn.rates[row] for turn in turns]) for row in turns[0].rates},
        "pack16_bf16_over_solo_fp32": spread([turn.rates[packed] / turn.rates[solo32] for turn in turns]),
        "pack16_bf16_over_solo_bf16": spread([turn.rates[packed] / turn.rates[solo16] for turn in turns]),
        "fraction_of_matmul": share(packed),
        "fraction_of_matmul_solo_fp32": share(solo32),
        "pieces_over_one_pass": spread([turn.pieces for turn in turns]),
        "padding_fraction": spread([padding_fraction(bench, size=16, steps=20)]),
        "bytes_per_added_trial": spread(memory),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="under a minute; too short to quote")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", default="1,4,16,64", help="trials in a pack; 1 and 16 must be among them")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--task", default="pydocs")
    parser.add_argument("--device", default="auto")
    found = measure(parser.parse_args())
    print(json.dumps(found) if parser.parse_args().json else json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
