"""A home with a small study whose records and adapters agree with each other, made without a search."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from ulpt_search.search.home import Home
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.records import Outcome, Problem, Result, Split, Trial
from ulpt_search.spaces.space_json import space_to_json
from ulpt_search.workers.training.provenance import to_metadata
from ulpt_search.workers.training.row_scores import packed
from ulpt_search.workers.training.store import AdapterStore

from . import simulated
from .identities import IDENTITY

RIGHT = (1.0, 1.0, 0.0, 1.0)


def home(root: Path) -> Home:
    """Return a home with a study, `demo`, of three search trials and a final."""
    made = Home.at(root)
    made.prepare()
    chosen = simulated.space(methods=["prompt"])
    chosen = replace(chosen, task=replace(chosen.task, metric="accuracy"))
    ledger = Ledger.open(made.ledger_url)
    ledger.create("demo", space=space_to_json(chosen), budget=10_000, seed=0, identity=IDENTITY)
    trials = [Trial(n, "prompt", {"prompt_length": n + 1, "lr": 0.1}, 0, 384 * (n + 1)) for n in range(3)]
    trials.append(replace(trials[0], number=3, seed=1000, purpose="final", finalist=0))
    ledger.add_trials("demo", trials)
    store = AdapterStore(made.store)
    for trial in trials:
        ledger.record("demo", Outcome(trial.number, _results(store, trial), (Problem(trial.number, "was lost", own=False),)))
    ledger.close()
    return made


def _results(store: AdapterStore, trial: Trial) -> tuple[Result, ...]:
    tensors = {"value:prompt": torch.full((4, 2), float(trial.number))}
    splits: tuple[Split, ...] = ("validation",)
    if trial.purpose == "final":
        splits = ("validation", "test")
        tensors |= {f"rows:{split}": torch.from_numpy(packed(torch.tensor(RIGHT).double().numpy())) for split in splits}
    metadata = {"trial": json.dumps(trial.to_json(), sort_keys=True), "step": "200", **to_metadata(IDENTITY)}
    digest = store.put(tensors, metadata)
    return tuple(Result(trial.number, 200, split, 0.75, 0.01, 0.5, 1.0, digest, 32) for split in splits)
