"""Made-up tasks in the words of `tiny_families.tokenizer`: three colours that a text's first word tells apart, and answers in writing."""

import random
from collections.abc import Sequence

from ulpt_search.workers.tasks import Conversation, Rows, Task, Turn

LABELS = ("red", "green", "blue")
WHOLE = ("red green", "red blue", "red")
"""Labels whose first tokens do not tell them apart, one of which begins the others."""


def colours(count: int, *, words: tuple[int, int] = (2, 20), texts: Sequence[str] = LABELS) -> Task:
    """A task of so many rows of `words` words each, at least and at most; `texts` stand for its three labels. All splits are the same."""
    draw = random.Random(0)
    rows = Rows(tuple(_text(draw, number, words) for number in range(count)), (None,) * count, tuple(number % 3 for number in range(count)))
    return Task("colours", "classification", LABELS, tuple(texts), "accuracy", rows, rows, rows, "colours")


def said(count: int) -> Task:
    """A task of so many questions, answered by one to three colours: as many as the first word says."""
    draw = random.Random(0)
    asked = tuple(_text(draw, number, (2, 9)) for number in range(count))
    talks = tuple(
        Conversation((Turn("user", text), Turn("assistant", " ".join(LABELS[: 1 + number % 3])))) for number, text in enumerate(asked)
    )
    rows = Rows(asked, (None,) * count, (0.0,) * count, conversations=talks)
    return Task("said", "generation", (), (), "perplexity", rows, rows, rows, "said")


def _text(draw: random.Random, number: int, words: tuple[int, int]) -> str:
    return " ".join([f"w{number % 3}", *(f"w{draw.randrange(10, 60)}" for _ in range(draw.randint(*words) - 1))])
