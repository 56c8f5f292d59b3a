"""What a model computes for a few probe texts, by our own code and by stock libraries: the two sides of every export's proof."""

import json
import subprocess
import sys
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ...spaces.errors import Failure
from ..backbone import Backbone
from ..pack import Pack
from ..readout import Encoded
from ..sites import Sites
from ..training import bound_values

ROWS = 4


def probe(data: Encoded, *, pad: int) -> dict[str, Tensor]:
    """Token ids (rows, tokens), padded on the right, with their mask, from the first texts of a split."""
    ids, lengths, _ = data.batch(range(min(ROWS, len(data.ids))), pad=pad, device=torch.device("cpu"))
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
        extra = {"position_ids": positions + sites.shifts(ids.device)[:, None]} if sites.has_prefix else {}
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


def stock_outputs(folder: Path, base: str, inputs: dict[str, Tensor], *, style: str) -> Tensor:
    """Outputs of an export as loaded by stock libraries alone, in a fresh process that never imports this package.

    Raises `Failure` where the stock libraries cannot load it.
    """
    asked, answered = folder / ".probe.safetensors", folder / ".answer.safetensors"
    try:
        safetensors.torch.save_file(inputs, asked)
        order = json.dumps({"folder": str(folder), "base": base, "style": style, "asked": str(asked), "answered": str(answered)})
        done = subprocess.run([sys.executable, "-W", "ignore", *_program(style), order], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"export: the stock libraries cannot load {folder.name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        return safetensors.torch.load_file(answered)["outputs"]
    finally:
        asked.unlink(missing_ok=True)
        answered.unlink(missing_ok=True)


def _program(style: str) -> list[str]:
    """A native export is loaded by this package, every other by a script that imports none of it."""
    if style.startswith("native"):
        return ["-m", f"{__package__}.native_process"]
    return ["-I", str(Path(__file__).with_name("stock_process.py"))]
