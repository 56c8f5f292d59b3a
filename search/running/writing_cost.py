"""What writing answers adds to a search, on paper."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...spaces.metrics import metric as metric_called

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ...workers.tasks import Task
    from .speed import Pace

LONGEST = 32
"""Answers of most characters, among which the one of most tokens is looked for."""
WORTH = 3.0
"""Tokens that are trained in the time in which one is written: less arithmetic, and a pass of its own (`benchmarks/decoding.py`)."""


@dataclass(frozen=True)
class WritingCost:
    """Of all trials together."""

    rung_rows: int
    """Rows that are answered at rungs."""
    final_rows: int
    """Rows that are answered for finals."""
    tokens: int
    """Of an answer, at most."""
    seconds: float | None
    """On top of training and scoring, if every answer is so long; None before a run has measured this machine."""


def writing_cost(
    task: "Task",
    tokenizer: "PreTrainedTokenizerBase",
    pace: "Pace | None",
    *,
    scored: int,
    finals: int,
    trained: int,
    workers: int,
) -> WritingCost | None:
    """Return it for so many scores at rungs and so many finals; None where no answer is written. A training step reads `trained` tokens."""
    metrics = [metric_called(name).decodes for name in (task.metric, *task.metrics)]
    if not any(metrics):
        return None
    validation, test = len(task.validation), len(task.test)
    rungs = metrics[0] * scored * min(task.decoding.decoded_rows, validation)
    of_finals = finals * (validation + test)
    tokens = task.decoding.max_new_tokens or _longest(task, tokenizer)
    speed = None if pace is None else pace.rate * trained / WORTH * workers
    return WritingCost(rungs, of_finals, tokens, None if speed is None else (rungs + of_finals) * tokens / speed)


def _longest(task: "Task", tokenizer: "PreTrainedTokenizerBase") -> int:
    """Tokens of the longest answer of the training rows, its end among them."""
    texts = sorted((one.reference for one in task.train.conversations), key=len)[-LONGEST:]
    return 1 + max(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
