"""Which methods work on which family of models: train, and leave as native, peft and merged files that are proven by loading them.

    python -m ulpt_search.benchmarks.families --records benchmarks/families.jsonl > docs/models.md    # every family: some 15 CPU minutes
    python -m ulpt_search.benchmarks.families --families bert,gpt2 --json

Each family is a tiny model of its real class of the installed transformers, random weights, made in memory and written as a user's
folder. First its frozen scores, in padded batches of embeddings, are compared with the plain model's, and a pack of adapters at every
kind of place with each of them alone (`family_gates.py`); then each method is counted and its formats looked up from the model's
configuration alone, as `plan` does; what that allows is trained in one pack and exported, and the export verified in a fresh process,
all by the code that a search runs. A cell works, is refused on paper in one line, or fails.

Records know the code and the libraries that they were made by: a run goes on where one of the same has stopped, and refuses to mix.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import torch
from transformers.utils import logging as transformers_logging

from ulpt_search.benchmarks import tiny_families
from ulpt_search.benchmarks.families_page import COLUMNS, page
from ulpt_search.benchmarks.family_gates import Gates, gates, unlike
from ulpt_search.spaces.axes import Choice, Value
from ulpt_search.spaces.errors import WrongInput, reason
from ulpt_search.spaces.records import Assignment, Job, Outcome, Problem, Trial
from ulpt_search.spaces.shape import Shape
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count, method
from ulpt_search.workers.exports import Reading, export, forms_of
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model.backbone import shape_of
from ulpt_search.workers.model.frozen_scores import require_same_scores
from ulpt_search.workers.training import worker

METHODS = ("ulpt", "prompt", "prefix", "lora", "ia3", "bitfit", "ln_tuning", "adapter", "head")
"""Two kinds of prompts, extra keys and values, changes of linears of every form that exports differ by, norms, and a head."""
LABELS, STEPS, TOKENS = ("red", "green", "blue"), 4, 32
SOURCES = ("spaces", "workers", "benchmarks/tiny_families.py", "benchmarks/families.py", "benchmarks/family_gates.py")
"""What decides what comes out."""
LIBRARIES = ("transformers", "peft", "torch")


@dataclass(frozen=True)
class Cell:
    """One method in one column: whether it `works`, was `refused` before anything was trained, or `failed`, and why."""

    method: str
    column: str
    state: str
    why: str = ""


@dataclass(frozen=True)
class Family:
    """A family's row."""

    name: str
    model: str
    """Its class."""
    frozen: float | None
    """Largest difference of its frozen scores from the plain model's, as a share of the largest; None where it is refused whole."""
    table: tuple[Cell, ...]
    gates: Gates | None = None
    """None where it is refused whole."""

    def to_json(self) -> dict[str, Any]:
        """`cells` and `failed` are numbers of cells; `table` has them one by one."""
        failed = sum(cell.state == "failed" for cell in self.table)
        refused = sum(cell.state == "refused" for cell in self.table)
        closed = self.gates is not None and not self.gates.open
        return {**asdict(self), "cells": len(self.table), "refused": refused, "failed": failed, "closed": closed, **made_by()}


@cache
def made_by() -> dict[str, Any]:
    """The code, as the sha256 of its sources, and the libraries."""
    root, code = Path(__file__).parents[1], hashlib.sha256()
    files = [file for source in SOURCES for file in ([root / source] if source.endswith(".py") else sorted((root / source).rglob("*.py")))]
    for file in files:
        code.update(f"{file.relative_to(root)}\n{file.read_text(encoding='utf8')}".encode())
    return {"code": code.hexdigest()[:16], "libraries": {name: version(name) for name in LIBRARIES}}


def main() -> None:
    """Try what is asked for; print the page, or JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--families", default=",".join(tiny_families.FAMILIES))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--records", type=Path, help="A JSONL file that keeps what was found, family by family.")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()
    rows = list(recorded(options.families.split(","), options.methods.split(","), options.records))
    click.echo(json.dumps({"families": rows}, indent=1) if options.json else page(rows), nl=options.json)
    sys.exit(any(row["failed"] or row["closed"] for row in rows))


def recorded(names: Sequence[str], methods: Sequence[str], records: Path | None) -> Iterator[dict[str, Any]]:
    """What is found of each family, or was before."""
    lines = records.read_text(encoding="utf8").splitlines() if records and records.exists() else []
    known = {row["name"]: row for row in map(json.loads, lines)}
    strange = next((row["name"] for row in known.values() if any(row[key] != value for key, value in made_by().items())), None)
    if strange is not None:
        raise WrongInput(f"--records {records}: {strange} was tried by other code or libraries; name another file, or move it away")
    with Fresh() as fresh:
        for name in names:
            row = known.get(name) or tried(name, methods, fresh).to_json()
            if name not in known and records:
                with records.open("a", encoding="utf8") as file:
                    file.write(json.dumps(row) + "\n")
            lost = [f"  {cell['method']} {cell['column']}: {cell['why']}" for cell in row["table"] if cell["state"] == "failed"]
            lost += [f"  gates: {row['gates']}"] if row["closed"] else []
            print(f"{name}: {len(lost)} failed", *lost, sep="\n", file=sys.stderr, flush=True)
            yield row


def tried(name: str, methods: Sequence[str], fresh: Fresh) -> Family:
    """Try a family's tiny model with every method."""
    with tempfile.TemporaryDirectory() as room:
        setup = _setup(name, Path(room))
        kind = type(tiny_families.model(name)).__name__
        try:
            shape, far = replace(shape_of(setup.model), labels=len(LABELS)), _compared(setup)
        except WrongInput as refusal:
            return Family(name, kind, None, tuple(Cell(m, column, "refused", str(refusal)) for m in methods for column in COLUMNS))
        return Family(name, kind, far, tuple(_cells(setup, shape, methods, Path(room), fresh)), _gated(setup))


