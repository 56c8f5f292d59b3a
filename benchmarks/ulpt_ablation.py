"""What each part of ULPT buys, against a shift alone, a soft prompt and (IA)³ of equal size: `docs/ulpt.md`.

    python benchmarks/ulpt_ablation.py --data FOLDER --records FILE [--tasks trec,sst2] [--minutes 30]
    python benchmarks/ulpt_ablation.py --data FOLDER --records FILE --shares minilm,MODEL_FOLDER

For a task and a variant, each of three rates is trained with one seed, and validation chooses; the chosen rate is trained with two more
seeds, and all three are scored on test. A variant that is another with a part changed, or trained for longer (`Cell.like`), takes the
rate chosen for that one, and all those of a task train as packs of `--pack` trials. The share that is token-specific is
‖ΔE - mean over tokens of ΔE‖ / ‖ΔE‖ for the change ΔE (n×d) of the prompt in training: 0 for a shift alone. Records are appended to FILE;
what is there is not done again. Which rows of test each seed has right is kept (`right`), so that `ulpt_page.py`, which makes the tables
and the picture of FILE, can compare variants row by row.
"""

import argparse
import base64
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ulpt_search.spaces.shape import Shape
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.method import Method, Named, SoftPrompt, Tensors
from ulpt_search.workers.methods.ia3 import Ia3
from ulpt_search.workers.methods.prompt import Prompt
from ulpt_search.workers.methods.ulpt import Ulpt
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.encoding import Encoded
from ulpt_search.workers.optimizers.adamw import AdamW
from ulpt_search.workers.training.row_scores import Scores, packed
from ulpt_search.workers.training.scoring import score
from ulpt_search.workers.training.session import Session
from ulpt_search.workers.training.worker import session

RATES = (0.1, 0.3, 1.0)
SEEDS = 3
SHIFT = "s, b alone"
Rows = tuple[int, int]
"""How many of validation and of test are scored."""


@dataclass(frozen=True)
class Variant(SoftPrompt):
    """A ULPT that is not offered: some tensors stay as they start, or all are trained at one rate without units."""

    inner: Ulpt
    still: tuple[str, ...] = ()
    units: bool = True

    @property
    def length(self) -> int:
        """n virtual tokens."""
        return self.inner.length

    def parameters(self, shape: Shape) -> int:
        """Those of the tensors that are trained."""
        return sum(t.numel() for t in self.build(shape, Generator()).trainable.values())

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """ULPT's start."""
        made = self.inner.build(shape, generator)
        moving = {name: t for name, t in made.trainable.items() if name not in self.still}
        return Tensors(moving, made.frozen | {name: made.trainable[name] for name in self.still})

    def rate(self, name: str) -> float:
        """ULPT's."""
        return self.inner.rate(name)

    def unit(self, name: str, shape: Shape) -> float:
        """ULPT's, or none."""
        return self.inner.unit(name, shape) if self.units else 1.0

    def prompt(self, p: Named) -> Tensor:
        """ULPT's, (n, d)."""
        return self.inner.prompt(p)

    def signature(self) -> tuple[object, ...]:
        """Equal for ULPTs that are."""
        return (type(self), self.inner.signature(), self.still, self.units)


@dataclass(frozen=True)
class Cell:
    """One variant: its method at a rate, the rates to choose from or the cell whose rate it takes, and how many times the usual steps."""

    method: Callable[[float], Method]
    rates: tuple[float, ...] = RATES
    longer: int = 1
    like: str = ""


def _ulpt(*, like: str = "", **values: Any) -> Cell:
    return Cell(lambda lr: Ulpt(**{"dim": 64, "lr": lr, **values}), like=like)


def _longer(name: str, times: int) -> Cell:
    """A cell trained on for longer, at the rate that its usual steps, or those of the cell it is like, have chosen."""
    return replace(CELLS[name], longer=times, like=CELLS[name].like or name)


def _prompt(length: int) -> Cell:
    return Cell(lambda lr: Prompt(prompt_length=length, lr=lr))


def _ia3(modules: str) -> Cell:
    return Cell(lambda lr: Ia3(lr=lr, modules=modules, layers="last:1"), rates=(0.01, 0.03, 0.1))


