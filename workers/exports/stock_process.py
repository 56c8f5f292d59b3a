"""Run as a script in a fresh process: load exports with stock transformers and peft only, and write their outputs for a probe.

An order is a line of JSON on stdin, its reply a line of JSON on stdout: `{"error": null}` or one line about what went wrong.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

LOADERS = {"encoder": AutoModel, "decoder": AutoModelForCausalLM, "encoder-decoder": AutoModelForSeq2SeqLM}


def stock_model(order: dict[str, str]) -> Any:
    """The export as a user of the stock libraries gets it."""
    style, _, family = order["style"].partition(":")
    source = order["folder"] if style == "merged" else order["base"]
    model: Any = LOADERS[family].from_pretrained(source, config=AutoConfig.from_pretrained(source), dtype=torch.float32)
    if style == "peft":
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, order["folder"])
    return model.eval()


def answer(order: dict[str, str]) -> None:
    """Answer one probe."""
    inputs, model = load_file(order["asked"]), stock_model(order)
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.full((len(inputs["input_ids"]), 1), model.config.decoder_start_token_id)
    with torch.no_grad():
        output = model(**inputs)
    found = output.logits if hasattr(output, "logits") else output.last_hidden_state
    save_file({"outputs": found.contiguous()}, order["answered"])


def serve(answer: Callable[[dict[str, str]], None]) -> None:
    """Answer orders until stdin ends; whatever libraries print goes to stderr."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        error = None
        try:
            answer(json.loads(line))
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}".splitlines()[0]
        print(json.dumps({"error": error}), file=replies, flush=True)


if __name__ == "__main__":
    serve(answer)
