"""What writing answers adds to a search, on paper."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...spaces.errors import WrongInput
from ...spaces.metrics import metric as metric_called
from ..brain.time_left import Work

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ...workers.model.backbone import Backbone
    from ...workers.tasks import Task
    from .speed import Pace

LONGEST = 32
"""Answers of most characters, among which the one of most tokens is looked for."""
GUESSED = 0.001
"""Seconds a token of one of many answers that are written together, before anything was measured."""
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


@dataclass(frozen=True)
class Writes:
    """How many answers a trial writes when it is scored, and what one is expected to take: finals write all, rungs some or none."""

    rung: int = 0
    final: int = 0
    seconds: float = 0.01

    def answers(self, work: Work) -> int:
        """Return how many each trial of a job writes; only finals read the test split."""
        return self.final if "test" in work.splits else self.rung if work.splits else 0


NONE = Writes()


def writes_of(task: "Task", tokenizer: "Callable[[], PreTrainedTokenizerBase]", *, rate: float | None, trained: int) -> Writes:
    """Return what each trial writes, at `rate` trial-steps of `trained` tokens a second; a guess without a rate."""
    metrics = [metric_called(name).decodes for name in (task.metric, *task.metrics)]
    if not any(metrics):
        return NONE
    tokens = task.decoding.max_new_tokens or _longest(task, tokenizer())
    seconds = tokens * (GUESSED if rate is None else WORTH / (rate * trained))
    return Writes(metrics[0] * min(task.decoding.decoded_rows, len(task.validation)), len(task.validation) + len(task.test), seconds)


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


def answer_tokens(task: "Task", tokenizer: "PreTrainedTokenizerBase") -> int:
    """Tokens of the longest answer that is trained on, which all have logits at once; 0 where labels are read."""
    return _longest(task, tokenizer) if task.kind == "generation" else 0


def _longest(task: "Task", tokenizer: "PreTrainedTokenizerBase") -> int:
    """Tokens of the longest answer of the training rows, its end among them."""
    texts = sorted((one.reference for one in task.train.conversations), key=len)[-LONGEST:]
    return 1 + max(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)


def writing_room(backbone: "Backbone", task: "Task", *, max_tokens: int, front: int) -> int:
    """Return how many tokens the longest prompt takes with its answer; 0 where none is written, or all have room beside `front` more.

    Raises `WrongInput` where the model has fewer positions: while rows are trained on, their own answers may be shorter.
    """
    from ...workers.model.readouts.encoding import encode
    from ...workers.model.readouts.written_rows import prompts_of
    from ...workers.model.written_text import limits_of

    room, asked = backbone.shape.positions, task.decoding.max_new_tokens
    if room is None or not any(metric_called(name).decodes for name in (task.metric, *task.metrics)):
        return 0
    if max_tokens + (asked or max_tokens) + front <= room:
        return 0
    tokens = limits_of(backbone, task.decoding, encode(backbone, task.train, max_tokens=max_tokens, template=task.template)).tokens
    talks = (*task.validation.conversations, *task.test.conversations)
    longest = max(map(len, prompts_of(backbone, talks, task.template)))
    needed = longest + tokens if backbone.family == "decoder" else max(longest, tokens)
    if needed > room:
        way_out = "set task.max_new_tokens" if asked is None else "lower task.max_new_tokens"
        raise WrongInput(
            f"task {task.name}: a prompt of {longest} tokens and an answer of up to {tokens} do not fit the model's {room} positions; "
            f"{way_out}, or task.max_tokens, beyond which rows are shortened or left out"
        )
    return needed
