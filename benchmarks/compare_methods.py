"""Every method of the catalogue on real tasks under equal budgets, with equal tuning effort: `docs/methods-compared.md`.

    python benchmarks/compare_methods.py --data FOLDER --records FILE [--tasks trec,sst2] [--budgets 1e3,1e4] [--minutes 30]
    python benchmarks/compare_methods.py --records FILE --report

For a task, a budget and a method: `--trials` configurations are drawn evenly from the method's own axes, as far as they fit, among
those that use at least a third of the parameters that the method could use; each is trained on the training split and
scored on validation; the best is trained again over `--seeds` fresh seeds and scored once on test. The ceiling is full
fine-tuning of all linears, tuned alike; the floors are a linear probe (logistic regression on the frozen mean-pooled text) and the
frozen model alone. Where a prompt is long, ULPT can have 2 % of its parameters: that pair is compared too.
Records are appended to FILE as they come, and what is there is not done again.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cache
from math import inf
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ulpt_search.dashboards.intervals import Interval, difference, over_seeds
from ulpt_search.search.brain.feasibility import Count, Feasibility, assess
from ulpt_search.search.brain.search_space import Proposal, SearchSpace
from ulpt_search.spaces.axes import Axis, Choice, Int, Value
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Job, Outcome, Result, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import axes_of, catalogue, count
from ulpt_search.workers.model.backbone import shape_of
from ulpt_search.workers.model.readouts.cosine import Cosine, pooled
from ulpt_search.workers.model.readouts.encoding import Encoded
from ulpt_search.workers.training.scoring import score
from ulpt_search.workers.training.session import Session
from ulpt_search.workers.training.worker import run_job, session

FROZEN, PROBE, CEILING = "frozen", "linear probe", "full"
LONGEST = 20
LONG: dict[str, tuple[str, dict[str, Value]]] = {
    "long prompt": ("prompt", {"prompt_length": 128}),
    "long ulpt": ("ulpt", {"prompt_length": 128, "dim": 1, "scale": True, "shift": True}),
}
"""Two prompts of equal length of which the second has about 2 % of the first one's parameters, n + 2d of n·d: methods, fixed values."""
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


@dataclass(frozen=True)
class Cell:
    """What is compared: one method on one task under one budget. Ceiling and floors have no budget."""

    task: str
    method: str
    budget: float

    @property
    def key(self) -> tuple[str, str, float]:
        """Identity within a file of records."""
        return (self.task, self.method, self.budget)


@dataclass(frozen=True)
class Recipe:
    """How much effort every cell gets."""

    data: str
    model: str
    trials: int
    seeds: int
    steps: int
    batch: int

    def setup(self, task: str, store: str) -> Setup:
        """What the workers are told."""
        training = Training(steps=self.steps, rungs=(self.steps,), batch=self.batch)
        return Setup(ModelSpec(self.model), TaskSpec(name=task, path=f"{self.data}/{task}"), training, store)


@cache
def _store() -> tempfile.TemporaryDirectory[str]:
    """One adapter store a process: cells of one task then share the loaded model, the tokens and the lower blocks' output."""
    return tempfile.TemporaryDirectory()