# The first are the most wanted: an early stop leaves whole rows.
CELLS: dict[str, Cell] = {
    SHIFT: Cell(lambda lr: Variant(Ulpt(lr=lr, dim=64), still=("Z",))),
    "ulpt r 64": _ulpt(),
    "ulpt r 2": _ulpt(dim=2),
    "ulpt r 256": _ulpt(dim=256),
    "prompt n 2": _prompt(2),
    "prompt n 4": _prompt(4),
    "ia3 k,v last": _ia3("k,v"),
    "ia3 down last": _ia3("down"),
    "ulpt r 16": _ulpt(dim=16),
    "before, r 64": Cell(lambda lr: Variant(Ulpt(lr=lr, dim=64), units=False), rates=(0.02, 0.06, 0.2)),
    "prompt n 10": _prompt(10),
    "ulpt r 64 without s": _ulpt(scale=False, like="ulpt r 64"),
    "ulpt r 64 without b": _ulpt(shift=False, like="ulpt r 64"),
    "ulpt r 64 without s, b": _ulpt(scale=False, shift=False, like="ulpt r 64"),
    "ulpt r 64 init llama": _ulpt(init="llama", like="ulpt r 64"),
    "ulpt r 64 init t5": _ulpt(init="t5", like="ulpt r 64"),
    "ulpt r 64 init normal": _ulpt(init="normal", like="ulpt r 64"),
    "ulpt r 64 n 3": _ulpt(prompt_length=3, like="ulpt r 64"),
    "ulpt r 64 n 30": _ulpt(prompt_length=30, like="ulpt r 64"),
    "ulpt r 64 n 100": _ulpt(prompt_length=100, like="ulpt r 64"),
}
LONGER = {2: ", twice the steps", 4: ", four times the steps", 8: ", eight times the steps"}
CELLS |= {f"{name}{said}": _longer(name, times) for times, said in LONGER.items() for name in tuple(CELLS) if CELLS[name].longer == 1}


def run_cell(loaded: Session, cell: Cell, rows: Rows) -> list[dict[str, Any]]:
    """Choose a rate, train two more seeds, score."""
    tuned = _train(loaded, [cell.method(rate) for rate in cell.rates], [0] * len(cell.rates), rows, cell.longer)
    best = max(range(len(cell.rates)), key=lambda index: tuned[index]["validation"])
    more = _train(loaded, [cell.method(cell.rates[best])] * (SEEDS - 1), range(1, SEEDS), rows, cell.longer)
    tuning = {str(rate): made["validation"] for rate, made in zip(cell.rates, tuned, strict=True)}
    return [{"tuning": tuning, **_record(loaded, cell, cell.rates[best], [tuned[best], *more])}]


def run_alike(loaded: Session, cells: Sequence[Cell], rates: Sequence[float], rows: Rows) -> list[dict[str, Any]]:
    """Train all seeds of cells that know their rates, of equally many steps, as one pack."""
    methods = [cell.method(rate) for cell, rate in zip(cells, rates, strict=True) for _ in range(SEEDS)]
    runs = _train(loaded, methods, [*range(SEEDS)] * len(cells), rows, cells[0].longer)
    parts = [runs[SEEDS * k : SEEDS * (k + 1)] for k in range(len(cells))]
    return [_record(loaded, *made) for made in zip(cells, rates, parts, strict=True)]


