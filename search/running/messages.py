"""What driver and worker say to each other by way of Tune: outcomes as metrics, the function that does a job, reports of lost workers."""

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ...spaces.attempts import LOST, SHORT
from ...spaces.records import Job, Outcome
from ...spaces.space import Setup

WAITING = "waiting"
"""The metric by which a worker says what it waits for, before its outcome."""


def loaded(path: str, *, threads: int) -> Callable[[Setup, Job], Outcome]:
    """Return the function that does a job, `module:function`, with torch held to so many threads. Raises what importing it raises."""
    module, _, name = path.partition(":")
    os.environ.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    function: Callable[[Setup, Job], Outcome] = getattr(importlib.import_module(module), name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    return function


def to_metrics(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as Tune carries it."""
    return {"outcome": json.dumps(outcome.to_json())}


def from_metrics(result: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `to_metrics` wrote."""
    return Outcome.from_json(json.loads(result["outcome"]))


def reason_of(report: str) -> str:
    """Return why Tune lost a worker, in one line, from its report."""
    if "running low on memory" in report:
        return SHORT
    if "worker process has died" in report:
        return LOST
    return (report.strip().splitlines() or [LOST])[-1][:300]
