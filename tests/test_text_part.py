"""A multimodal model's folder serves by its text part, where transformers has a class that is that alone; else it is refused in a line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Trial
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports import export, load_export
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model import frozen_scores
from ulpt_search.workers.model.backbone import load, shape_of
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import encode

from . import families, multimodal, toy
from .exporting import setup, task_folder, trained
from .test_families import rows
from .test_proof import run, snippets

SERVED = sorted(set(multimodal.WHOLES) - {"qwen2_5_vl"})


def spec(name: str) -> ModelSpec:
    return ModelSpec(str(multimodal.folder(name)), dtype="float32", device="cpu")


@pytest.mark.parametrize("name", SERVED)
@torch.no_grad()
def test_its_logits_are_the_whole_models(name: str) -> None:
    """Head, scales and ties included: `tie_word_embeddings` is the whole model's to say."""
    words = families.tokenizer(families.FAMILIES["llama"])  # AutoTokenizer makes a Qwen's own of the folder's
    backbone, ids = replace(load(spec(name)), tokenizer=words), torch.arange(4, 24)[None]
    assert (backbone.family, backbone.part) == ("decoder", True)
    assert shape_of(spec(name)).handling == backbone.shape.handling
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    wanted = multimodal.model(name)(**given).logits
    assert wanted.std() > 0.1
    torch.testing.assert_close(backbone.model(**given).logits, wanted, rtol=1e-4, atol=1e-4)
    data = encode(backbone, rows(), max_tokens=40)
    assert frozen_scores.require_same_scores(backbone, readout_of(backbone, toy.task()), data) < 1e-5


@pytest.mark.parametrize("read", [load, shape_of])
def test_without_a_class_for_the_text_part_it_is_refused(read: object) -> None:
    with pytest.raises(
        WrongInput, match=r"^model .*: a qwen2_5_vl reads more than text, and transformers has no class .*; give a text model$"
    ):
        read(spec("qwen2_5_vl"))  # type: ignore[operator]


def test_a_head_that_the_folder_lacks_is_not_made_up(tmp_path: Path) -> None:
    """A folder that says its head is no copy of the embeddings, but holds none."""
    from shutil import copytree

    broken = Path(copytree(multimodal.folder("mistral3"), tmp_path / "broken"))
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    with pytest.raises(WrongInput, match=r"its folder lacks 1 tensors, e\.g\. lm_head\.weight"):
        load(ModelSpec(str(broken), dtype="float32", device="cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mistral3", "gemma3"])
def test_adapters_leave_it_in_every_format(name: str, tmp_path: Path, fresh: Fresh) -> None:
    place = task_folder(tmp_path)
    study = replace(setup("decoder", place), model=spec(name), store=str(tmp_path / "store"))
    config = Trial(0, "lora", {"lr": 0.1}, seed=3, parameters=count("lora", {"lr": 0.1}, load(spec(name)).shape))
    digest, answers = trained(study, config), []
    for style in ("native", "peft", "merged"):
        export(study, config, digest, style=style, out=tmp_path / style, fresh=fresh)
        answers.append(load_export(tmp_path / style)(["w0 w11 w12"])[0])
    assert len({answer["label"] for answer in answers}) == 1
    text = json.loads((multimodal.folder(name) / "config.json").read_text())["text_config"]
    kept = json.loads((tmp_path / "merged" / "config.json").read_text())
    text["tie_word_embeddings"] = True  # the whole model's head is its table of embeddings
    assert {key: kept[key] for key in text} == text
    assert type(AutoModelForCausalLM.from_pretrained(tmp_path / "merged")).__name__.endswith("ForCausalLM")
    jobs = [(tmp_path / style, snippets(tmp_path / style)[0]) for style in ("peft", "merged")]
    first, second = run(jobs)
    assert first.split()[0] == second.split()[0]
    assert float(first.split()[1]) == pytest.approx(float(second.split()[1]), abs=2e-4)
