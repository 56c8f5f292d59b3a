"""What `gpu.py` measures on a device: trial-steps a second of packs, of a plain PEFT loop on the same rows, and peak memory beside paper.

A model of a published shape with random weights in bfloat16, made on the device; LoRA; rows that are all of one length, so that nobody
gains by padding less. Packs whose sum on paper does not fit in what is free compute their blocks again in backward; where that does not
fit either, they are left out, as is what would take longer than there is time.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import peft
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from ulpt_search.benchmarks.random_models import backbone_of, model_of
from ulpt_search.benchmarks.throughput import Bench
from ulpt_search.benchmarks.tiny_tasks import colours
from ulpt_search.spaces.space import Training
from ulpt_search.workers.catalogue import parts
from ulpt_search.workers.method import LowRank
from ulpt_search.workers.model.attention import attend_by
from ulpt_search.workers.model.readouts.choice import for_task, readout_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.readouts.words import Words
from ulpt_search.workers.training.batches import Batches
from ulpt_search.workers.training.memory import Memory, Pass, memory_of
from ulpt_search.workers.training.memory_here import SPARE, free
from ulpt_search.workers.training.trainer import Trainer

Row = dict[str, Any]
Left = Callable[[], float]
"""Seconds that are left."""
MIX, RATE = "lora", 1e-4
GIB = 1 << 30


@dataclass(frozen=True)
class Size:
    """What is measured on a model of `random_models.SHAPES`."""

    model: str
    tokens: int = 512
    batch: int = 4
    packs: tuple[int, ...] = (1, 4, 16)
    steps: int = 3
    repeats: int = 3


def measured(size: Size, device: torch.device, left: Left) -> Iterator[Row]:
    """Yield a row for the PEFT loop and one for each pack; what is compared runs in turns, `size.repeats` times where there is time."""
    model = backbone_of(size.model, dtype=torch.bfloat16, device=device)
    task = colours(max(32, 4 * size.batch), words=(size.tokens, size.tokens))
    backbone = for_task(model, task)
    data = encode(backbone, task.train, max_tokens=size.tokens)
    recipe = Training(steps=1000, rungs=(1000,), batch=size.batch)
    benches = {again: Bench(backbone, Trainer(backbone, readout_of(backbone, task), recipe, again), data) for again in (False, True)}
    ways: dict[str, Callable[[], float]] = {"PEFT loop": lambda: peft_step(benches[False], steps=size.steps)}
    rows: dict[str, Row] = {"PEFT loop": {"trials": 1, "again": False}}
    empty = model_of(size.model, dtype=torch.bfloat16, device=torch.device("meta"))
    for trials in size.packs:
        name, paper, again = f"pack of {trials}", *_paper(empty, size, benches[False], trials)
        rows[name] = {"trials": trials, "again": again, "paper": paper.total, "counted": paper.counted}
        if paper.total - paper.base > SPARE * free(device):
            rows[name]["why"] = (
                f"needs {(paper.total - paper.base) / GIB:.1f} GiB beside the model on paper, {free(device) / GIB:.1f} are free"
            )
            continue
        ways[name] = lambda trials=trials, again=again: benches[again].run(MIX, trials, steps=size.steps)  # type: ignore[misc]
    _in_turns(ways, rows, size, device, left)
    alone, loop = _rate(rows["pack of 1"]), _rate(rows["PEFT loop"])
    work = 4 * sum(site.inputs * site.outputs for site in backbone.shape.linears) * size.batch * max(data.lengths)
    for name, row in rows.items():
        yield {"model": size.model, "way": name, **_told(row, alone, loop, work), "fine": "failed" not in row}


def _paper(model: PreTrainedModel, size: Size, bench: Bench, trials: int) -> tuple[Memory, bool]:
    """The memory of a step on paper, with its blocks computed again in backward where it would not fit otherwise; and whether they are.

    `model` is on the meta device.
    """
    backbone, kernel = bench.backbone, "eager" if bench.backbone.device.type == "cpu" else "sdpa"

    def of(*, again: bool) -> Memory:
        return memory_of(model, backbone.shape, parts(MIX, {}), Pass(size.batch, max(bench.data.lengths), trials, again), kernel=kernel)

    whole = of(again=False)
    fits = whole.total - whole.base <= SPARE * free(backbone.device)
    return (whole, False) if fits else (of(again=True), True)


def _in_turns(ways: dict[str, Callable[[], float]], rows: dict[str, Row], size: Size, device: torch.device, left: Left) -> None:
    """Run every way once a turn, one that has not failed and whose last run, or the one of the pack before it by size, fits the time."""
    for _ in range(size.repeats):
        last = 0.0
        for name, way in ways.items():
            row = rows[name]
            expected = row.get("run", last * row["trials"])
            if "failed" in row or expected > left():
                row.setdefault("why", f"needs about {expected:.0f} s, {left():.0f} s are left")
                continue
            _once(way, row, device)
            last = row.get("run", 0.0) / row["trials"]


def _once(way: Callable[[], float], row: Row, device: torch.device) -> None:
    began = time.perf_counter()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        row.setdefault("seconds", []).append(way())
    except torch.OutOfMemoryError:
        row["failed"] = row["why"] = "out of memory"
    row["run"] = time.perf_counter() - began
    if device.type == "cuda":
        row["peak"] = max(row.get("peak", 0), torch.cuda.max_memory_allocated(device))


def _rate(row: Row) -> float | None:
    """Trial-steps a second, the best of the turns."""
    return row["trials"] / min(row["seconds"]) if row.get("seconds") else None


def _told(row: Row, alone: float | None, loop: float | None, work: int) -> Row:
    """The row for people and JSON; `work`: a trial-step's operations, 2 a weight and token forward, 2 backward, no block twice."""
    rate, said = _rate(row), {"trials": row["trials"], "checkpointing": row["again"]}
    for key, base in (("trial_steps_per_second", 1.0), ("over_one_trial", alone), ("over_peft_loop", loop)):
        said[key] = rate / base if rate and base else None
    ratio = row["paper"] / row["peak"] if row.get("paper") and row.get("peak") else None
    return {
        **said,
        "tflops": rate * work / 1e12 if rate else None,
        "seconds_per_step": row.get("seconds", []),
        "peak_bytes": row.get("peak"),
        "paper_bytes": row.get("paper"),
        "paper_over_peak": ratio,
        "paper_counted": row.get("counted"),
        "why": row.get("why", ""),
    }


