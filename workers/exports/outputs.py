"""What a model computes for a few probe texts by our own code: one side of every export's proof, `fresh` being the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..method import Pooled
from ..model.backbone import Backbone
from ..model.pack import Pack
from ..model.pooling import Body, side_by_side
from ..model.readouts.encoding import Encoded
from ..model.readouts.generation import Generation
from ..model.readouts.likelihood import Likelihood
from ..model.readouts.row_choice import RowChoice, folded
from ..model.readouts.texts import Texts
from ..model.readouts.wording import OwnChoices, Wording
from ..model.readouts.written import Written
from ..model.sites import Sites
from ..training.trainer import bound_values
from .card import Card
from .reading import read

ROWS = 4
Labels = Sequence[Sequence[int]] | None


def probe(data: Encoded, *, pad: int) -> dict[str, Tensor]:
    """Token ids (rows, tokens), padded on the right, with their mask, from the first texts of a split."""
    return padded(data, pad=pad, rows=ROWS)


def padded(data: Encoded, *, pad: int, rows: int | None = None, labels: Labels = None) -> dict[str, Tensor]:
    """Token ids (rows, tokens) of a split, or its first `rows`, padded on the right, with their mask and token types, if any.

    Where a row is two texts, both are there, behind each other.
    `labels`, where all of their tokens count, go with them as `labels` (labels, width), -1 behind their ends.
    """
    chosen, cpu = range(min(rows or len(data.targets), len(data.targets))), torch.device("cpu")
    ids, lengths, _ = data.batch(chosen, pad=pad, device=cpu)
    given = {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()}
    types = data.batch_types(chosen, device=cpu)
    given = given if types is None else {**given, "token_type_ids": types}
    return given if labels is None else {**given, "labels": label_table(labels)}


def asked(backbone: Backbone, data: Encoded, card: Card) -> dict[str, Tensor]:
    """A split as an export's model is asked about it: `padded`, with the labels whose tokens all count or the places of masks."""
    given = padded(data, pad=int(backbone.tokenizer.pad_token_id or 0), labels=card.label_sequences)
    if card.own_choices:
        return with_choices(given, data, range(len(data.targets)), card)
    if data.answers is not None:
        return with_answers(given, data, range(len(data.targets)))
    return with_places(backbone, given) if card.pooling is None else given


def with_places(backbone: Backbone, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs with `places` (rows,), where their masks are, if masks are read."""
    if backbone.mask is None:
        return inputs
    return {**inputs, "places": (inputs["input_ids"] == backbone.tokenizer.mask_token_id).long().argmax(1)}


def with_choices(inputs: dict[str, Tensor], data: Encoded, rows: Sequence[int], card: Card) -> dict[str, Tensor]:
    """Inputs with `choices` (rows, choices, tokens), the rows' own, and whether scores are `per_token`."""
    choices = data.batch_choices(rows, device=torch.device("cpu"))
    assert choices is not None, "rows of such a task have choices"
    return {**inputs, "choices": choices, "per_token": torch.tensor(card.scoring == "mean")}


def with_answers(inputs: dict[str, Tensor], data: Encoded, rows: Sequence[int]) -> dict[str, Tensor]:
    """Inputs with `answers` (rows, most) and `behind`, the tokens that these follow."""
    found = data.batch_answers(rows, device=torch.device("cpu"))
    assert found is not None, "rows of such a task have answers"
    return {**inputs, "answers": found[0], "behind": found[1]}


def label_table(labels: Sequence[Sequence[int]]) -> Tensor:
    """Labels' tokens (labels, width), -1 behind their ends."""
    return pad_sequence([torch.tensor(label) for label in labels], batch_first=True, padding_value=-1)


@torch.no_grad()
def trained_reading(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor]) -> Tensor:
    """What the trained adapter computes where labels are read, (rows, width or vocabulary), or of `labels` all tokens' log-likelihoods.

    With a head of its own, the label scores themselves.
    """
    head = head_of(pack)
    if head is not None:
        return head_scores(backbone, head, pooled_states(backbone, pack, inputs, head[0].place(backbone.shape)))
    if "choices" in inputs:
        return _choices(backbone, pack, inputs)
    if "answers" in inputs:
        return _answers(backbone, pack, inputs)
    if "labels" not in inputs:
        return read(trained_outputs(backbone, pack, inputs), inputs["attention_mask"], backbone.family, inputs.get("places"))
    labels = tuple(tuple(int(token) for token in label if token >= 0) for label in inputs["labels"])
    readout = Likelihood(backbone, Wording("sum", labels, False, False, backbone.family))
    return _told(backbone, pack, inputs, readout.told, copies=readout.copies(training=False)).flatten(1)


