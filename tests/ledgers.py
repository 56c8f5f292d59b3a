"""A small study for the ledger's tests, and programs that use it from another process."""

import sys
import textwrap

from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.records import Result, Trial

from .identities import IDENTITY

SPACE = {
    "model": {"name": "minilm"},
    "task": {"name": "pydocs"},
    "training": {"steps": 200, "rungs": [25, 200]},
    "methods": {"ulpt": {"dim": 3}},
}


def make(ledger: Ledger, name: str = "demo", *, trials: int = 0) -> Ledger:
    ledger.create(name, space=SPACE, budget=10_000, seed=7, identity=IDENTITY)
    ledger.add_trials(name, [trial(number) for number in range(trials)])
    return ledger


def trial(number: int) -> Trial:
    return Trial(number, "ulpt", {"dim": 8, "lr": 0.1, "scale": True, "modules": "q,v"}, 0, 788)


def result(number: int, step: int = 25, *, score: float = 0.5) -> Result:
    return Result(number, step, "validation", score, 0.01, 1.25, 2.5, f"{number:064x}", 3152)


def program(text: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(text), *arguments]
