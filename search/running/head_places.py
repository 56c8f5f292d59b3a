"""Where the heads of a space read hidden states, for `plan`."""

from ...spaces.errors import WrongInput
from ...spaces.shape import Shape
from ...spaces.space import Space
from ..brain.feasibility import as_axis

WORDS = {
    "mean": "the mean of the text's hidden states",
    "first": "the first token's hidden state",
    "last": "the last token's hidden state",
    "pooler": "the model's own pooler over the first token",
}
DECODERS = {**WORDS, "first": "the hidden state at the decoder's first position"}


def head_places(space: Space, shape: Shape) -> str:
    """Return it in words; empty where the space has no head that fits the model."""
    found = {place for name in space.methods for place in _places(space, name, shape)}
    words = DECODERS if shape.family == "encoder-decoder" else WORDS
    said = " or ".join(words[place] for place in words if place in found)
    return f"{said}, of both texts of a pair" if said and shape.answers.apart else said


def _places(space: Space, name: str, shape: Shape) -> set[str]:
    from ...workers.catalogue import parts
    from ...workers.method import Pooled

    axes = {key: as_axis(axis) for key, axis in space.methods[name].items() if key.rpartition(".")[2] == "pooling"}
    found: set[str] = set()
    for key, value in ((key, value) for key, axis in axes.items() for value in axis.corners()):
        try:
            found |= {part.place(shape) for part in parts(name, {key: value}) if isinstance(part, Pooled)}
        except WrongInput:
            continue  # a place that this model does not have
    return found
