"""Which trials go together into a pack: the ones that waste least of each other's time.

Every row of a pack is padded to its longest prompt, and the backward pass of the pack goes as deep as its lowest touched layer;
so trials of similar depth, then of similar prompt length, are put together.
"""

from collections.abc import Sequence
from typing import TypeVar

from .search_space import Configured

DEPTH = 64  # tokens of padding that are as bad as one trial's full-depth backward pass for a pack that needs none

One = TypeVar("One", bound=Configured)


def similar(candidates: Sequence[One], *, size: int) -> list[One]:
    """Return up to `size` candidates: the first, which is the most urgent, and those most like it, urgent ones first."""
    if len(candidates) <= size:
        return list(candidates)
    first = candidates[0]
    ranked = sorted(range(len(candidates)), key=lambda i: (distance(first, candidates[i]), i))
    return [candidates[i] for i in sorted(ranked[:size])]


def distance(a: Configured, b: Configured) -> float:
    """Return how badly two trials fit together, in tokens of padding."""
    return abs(prompt_length(a) - prompt_length(b)) + DEPTH * abs(depth(a) - depth(b))


def prompt_length(one: Configured) -> int:
    """Return the number of virtual tokens in front of the text, over all parts of a composition."""
    return sum(int(value) for name, value in one.hyperparameters.items() if name.rpartition(".")[2] == "prompt_length")


def depth(one: Configured) -> float:
    """Return the share of the layers that gradients flow through: 1 for prompts and for whatever says nothing of layers."""
    chosen = [str(value) for name, value in one.hyperparameters.items() if name.rpartition(".")[2] == "layers"]
    if not chosen or prompt_length(one):
        return 1.0
    return max(_share(layers) for layers in chosen)


def _share(layers: str) -> float:
    end, _, number = layers.partition(":")
    if end != "last":
        return 1.0
    return int(number[:-1]) / 100 if number.endswith("%") else min(1.0, int(number) / 12)
