"""How many of a task's texts are longer than a model gets to read, in words."""

from ...tasks import Rows
from ..backbone import Backbone
from .encoding import encode

LOOKED_AT = 1_000
"""Rows of which the share is told: enough for a per cent."""


def cut_notes(backbone: Backbone, rows: Rows, *, max_tokens: int) -> tuple[str, ...]:
    """Say of texts with labels how many lose their end, nothing where none does; conversations are looked after by `fitting.py`."""
    if rows.conversations:
        return ()
    some = rows.take(range(min(LOOKED_AT, len(rows))))
    limit = min(max_tokens, backbone.conventions.room)
    kept, more = (encode(backbone, some, max_tokens=size).lengths for size in (limit, limit + 1))
    longer = sum(one < other or (one == other == limit == backbone.conventions.room) for one, other in zip(kept, more, strict=True))
    if not longer:
        return ()
    share = f"{longer / len(kept):.0%}" if longer >= len(kept) / 100 else "under 1%"
    of = "training texts" if len(some) == len(rows) else f"the first {len(some):,} training texts"
    what = "the longer text of a pair loses its end" if any(text is not None for text in rows.texts_b) else "their end is cut"
    return (f"{share} of {of} are longer than {limit} tokens: {what}; task.max_tokens says how long they may be",)
