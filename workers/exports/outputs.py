"""What a model computes for a few probe texts by our own code: one side of every export's proof, `fresh` being the other."""

import torch
from torch import Tensor

from ..model.backbone import Backbone
from ..model.pack import Pack
from ..model.sites import Sites
from ..model.verbalizer import Encoded
from ..training.trainer import bound_values

ROWS = 4


def probe(data: Encoded, *, pad: int) -> dict[str, Tensor]:
    """Token ids (rows, tokens), padded on the right, with their mask, from the first texts of a split."""
    return padded(data, pad=pad, rows=ROWS)


def padded(data: Encoded, *, pad: int, rows: int | None = None) -> dict[str, Tensor]:
    """Token ids (rows, tokens) of a split, or its first `rows`, padded on the right, with their mask."""
    ids, lengths, _ = data.batch(range(min(rows or len(data.ids), len(data.ids))), pad=pad, device=torch.device("cpu"))
    return {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()}


@torch.no_grad()
def trained_outputs(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor]) -> Tensor:
    """Outputs of the trained adapter: last hidden state (encoders) or logits, prompt positions included."""
    ids, lengths = inputs["input_ids"], inputs["attention_mask"].sum(1)
    embedded = backbone.model.get_input_embeddings()(ids)[None]
    with Sites(backbone.model, backbone.shape, pack.groups, trials=1) as sites, sites.bind(bound_values(pack), rows=len(ids)):
        embeds, fronts = sites.prompts(embedded)
        positions = torch.arange(embeds.shape[2])[None]
        mask = (positions < (fronts + lengths)[:, None]).long()
        moved = sites.has_prefix and backbone.family != "encoder-decoder"
        extra = {"position_ids": positions + sites.shifts(ids.device)[:, None]} if moved else {}
        return run_model(backbone.model, {"inputs_embeds": embeds[0], "attention_mask": mask, **extra})


def run_model(model: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Run any transformers or peft model; encoder-decoders get one decoder token, as their label scoring does."""
    config = model.config
    if config.is_encoder_decoder:  # type: ignore[union-attr]
        start = int(config.decoder_start_token_id)  # type: ignore[arg-type, union-attr]
        inputs = {**inputs, "decoder_input_ids": torch.full((len(inputs["attention_mask"]), 1), start)}
    output = model(**inputs)
    found: Tensor = output.logits if hasattr(output, "logits") else output.last_hidden_state
    return found
