"""The evidence of an export: what the trained adapter and the frozen model compute for a few rows of the validation split."""

from pathlib import Path

import torch
from torch import Tensor

from ...spaces.errors import Failure
from ..model.backbone import Backbone
from ..model.pack import Pack
from ..model.readouts.encoding import encode
from ..tasks import Task
from .card import Card
from .evidence import STRANGE, Evidence, chosen, digest_of, sketch, trace
from .outputs import asked, head_of, head_scores, pooled_states, trained_reading
from .reading import label_scores
from .reloading import Fresh

REPORT = "this model family is not trained as it is used; please report it with the model's name"


def evidence_of(backbone: Backbone, pack: Pack, task: Task, card: Card, folder: Path, fresh: Fresh) -> Evidence:
    """Measure it; `Failure` where our own pass of the frozen model is not the plain library's."""
    rows = chosen(task.validation)
    data = encode(backbone, rows, max_tokens=card.max_tokens, template=card.template)
    inputs = asked(backbone, data, card)
    how = base_style(card, backbone.family)
    plain = fresh.outputs(folder, backbone.source, inputs, style=how, quantization=backbone.quantization)["outputs"]
    found, without = _found(backbone, pack, inputs, plain)
    outputs = trace(*map(sketch, found), without=None if without is None else sketch(without))
    if outputs.noise > STRANGE * float(sketch(found[0]).double().norm()):
        raise Failure(f"export: without any adapter, our outputs differ by {outputs.noise:.1e} from those of the plain model; {REPORT}")
    scores = trace(*(label_scores(each, card, folder) for each in found), without=without)
    texts = tuple(zip(rows.texts_a, rows.texts_b, strict=True))
    note = f"does next to nothing: {outputs.effect:.1e} on the probe rows, where float32 has a noise of {outputs.noise:.1e}"
    return Evidence(texts, digest_of(data.ids), outputs, scores, note if outputs.faint else "", rows.choices, rows.conversations)


def base_style(card: Card, family: str) -> str:
    """As what the frozen model alone is asked where an export is read."""
    return f"base:{card.kind}" if card.pooling is None else f"states:{family}:{card.pooling}"


def _found(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor], plain: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor | None]:
    """What is read without the adapter by the `plain` library and by our own code, and with it; and what stands for no adapter at all.

    A head is asked about the frozen model's states, too: what others in its trial do is what they change of that. A head by itself
    is measured by its scores, which nothing gives without it.
    """
    nothing, head = Pack([[]], device=backbone.device), head_of(pack)
    if head is None:
        return (plain, trained_reading(backbone, nothing, inputs), trained_reading(backbone, pack, inputs)), None
    method, _ = head
    again = pooled_states(backbone, nothing, inputs, method.place(backbone.shape))
    base, repeated = (head_scores(backbone, head, states) for states in (plain, again))
    trained = trained_reading(backbone, pack, inputs)
    return (base, repeated, trained), torch.zeros_like(base) if len(pack.groups) == 1 else None