def run_cell(cell: Cell, recipe: Recipe) -> dict[str, Any]:
    """Tune, retrain and test one cell; the record says why where nothing fits."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    setup = recipe.setup(cell.task, _store().name)
    loaded = session(setup)
    found = _floor(cell, loaded) if cell.method in (FROZEN, PROBE) else _tuned(cell, recipe, setup)
    dtype = str(loaded.backbone.dtype).removeprefix("torch.")
    return {**asdict(cell), "recipe": asdict(recipe) | {"data": ""}, "dtype": dtype, "seconds": time.perf_counter() - began, **found}


def _tuned(cell: Cell, recipe: Recipe, setup: Setup) -> dict[str, Any]:
    drawn = list(_draw(cell, recipe))
    if not drawn:
        return {"parameters": None, "why": "no configuration fits"}
    tuning = _train(setup, drawn, split="validation")
    if not tuning.results:
        return {"parameters": None, "why": "; ".join(problem.error for problem in tuning.problems)[:200]}
    best = max(tuning.results, key=lambda result: result.score)
    chosen = drawn[best.trial]
    finals = _train(
        setup,
        [Trial(n, chosen.method, chosen.hyperparameters, 1000 + n, chosen.parameters, "final") for n in range(recipe.seeds)],
        split="test",
    )
    return {
        "parameters": chosen.parameters,
        "hyperparameters": dict(chosen.hyperparameters),
        "validation": best.score,
        "test": [result.score for result in finals.results],
        "variance": [result.variance for result in finals.results],
    }


def _draw(cell: Cell, recipe: Recipe) -> Iterator[Trial]:
    """The configurations to tune over: new ones that use a third or more of what the method can use under the budget."""
    judged, one, counted, budget = _judged(cell, recipe)
    if not one.feasible:
        return
    chance, known = random.Random(f"{cell.key}"), set()

    def acceptable(proposal: Proposal) -> bool:
        try:
            size = counted(proposal.method, proposal.hyperparameters)
        except WrongInput:
            return False
        return (one.largest or 0) / 3 <= size <= budget and proposal.identity not in known

    for number in range(recipe.trials):
        proposal = SearchSpace(judged, seeds=1).draw(accept=acceptable, chance=chance)
        if proposal is None:
            return
        known.add(proposal.identity)
        yield Trial(number, proposal.method, proposal.hyperparameters, 0, counted(proposal.method, proposal.hyperparameters))


def _judged(cell: Cell, recipe: Recipe) -> tuple[dict[str, Feasibility], Feasibility, Count, int]:
    """What of the method's own axes fits the budget: for a search, and as its only entry; with what counts, and the budget."""
    shape = shape_of(ModelSpec(recipe.model))
    budget = 10**12 if cell.budget == inf else int(cell.budget)

    def counted(method: str, values: Any) -> int:
        return count(method, values, shape)

    method, fixed = LONG.get(cell.method, (cell.method, {"layers": "all", "modules": "all"} if cell.method == CEILING else {}))
    own = {name: _short(name, axis) for name, axis in axes_of(method).items()} | {name: Choice((value,)) for name, value in fixed.items()}
    judged = assess({method: own}, budget=budget, count=counted)
    return dict(judged), judged[method], counted, budget


def settled(cell: Cell, budgets: Sequence[float], recipe: Recipe) -> dict[str, Any] | None:
    """The record of a method that can use no more parameters than under a smaller budget: it is compared there. None for others."""
    if cell.budget == inf:
        return None
    largest = _largest(cell.method, cell.budget, recipe)
    for budget in sorted(budget for budget in budgets if budget < cell.budget):
        if largest is not None and _largest(cell.method, budget, recipe) == largest:
            why = f"uses no more than at {budget:,.0f}"
            return {**asdict(cell), "recipe": asdict(recipe) | {"data": ""}, "dtype": None, "seconds": 0.0, "parameters": None, "why": why}
    return None


@cache
def _largest(method: str, budget: float, recipe: Recipe) -> int | None:
    return _judged(Cell("", method, budget), recipe)[1].largest


def _short(name: str, axis: Axis) -> Axis:
    """Prompts and prefixes of at most `LONGEST` positions, since every row pays for them."""
    return replace(axis, high=min(axis.high, LONGEST)) if name in ("prompt_length", "prefix_length") and isinstance(axis, Int) else axis


def _train(setup: Setup, trials: Sequence[Trial], *, split: Any) -> Outcome:
    """Train to the end, in packs; full fine-tuning, which is large, one at a time."""
    size = 1 if trials[0].method == CEILING else len(trials)
    jobs = [trials[start : start + size] for start in range(0, len(trials), size)]
    made = [run_job(setup, Job(n, tuple(Assignment(t) for t in job), setup.training.steps, (split,))) for n, job in enumerate(jobs)]
    results: list[Result] = [result for outcome in made for result in outcome.results]
    return Outcome(0, tuple(results), tuple(problem for outcome in made for problem in outcome.problems))


