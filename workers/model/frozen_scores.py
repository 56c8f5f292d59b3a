"""The first thing a study does with a model: its own scores of a few rows must be those of the plain model.

The product hands texts over as embeddings, many rows at once and padded, through an attention function of its own. The plain call
takes one row's token ids, unpadded, with the model's own attention and its own head. Whatever a family does differently for the two
would make every trial, and every export, one of another model: it is refused before anything is trained.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ...spaces.errors import WrongInput, reason
from .attention import attend_by
from .backbone import Backbone, quiet
from .precision import cast
from .readouts.encoding import Encoded
from .readouts.readout import ABSENT, Readout
from .readouts.texts import Texts

ROWS = 4
OPERATIONS = 5e12
"""What the comparison may cost, seconds on a few cores: of a large model, only the shortest rows are compared."""
UPCAST = 5e8
"""Models of fewer weights are compared in float32, whatever they train in: there, differences can be told from rounding."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 5e-2}
"""Largest difference, relative to the largest score, that the order of sums may cause. Bfloat16 has 8 bits: its sums say little."""


def require_same_scores(backbone: Backbone, readout: Readout, data: Encoded) -> float:
    """Compare a few rows of a split; return the difference as a share of the largest score, `WrongInput` names it where it is no noise."""
    family = f"{backbone.model.config.model_type} ({type(backbone.model).__name__})"
    readout = readout.compared
    rows = probe_rows(data, tokens=OPERATIONS / (6 * sum(weight.numel() for weight in backbone.model.parameters())))
    with _precise(backbone):
        tolerance = TOLERANCE[backbone.dtype]
        try:
            wanted = plain_scores(backbone, readout, data, rows)
            found = [own_scores(backbone, readout, data, rows, shifted=shifted) for shifted in (False, True)]
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError) as error:
            raise WrongInput(f"model: {family} cannot be run, plain or on padded embeddings: {reason(error)}; give another") from error
    far = max(relative(scores, wanted) for scores in found)
    if not far <= tolerance:
        raise WrongInput(
            f"model: frozen scores of a {family} in padded batches of embeddings differ from the plain model's by {far:.1e} of the largest "
            f"({tolerance:.0e} is float noise), so nothing trained on them would hold; give another model"
        )
    return far


def relative(found: Tensor, wanted: Tensor) -> float:
    """Largest difference as a share of the largest wanted score; infinite where one is not a number."""
    largest = wanted.masked_fill(wanted <= ABSENT, 0.0).abs().max()
    far = float((found - wanted).abs().max() / largest.clamp_min(1e-30))
    return far if far == far else float("inf")


def probe_rows(data: Encoded, *, among: int = 64, tokens: float = float("inf")) -> list[int]:
    """The shortest, the longest and some rows between them of a split's first ones; only the two shortest beyond so many tokens."""
    order = sorted(range(min(among, len(data.lengths))), key=lambda row: data.lengths[row])
    spread = sorted({order[round(place * (len(order) - 1) / (ROWS - 1))] for place in range(ROWS)})
    return spread if sum(data.lengths[row] for row in spread) <= tokens else order[:2]


@torch.no_grad()
def own_scores(backbone: Backbone, readout: Readout, data: Encoded, rows: Sequence[int], *, shifted: bool = False) -> Tensor:
    """Scores as they are computed in training, without an adapter; `shifted` says positions, as beside a prefix."""
    ids, lengths, _ = data.batch(rows, pad=int(backbone.tokenizer.pad_token_id or 0), device=backbone.device)
    fronts = torch.zeros_like(lengths)
    types = data.batch_types(rows, device=backbone.device)
    choices = data.batch_choices(rows, device=backbone.device)
    answers = data.batch_answers(rows, device=backbone.device) or (None, None)
    return readout.scores(Texts(backbone.embed(ids), fronts, lengths, fronts if shifted else None, types, choices, *answers))


@torch.no_grad()
def plain_scores(backbone: Backbone, readout: Readout, data: Encoded, rows: Sequence[int]) -> Tensor:
    """Label scores (rows, labels) as anybody would compute them with transformers alone, one row at a time."""
    with _own_attention(backbone):
        return torch.cat([_plain(backbone, readout, data, row) for row in rows])


def _plain(backbone: Backbone, readout: Readout, data: Encoded, row: int) -> Tensor:
    choices, answers = data.batch_choices([row], device=backbone.device), data.batch_answers([row], device=backbone.device)
    found: list[Tensor] = []
    for number in data.sequences([row]).tolist():
        ids = torch.tensor(data.ids[number].tolist(), device=backbone.device)[None]
        found.append(readout.plain(ids, data.single.batch_types([number], device=backbone.device), choices, answers))
    return readout.fold(torch.cat(found))


@contextmanager
def _precise(backbone: Backbone) -> Iterator[None]:
    """Let a small model run in float32, which holds every bfloat16 number as it is."""
    dtype = backbone.dtype
    if dtype != torch.bfloat16 or sum(weight.numel() for weight in backbone.model.parameters()) > UPCAST:
        yield
        return
    cast(backbone.model, torch.float32)
    try:
        yield
    finally:
        cast(backbone.model, dtype)


@contextmanager
def _own_attention(backbone: Backbone) -> Iterator[None]:
    """Let the model run with its own plain attention."""
    ours = backbone.model.config._attn_implementation
    with quiet():
        attend_by(backbone.model, "eager")
        try:
            yield
        finally:
            attend_by(backbone.model, ours)