def _record(loaded: Session, cell: Cell, rate: float, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = {key: [run[key] for run in runs] for key in ("validation", "test", "variance", "share", "right")}
    return {"parameters": cell.method(1.0).parameters(loaded.backbone.shape), "rate": rate, **found}


def _train(loaded: Session, methods: Sequence[Method], seeds: Sequence[int], rows: Rows, longer: int) -> list[dict[str, Any]]:
    """Train a pack to the end; per trial scores, the rows of test it has right, and its change's token-specific share."""
    backbone, trainer = loaded.backbone, loaded.trainer
    if longer > 1:
        trainer = type(trainer)(backbone, trainer.readout, Training(steps=longer * trainer.training.steps, batch=trainer.training.batch))
    built = [build_parts(k, (method,), backbone.shape, seed) for k, (method, seed) in enumerate(zip(methods, seeds, strict=True))]
    pack, rule = Pack(built, device=backbone.device), AdamW()
    trainer.train(pack, rule, rule.start(pack), seeds, loaded.splits["train"], start=0, stop=trainer.training.steps)
    data = {split: _first(loaded.splits[split], most) for split, most in zip(("validation", "test"), rows, strict=True)}
    predicted = {split: trainer.predict(pack, own).argmax(-1) for split, own in data.items()}
    found = []
    for k, (part,) in enumerate(built):
        scored = {s: score(loaded.task.metric, predicted[s][k].tolist(), data[s].targets, classes=len(loaded.task.labels)) for s in data}
        end = {**part.tensors.frozen, **pack.of_trial(pack.flat, k)}
        share = token_specific(part.method, {**part.tensors.frozen, **part.tensors.trainable}, end)
        right = np.equal(predicted["test"][k].numpy(), data["test"].targets).astype(np.float64)
        found.append({s: scored[s].value for s in scored} | {"variance": scored["test"].variance, "share": share, "right": _text(right)})
    return found


def _text(scores: Scores) -> str:
    """Rows' scores as `row_scores.packed` makes them, in base64."""
    return base64.b64encode(packed(scores).tobytes()).decode()


def token_specific(method: Method, start: Named, end: Named) -> float:
    """‖ΔE - mean over tokens of ΔE‖ / ‖ΔE‖ of a soft prompt's change; 0 for other methods."""
    if not isinstance(method, SoftPrompt):
        return 0.0
    change = method.prompt(end) - method.prompt(start)
    return float((change - change.mean(0)).norm() / change.norm())


def _first(data: Encoded, rows: int) -> Encoded:
    """At most `rows` rows."""
    count = min(rows, len(data.targets))
    return Encoded(data.tokens[: data.offsets[count]], data.offsets[: count + 1], data.targets[:count])


def load(asked: argparse.Namespace, task: str, model: str) -> Session:
    """Model and task."""
    path = Path(asked.data).resolve() / task
    spec = TaskSpec(name=task, path=str(path), max_tokens=asked.max_tokens)
    return session(Setup(ModelSpec(model), spec, Training(steps=asked.steps, batch=16), tempfile.gettempdir()))


def read(records: Path) -> list[dict[str, Any]]:
    """The records so far."""
    return [json.loads(line) for line in records.read_text(encoding="utf8").splitlines()] if records.exists() else []


def collect(asked: argparse.Namespace) -> None:
    """Run what is missing, until it is done or the time is up: cells that choose a rate first, then those that take another's."""
    deadline = time.monotonic() + 60 * asked.minutes
    names = asked.cells.split(";")
    for task, name in ((task, name) for name in names if not CELLS[name].like for task in asked.tasks.split(",")):
        if time.monotonic() < deadline and (task, name) not in _rates(asked.records):
            _timed(asked, task, [name], partial(run_cell, cell=CELLS[name], rows=(asked.rows, asked.test_rows)))
    for task in asked.tasks.split(","):
        for batch in _batches(task, names, _rates(asked.records), asked.pack):
            if time.monotonic() < deadline:
                rates = [_rates(asked.records)[task, CELLS[name].like] for name in batch]
                cells = [CELLS[name] for name in batch]
                _timed(asked, task, batch, partial(run_alike, cells=cells, rates=rates, rows=(asked.rows, asked.test_rows)))


def _rates(records: Path) -> dict[tuple[str, str], float]:
    """(task, cell) -> the rate that it has, of all cells that are done."""
    return {(record["task"], record["cell"]): record["rate"] for record in read(records) if record["task"] != "shares"}


def _batches(task: str, names: Sequence[str], known: dict[tuple[str, str], float], pack: int) -> list[list[str]]:
    """The cells that are missing though the rate they take is known, in packs of equally many steps."""
    missing = [name for name in names if (task, name) not in known and (task, CELLS[name].like) in known]
    steps = {CELLS[name].longer: [other for other in missing if CELLS[other].longer == CELLS[name].longer] for name in missing}
    size = max(1, pack // SEEDS)
    return [own[start : start + size] for own in steps.values() for start in range(0, len(own), size)]


def _timed(asked: argparse.Namespace, task: str, names: Sequence[str], run: Callable[[Session], list[dict[str, Any]]]) -> None:
    """Append what `run` finds for some cells of a task; their seconds are shared out evenly."""
    began, busy = time.perf_counter(), time.process_time()
    made = run(load(asked, task, "minilm"))
    spent = {"seconds": (time.perf_counter() - began) / len(names), "cpu": (time.process_time() - busy) / len(names)}
    for name, record in zip(names, made, strict=True):
        _append(asked.records, {"task": task, "cell": name, "steps": asked.steps * CELLS[name].longer, **spent, **record})
        print(f"{task} {name}: {record['test']} {spent}", file=sys.stderr, flush=True)


def shares(asked: argparse.Namespace) -> None:
    """The token-specific share at one rate, before units and with them, on several models."""
    for model in asked.shares.split(","):
        for dim in (Ulpt.dim, 64):
            now = Ulpt(dim=dim)
            loaded = load(asked, asked.tasks.split(",")[0], model)
            pair = (Variant(Ulpt(dim=dim, lr=0.03), units=False), now)
            before, after = (_train(loaded, [method] * 2, [0, 1], (asked.rows, asked.test_rows), 1) for method in pair)
            record = {key: [run["share"] for run in runs] for key, runs in (("before", before), ("after", after))}
            _append(asked.records, {"task": "shares", "cell": f"{Path(model).name} r {dim}", "steps": asked.steps, **record})


def _append(records: Path, record: dict[str, Any]) -> None:
    with records.open("a", encoding="utf8") as file:
        file.write(json.dumps(record) + "\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with a folder a task")
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--tasks", default="trec,sst2,subj,sms_spam")
    parser.add_argument("--cells", default=";".join(CELLS), help="variants, divided by semicolons")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--pack", type=int, default=12, help="trials that train at once, where rates are known")
    parser.add_argument("--rows", type=int, default=250, help="rows of validation that are scored, at most")
    parser.add_argument("--test-rows", type=int, default=1000, help="rows of test that are scored, at most")
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--shares", help="models to measure token-specific shares on, in place of scores")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    (shares if asked.shares else collect)(asked)


if __name__ == "__main__":
    main()