def _floor(cell: Cell, loaded: Session) -> dict[str, Any]:
    """The frozen model's own answer, or a logistic regression on what it computes; neither has a seed."""
    features = {split: _features(loaded, data) for split, data in loaded.splits.items()}
    targets = {split: torch.tensor(data.targets) for split, data in loaded.splits.items()}
    classes = len(loaded.task.labels)

    def scored(split: str, logits: torch.Tensor) -> Any:
        return score(loaded.task.metric, logits.argmax(-1).tolist(), targets[split].tolist(), classes=classes)

    if cell.method == FROZEN:
        assert isinstance(loaded.trainer.readout, Cosine)
        found = scored("test", features["test"] @ loaded.trainer.readout.matrix.float().T)
        return {"parameters": 0, "hyperparameters": {}, "test": [found.value], "variance": [found.variance]}
    fits = {penalty: _logistic(features["train"], targets["train"], classes, penalty) for penalty in PENALTIES}
    best = max(PENALTIES, key=lambda penalty: scored("validation", fits[penalty](features["validation"])).value)
    found = scored("test", fits[best](features["test"]))
    parameters = sum(p.numel() for p in fits[best].parameters())
    return {"parameters": parameters, "hyperparameters": {"penalty": best}, "test": [found.value], "variance": [found.variance]}


@torch.no_grad()
def _features(loaded: Session, data: Encoded) -> torch.Tensor:
    """Mean-pooled text of every row, (rows, width), unit vectors."""
    model, made, order = loaded.backbone.model, [], np.argsort(data.lengths)
    for rows in np.array_split(order, max(1, len(order) // 64)):
        ids, lengths, _ = data.batch(rows.tolist(), pad=0, device=loaded.backbone.device)
        mask = (torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]).long()
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        made.append(pooled(hidden, fronts=torch.zeros_like(lengths), lengths=lengths).cpu())
    features = torch.cat(made)
    return torch.empty_like(features).index_copy_(0, torch.from_numpy(order), features)


def _logistic(x: torch.Tensor, y: torch.Tensor, classes: int, penalty: float) -> torch.nn.Linear:
    layer = torch.nn.Linear(x.shape[1], classes)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    solver = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        solver.zero_grad()
        loss = torch.nn.functional.cross_entropy(layer(x), y) + penalty / 2 * layer.weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return layer.requires_grad_(False)


def cells(tasks: Sequence[str], budgets: Sequence[float], methods: Sequence[str], *, long: Sequence[str]) -> list[Cell]:
    """Everything to compare, budget by budget, so that an early stop leaves whole columns; `long` are the tasks for long prompts."""
    ends = [Cell(task, end, inf) for task in tasks for end in (FROZEN, PROBE, CEILING, *(LONG if task in long else ()))]
    return ends + [Cell(task, method, budget) for budget in budgets for task in tasks for method in methods if method != CEILING]


def read(records: Path) -> list[dict[str, Any]]:
    """The records so far; none where there is no file."""
    return [json.loads(line) for line in records.read_text(encoding="utf8").splitlines()] if records.exists() else []


def collect(asked: argparse.Namespace) -> None:
    """Run what is missing, until it is done or the time is up."""
    known = {(record["task"], record["method"], record["budget"]) for record in read(asked.records)}
    recipe = Recipe(str(Path(asked.data).resolve()), asked.model, asked.trials, asked.seeds, asked.steps, asked.batch)
    methods = asked.methods.split(",") if asked.methods else list(catalogue())
    budgets = [float(budget) for budget in asked.budgets.split(",")]
    tasks, long = asked.tasks.split(","), asked.long.split(",")
    new = [cell for cell in cells(tasks, budgets, methods, long=long) if cell.key not in known]
    clear = {cell: record for cell in new if (record := settled(cell, budgets, recipe))}
    for record in clear.values():
        _append(asked.records, record)
    todo = [cell for cell in new if cell not in clear]
    deadline = time.monotonic() + 60 * asked.minutes
    with ProcessPoolExecutor(asked.processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_guarded, cell, recipe, deadline): cell for cell in todo}
        for number, future in enumerate(as_completed(running), 1):
            made = future.result()
            if made is None:
                continue
            _append(asked.records, made)
            outcome = shown(made) if made.get("test") else made["why"]
            print(f"{number}/{len(todo)} {made['task']} {made['method']} {made['budget']:g}: {outcome}", file=sys.stderr, flush=True)