def _setup(name: str, room: Path) -> Setup:
    """A study of a few steps on three labels that a word of each text tells apart."""
    chance, task = random.Random(0), room / "toy"
    task.mkdir()
    for split, rows in {"train": 48, "validation": 16, "test": 16}.items():
        lines = [json.dumps(_row(chance, number)) for number in range(rows)]
        (task / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf8")
    (room / "model").mkdir()
    model = ModelSpec(str(tiny_families.write(name, room / "model")), dtype="float32", device="cpu")
    labels = {label: label for label in LABELS}
    training = Training(steps=STEPS, rungs=(STEPS,), batch=8)
    return Setup(model, TaskSpec("toy", path=str(task), labels=labels, max_tokens=TOKENS), training, store=str(room / "store"))


def _row(chance: random.Random, number: int) -> dict[str, str]:
    """Texts of 2 to 20 words: below and beyond windows of 4 tokens."""
    words = " ".join(f"w{chance.randrange(10, 60)}" for _ in range(chance.randrange(1, 20)))
    return {"text_a": f"w{number % 3} {words}", "label": LABELS[number % 3]}


def _compared(setup: Setup) -> float:
    opened = worker.session(setup)
    return require_same_scores(opened.backbone, opened.trainer.readout, opened.splits["validation"])


def _gated(setup: Setup) -> Gates:
    opened = worker.session(setup)
    data = opened.splits["validation"]
    return gates(opened.trainer, data, list(unlike(data.lengths)))


def _cells(setup: Setup, shape: Shape, methods: Sequence[str], room: Path, fresh: Fresh) -> Iterator[Cell]:
    trials: dict[str, Trial] = {}
    for name in methods:
        try:
            trials[name] = _trial(len(trials), name, shape)
        except WrongInput as refusal:
            yield from (Cell(name, column, "refused", str(refusal)) for column in COLUMNS)
    outcomes = _trained(setup, list(trials.values()))
    stored = {result.trial: result.adapter for outcome in outcomes for result in outcome.results}
    problems = {problem.trial: problem.error for outcome in outcomes for problem in outcome.problems}
    for name, trial in trials.items():
        adapter = stored.get(trial.number)
        yield Cell(name, "train", "works") if adapter else Cell(name, "train", "failed", problems[trial.number])
        yield from _exported(setup, shape, name, trial, adapter or "", room, fresh)


def _trained(setup: Setup, trials: Sequence[Trial]) -> list[Outcome]:
    """What comes of all in one pack; where a refusal that came too late takes the pack with it, of each alone."""
    try:
        return [worker.run_job(setup, Job(0, tuple(map(Assignment, trials)), stop=STEPS))]
    except WrongInput as late:
        if len(trials) == 1:
            return [Outcome(0, problems=(Problem(trials[0].number, str(late)),))]
        return [outcome for trial in trials for outcome in _trained(setup, [trial])]


def _trial(number: int, name: str, shape: Shape) -> Trial:
    """A method at its defaults, with rates high enough to show; where the model lacks its modules, at those of its axis that it has."""
    axes = method(name).axes()
    rates = {key: axis.corners()[-1] for key, axis in axes.items() if key.startswith("lr")}
    values = {**method(name).defaults(), **rates}
    modules = axes.get("modules")
    options = modules.options if isinstance(modules, Choice) else ()
    tries: list[Mapping[str, Value]] = [values, *({**values, "modules": option} for option in options)]
    for candidate in tries:
        try:
            return Trial(number, name, candidate, seed=3, parameters=count(name, candidate, shape, text=TOKENS))
        except WrongInput as refusal:
            first = refusal
    raise first


def _exported(setup: Setup, shape: Shape, name: str, trial: Trial, adapter: str, room: Path, fresh: Fresh) -> Iterator[Cell]:
    forms = forms_of(trial.method, trial.hyperparameters, shape, Reading(TOKENS))
    for style in COLUMNS[1:]:
        if style not in forms.exact:
            yield Cell(name, style, "refused", forms.missing[style])
            continue
        if not adapter:
            yield Cell(name, style, "failed", "not trained")
            continue
        try:
            export(setup, trial, adapter, style=style, out=room / f"{name}-{style}", fresh=fresh)
        except Exception as problem:  # whatever it is, it came after training: the cell has failed, and the table goes on
            yield Cell(name, style, "failed", reason(problem))
            continue
        yield Cell(name, style, "works")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
