"""Identities for tests that need no model."""

from dataclasses import replace

from ulpt_search.spaces.identity import Content, FrozenSide, Identity, Numerics, TaskSide

FROZEN = FrozenSide(Content("53aa51172d142c89" * 4, "f0" * 32), Content("70" * 32), Content("c0" * 32))
TASK = TaskSide("a1" * 32, "a2" * 32, "a3" * 32, "b1" * 32, "b2" * 32, "accuracy", "1: text", "128", "rule 0")
NUMERICS = Numerics("float32", "sdpa", "cpu", "2.13.0", "5.24.0")
IDENTITY = Identity(FROZEN, TASK, NUMERICS)


def with_weights(loaded: str, files: str = "") -> Identity:
    """An identity of other weights."""
    return replace(IDENTITY, frozen=replace(FROZEN, weights=Content(loaded, files)))