def _append(records: Path, record: dict[str, Any]) -> None:
    with records.open("a", encoding="utf8") as file:
        file.write(json.dumps(record) + "\n")


def _guarded(cell: Cell, recipe: Recipe, deadline: float) -> dict[str, Any] | None:
    return run_cell(cell, recipe) if time.monotonic() < deadline else None


def interval(record: dict[str, Any]) -> Interval:
    """The 95 % interval of a record's test score, over its seeds and the test rows."""
    return over_seeds(record["test"], record["variance"])


def shown(record: dict[str, Any]) -> str:
    """`0.812 ±0.020`."""
    found = interval(record)
    return f"{found.centre:.3f} ±{found.high - found.centre:.3f}"


def report(records: Sequence[dict[str, Any]]) -> str:
    """The page: a table for every task and budget, who ties with the best, and the two questions answered."""
    recipe = records[0]["recipe"]
    done = "; ".join(f"{task} at {_list([f'{b:,.0f}' for b in _budgets(own)])}" for task, own in _by(records, "task").items())
    lines = [
        "# Methods compared",
        "",
        f"Measured: {done}. The command goes on from `benchmarks/methods-compared.jsonl`, where every record is kept.",
        "",
        f"Made by `benchmarks/compare_methods.py` on {recipe['model']}. Every method gets {recipe['trials']} configurations of",
        f"{recipe['steps']} steps (batch {recipe['batch']}), chosen by validation, then {recipe['seeds']} fresh seeds, scored on test.",
        "± is a 95 % interval over seeds and test rows (`dashboards/intervals.py`). A method ties with the best where the interval",
        "of their difference holds zero. So few seeds and steps separate large differences only. Prompts in the tables have at most 20",
        "tokens. The frozen model runs in the dtype that its machine multiplies natively, given with each table; adapters are float32.",
        "",
        *_overview(records),
    ]
    for task, own in _by(records, "task").items():
        lines += [f"## {task}", "", *_ends(own), *_own_steps(own, usual=recipe["steps"]), ""]
        for rows in _budgets(own).values():
            lines += _table(task, rows, own)
    return "\n".join(lines).rstrip() + "\n"


def _ends(own: Sequence[dict[str, Any]]) -> list[str]:
    ends = _without_budget(own)
    names = {FROZEN: "frozen model alone", PROBE: "linear probe", CEILING: "full fine-tuning of all linears"}
    floors = "; ".join(f"{names[name]} ({ends[name]['parameters']:,} parameters) {shown(ends[name])}" for name in names if name in ends)
    return [f"{floors}.", *_long(own[0]["task"], own)]


def _by(records: Sequence[dict[str, Any]], key: str) -> dict[Any, list[dict[str, Any]]]:
    """Records by what stands under a key, in the order in which it is first met."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(record[key], []).append(record)
    return groups


def _budgets(own: Sequence[dict[str, Any]]) -> dict[float, list[dict[str, Any]]]:
    """One task's records by budget, the smallest first; not what has no budget."""
    return dict(sorted((budget, rows) for budget, rows in _by(own, "budget").items() if budget < inf))