def _choices(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor]) -> Tensor:
    """Scores (rows, choices) of rows' own choices, 0 for those that a row has not."""
    choices, mean = inputs["choices"], bool(inputs["per_token"])
    readout = RowChoice(backbone, OwnChoices(mean, choices.shape[1], backbone.family), longest=choices.shape[2])
    told = _told(backbone, pack, inputs, lambda texts: readout.told(texts, choices), copies=readout.most)
    return folded(told, choices, mean=mean)


def _answers(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor]) -> Tensor:
    """Log-likelihoods (rows, most) of rows' answer tokens, 0 where there are none."""
    readout = Generation(backbone, Written(backbone.family, ""))

    def tell(texts: Texts) -> Tensor:
        return readout.told(replace(texts, answers=inputs["answers"], places=inputs["behind"]))

    return _told(backbone, pack, inputs, tell, copies=1)


def _told(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor], tell: Callable[[Texts], Tensor], *, copies: int) -> Tensor:
    """What `tell` makes of texts as the pack's one trial hands them over."""
    ids = inputs["input_ids"]
    with (
        Sites(backbone.model, backbone.shape, pack.groups, trials=1) as sites,
        sites.bind(bound_values(pack), rows=len(ids), copies=copies),
    ):
        embeds, fronts = sites.prompts(backbone.embed(ids)[None])
        moved = sites.shifts(ids.device).expand(len(ids)) if sites.has_prefix else None
        lengths, types = inputs["attention_mask"].sum(1), inputs.get("token_type_ids")
        return tell(Texts(embeds[0], fronts.expand(len(ids)), lengths, moved, types))


@torch.no_grad()
def trained_outputs(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor]) -> Tensor:
    """Outputs of the trained adapter: last hidden state (encoders) or logits, prompt positions included."""
    return _told(backbone, pack, inputs, lambda texts: run_model(backbone.model, texts.inputs(backbone.conventions)), copies=1)


@torch.no_grad()
def pooled_states(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor], how: str) -> Tensor:
    """The trained adapter's pooled states (rows, width)."""
    body, lengths = Body(backbone), inputs["attention_mask"].sum(1)
    with body.watched() as seen:
        trained_outputs(backbone, pack, inputs)
    fronts = (seen[-1].shape[1] - inputs["input_ids"].shape[1]) * torch.ones_like(lengths)
    return body.pool(seen[-1], how, fronts=fronts, lengths=lengths)


def head_scores(backbone: Backbone, head: tuple[Pooled, dict[str, Tensor]], states: Tensor) -> Tensor:
    """A head's scores (rows, outputs) of pooled states (sequences, width), two of them a row where a pair's texts are read apart."""
    method, values = head
    return method.scores(values, side_by_side(states, 2 if backbone.shape.answers.apart else 1))


def head_of(pack: Pack) -> tuple[Pooled, dict[str, Tensor]] | None:
    """The head of a pack of one trial with its tensors; None where it has none."""
    heads = ((group.method, values) for group, values in zip(pack.groups, bound_values(pack), strict=True))
    return next(((m, {name: value[0].detach() for name, value in v.items()}) for m, v in heads if isinstance(m, Pooled)), None)


def run_model(model: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Run any transformers or peft model; encoder-decoders get one decoder token, as their label scoring does."""
    config = model.config
    if config.is_encoder_decoder:  # type: ignore[union-attr]
        start = int(config.decoder_start_token_id)  # type: ignore[arg-type, union-attr]
        inputs = {**inputs, "decoder_input_ids": torch.full((len(inputs["attention_mask"]), 1), start)}
    output = model(**inputs)
    found: Tensor = output.logits if hasattr(output, "logits") else output.last_hidden_state
    return found