def peft_step(bench: Bench, *, steps: int) -> float:
    """Seconds of a step of a plain PEFT training loop: the same linears, rank and rows, the library's own attention; after one to warm up.

    Only the last token's logits are made, as a careful loop does.
    """
    model, (method,) = bench.backbone.model, parts(MIX, {})
    assert isinstance(method, LowRank), "LoRA is"
    linears = [site.name for site in method.sites(bench.backbone.shape)]
    ours = model.config._attn_implementation
    attend_by(model, "sdpa")
    config = peft.LoraConfig(r=method.rank, target_modules=linears)  # type: ignore[attr-defined]
    wrapped = peft.get_peft_model(model, config)
    try:
        return _looped(bench, wrapped, steps)
    finally:
        wrapped.base_model.unload()  # type: ignore[operator]
        model.requires_grad_(False).eval()
        attend_by(model, ours)


def _looped(bench: Bench, model: peft.PeftModel, steps: int) -> float:
    readout, device = bench.trainer.readout, bench.backbone.device
    assert isinstance(readout, Words), "three colours are told apart by their first tokens"
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    rule, batches = torch.optim.AdamW(trained, lr=RATE), Batches(bench.data.lengths, batch=bench.trainer.training.batch)
    for step in range(1 + steps):
        if step == 1:
            _wait(device)
            began = time.perf_counter()
        ids, _, targets = bench.data.batch(batches.rows(seed=0, step=step).tolist(), pad=0, device=device)
        logits: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), logits_to_keep=1).logits[:, -1, readout.words]
        rule.zero_grad()
        cross_entropy(logits.float(), targets).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        rule.step()
    _wait(device)
    return (time.perf_counter() - began) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