def _without_budget(own: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One task's ceiling, floors and long prompts by name, as far as they were scored."""
    return {record["method"]: record for record in own if record["budget"] == inf and record.get("test")}


def _own_steps(own: Sequence[dict[str, Any]], *, usual: int) -> list[str]:
    """Where a task's adapters were trained for another number of steps than the page says."""
    steps = {record["recipe"]["steps"] for record in own if record["budget"] < inf} - {usual}
    return [f"Adapters were trained for {' and '.join(map(str, sorted(steps)))} steps here, full fine-tuning for {usual}."] if steps else []


def _table(task: str, rows: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]]) -> list[str]:
    scored = _scored(rows)
    absent = [f"{record['method']} ({record['why']})" for record in rows if not record.get("test")]
    dtypes = " and ".join(sorted({record["dtype"] for record in rows if record["dtype"]}))
    lines = [f"### {task}, at most {rows[0]['budget']:,.0f} parameters ({dtypes})", ""]
    lines += ["| method | parameters | test | ties with the best |", "|---|---|---|---|"]
    for record in scored:
        tie = "best" if record is scored[0] else "" if _apart(scored[0], record) else "yes"
        lines.append(f"| {record['method']} | {record['parameters']:,} | {shown(record)} | {tie} |")
    waiting = sorted(catalogue().keys() - {record["method"] for record in rows} - {CEILING})
    notes = [f"Not shown: {', '.join(absent)}."] * bool(absent) + [f"Not measured yet: {', '.join(waiting)}."] * bool(waiting)
    answers = Answers.of(rows, own)
    lines += ["", *notes, *(answers.sentences() if answers else ()), ""]
    return lines


def _scored(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records with a test score, the best first."""
    return sorted((record for record in rows if record.get("test")), key=lambda record: -_mean(record))


def _apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the 95 % interval of their difference leaves zero out."""
    return bool(difference(interval(one), interval(other)).excludes_zero)


@dataclass(frozen=True)
class Answers:
    """The two questions for one task under one budget: is ULPT worth the prompt, is the best adapter worth full fine-tuning?

    A share is None where it says nothing: what it is a share of was not measured, or is no gain beyond its 95 % interval.
    """

    best: str
    of_full: float | None
    """The best adapter's test score over full fine-tuning's."""
    gain_of_full: float | None
    """The same for what both gain over the frozen model."""
    ulpt_size: float | None
    """ULPT's parameters over the prompt's."""
    ulpt_gain: float | None
    """What ULPT gains over the frozen model, over what the prompt gains."""

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]]) -> "Answers | None":
        """Answer from the records of one budget and of the whole task; None where no adapter was scored."""
        scored = {record["method"]: record for record in _scored(rows)}
        ends = _without_budget(own)
        if not scored:
            return None
        best, frozen, full = next(iter(scored)), ends.get(FROZEN), ends.get(CEILING)
        ulpt, prompt = scored.get("ulpt"), scored.get("prompt")
        return cls(
            best,
            _mean(scored[best]) / _mean(full) if full and _gains(full, frozen) else None,
            _share(scored[best], full, frozen),
            ulpt["parameters"] / prompt["parameters"] if ulpt and prompt else None,
            _share(ulpt, prompt, frozen),
        )

    def sentences(self) -> list[str]:
        """What stands under a table."""
        lines = []
        if self.ulpt_size is not None and self.ulpt_gain is not None:
            lines.append(
                f"ULPT has {self.ulpt_size:.0%} of the prompt's parameters here and {self.ulpt_gain:.0%} of its gain over the frozen model."
            )
        if self.of_full is not None and self.gain_of_full is not None:
            lines.append(
                f"The best adapter, {self.best}, has {self.of_full:.0%} of full fine-tuning's score, {self.gain_of_full:.0%} of its gain."
            )
        return lines


def _mean(record: dict[str, Any]) -> float:
    return float(statistics.mean(record["test"]))


def _gains(record: dict[str, Any], frozen: dict[str, Any] | None) -> bool:
    return frozen is not None and _mean(record) > _mean(frozen) and _apart(record, frozen)


def _share(part: dict[str, Any] | None, whole: dict[str, Any] | None, frozen: dict[str, Any] | None) -> float | None:
    """What one gains over the frozen model, over what the other gains."""
    if part is None or whole is None or frozen is None or not _gains(whole, frozen):
        return None
    return (_mean(part) - _mean(frozen)) / (_mean(whole) - _mean(frozen))


def _percent(share: float | None) -> str:
    return "no gain to share" if share is None else f"{share:.0%}"


def _in_words(records: Sequence[dict[str, Any]], *, enough: float = 0.97, small: float = 1e4) -> list[str]:
    """Both questions in a sentence each: is `enough` kept, by the best adapter under `small` parameters and by ULPT?"""
    found = {
        (task, budget): answers
        for task, own in _by(records, "task").items()
        for budget, rows in _budgets(own).items()
        if (answers := Answers.of(rows, own))
    }
    of_full = {task: answers.of_full for (task, budget), answers in found.items() if budget == small}
    kept = [task for task, share in of_full.items() if share is not None and share >= enough]
    lost = [task for task, share in of_full.items() if share is not None and share < enough]
    idle = [task for task, share in of_full.items() if share is None]
    best = f"The best adapter of at most {small:,.0f} parameters keeps at least {enough:.0%} of full fine-tuning's score on {_list(kept)}"
    lines = [best + (f", not on {_list(lost)}." if lost else ".")]
    if idle:
        lines.append(f"On {_list(idle)} full fine-tuning itself gains nothing over the frozen model, and methods cannot be told apart.")
    pairs = {key: answers for key, answers in found.items() if answers.ulpt_size is not None and answers.ulpt_gain is not None}
    if pairs:
        (task, budget), least = min(pairs.items(), key=lambda pair: pair[1].ulpt_size or inf)
        lines.append(
            f"Where a prompt of at most {LONGEST} tokens gains anything, ULPT has at least {least.ulpt_size:.0%} of its parameters"
            f" ({task}, {budget:,.0f}) and then keeps {least.ulpt_gain:.0%} of its gain; 2 % takes a longer prompt, since 2d alone is"
            f" {2 / LONGEST:.0%} of this one."
        )
    return lines + [sentence for task, own in _by(records, "task").items() for sentence in _long(task, own)]


def _long(task: str, own: Sequence[dict[str, Any]]) -> list[str]:
    """Whether ULPT keeps a long prompt's gain with 2 % of its parameters, in a sentence; none where that was not measured."""
    ends = _without_budget(own)
    prompt, ulpt = (ends.get(name) for name in LONG)
    if not prompt or not ulpt:
        return []
    size, gain = ulpt["parameters"] / prompt["parameters"], _share(ulpt, prompt, ends.get(FROZEN))
    scores = f"{shown(ulpt)} against {shown(prompt)}"
    length = prompt["hyperparameters"]["prompt_length"]
    found = _percent(gain) + " of its gain" * (gain is not None)
    return [f"With {size:.1%} of the parameters of a prompt of {length} tokens, ULPT scores {scores} on {task}: {found}."]


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:]))) or "no task"


def _overview(records: Sequence[dict[str, Any]]) -> list[str]:
    """Both questions over all tasks and budgets."""
    lines = [
        "## In short",
        "",
        *_in_words(records),
        "",
        "| task | budget | best adapter | ties with it | of full fine-tuning's score | ULPT: of the prompt's parameters | of its gain |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, own in _by(records, "task").items():
        for budget, rows in _budgets(own).items():
            found, scored = Answers.of(rows, own), _scored(rows)
            if found is None:
                continue
            ties = f"{sum(not _apart(scored[0], record) for record in scored[1:])} of {len(scored) - 1}"
            size = "not compared" if found.ulpt_size is None else f"{found.ulpt_size:.0%}"
            gain = "" if found.ulpt_size is None else _percent(found.ulpt_gain)
            lines.append(f"| {task} | {budget:,.0f} | {found.best} | {ties} | {_percent(found.of_full)} | {size} | {gain} |")
    return [*lines, ""]


def main() -> None:
    """Collect, or report what was collected."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with one folder a task")
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--tasks", default="sst2,rte,trec,cola")
    parser.add_argument("--budgets", default="1e3,1e4,1e5")
    parser.add_argument("--methods", help="comma list; default: the whole catalogue")
    parser.add_argument("--long", default="trec", metavar="TASKS", help="where long prompts are compared: where prompts gain anything")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=inf, help="start nothing new after so long")
    parser.add_argument("--report", action="store_true", help="print the page instead of measuring")
    asked = parser.parse_args()
    if not asked.report:
        collect(asked)
    sys.stdout.write(report(read(asked.records)) if asked.report else "")


if __name__ == "__main__":
    main()
