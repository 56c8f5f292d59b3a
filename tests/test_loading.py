"""A loaded model is the one that transformers would load: in bfloat16, without a pooler in its folder, and only if it is whole."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from transformers import AutoConfig, WhisperConfig

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.backbone import LOADERS, load, shape_of
from ulpt_search.workers.model.precision import cast

from . import families, zoo

TABLES = ["llama", "gemma3_text", "modernbert", "gptj", "deepseek_v3", "falcon_h1", "bart", "m2m_100", "roberta", "mamba"]
"""Families with rotary tables of each kind, a router in float32, sinusoids, scales and constants beside the weights."""


@pytest.mark.parametrize("name", TABLES)
def test_bfloat16_is_what_transformers_loads(name: str) -> None:
    """Rotary frequencies in bfloat16 turn far positions by radians, and a rounded router sends tokens elsewhere."""
    ours = load(ModelSpec(str(families.folder(name)), dtype="bfloat16", device="cpu"))
    config = AutoConfig.from_pretrained(families.folder(name))
    stock = LOADERS[ours.family].from_pretrained(families.folder(name), config=config, dtype=torch.bfloat16)
    wanted = dict(stock.named_parameters()) | dict(stock.named_buffers())
    found = dict(ours.model.named_parameters()) | dict(ours.model.named_buffers())
    assert found.keys() == wanted.keys()
    assert [key for key in wanted if found[key].dtype != wanted[key].dtype] == []
    assert [key for key in wanted if not torch.equal(found[key], wanted[key])] == []


def test_there_and_back_is_the_same() -> None:
    model = families.model("llama")
    cast(model, torch.bfloat16)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    cast(model, torch.float32)
    cast(model, torch.bfloat16)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def without(folder: Path, part: str, to: Path) -> ModelSpec:
    """A copy of a folder whose weights lack the tensors with `part` in their name."""
    shutil.copytree(folder, to)
    weights = safetensors.torch.load_file(to / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if part not in name}
    assert len(kept) < len(weights)
    safetensors.torch.save_file(kept, to / "model.safetensors", metadata={"format": "pt"})
    return ModelSpec(str(to), dtype="float32", device="cpu")


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet", "albert"])
def test_a_missing_pooler_is_not_made_up(name: str, tmp_path: Path) -> None:
    spec = without(families.folder(name), "pooler", tmp_path / "model")
    once, again = load(spec), load(spec)
    assert not [key for key in once.model.state_dict() if "pooler" in key]
    assert once.fingerprint == again.fingerprint
    ids = torch.tensor([[4, 5, 6]])
    hidden = [backbone.model(input_ids=ids).last_hidden_state for backbone in (once, families.backbone(name))]
    torch.testing.assert_close(hidden[0], hidden[1])


def test_a_folder_with_holes_is_refused(tmp_path: Path) -> None:
    spec = without(families.folder("llama"), "layers.1.mlp.up_proj", tmp_path / "model")
    with pytest.raises(WrongInput, match=r"lacks 1 tensors, e\.g\. model\.layers\.1\.mlp\.up_proj\.weight, which would be random; give a"):
        load(spec)


def test_an_encoder_decoder_without_a_start_token_is_refused_on_paper(tmp_path: Path) -> None:
    folder = zoo.save("encoder-decoder", tmp_path / "t5")
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    del config["decoder_start_token_id"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf8")
    for read in (shape_of, load):
        with pytest.raises(WrongInput, match=r"names no decoder_start_token_id, which every answer starts with; add it \(a t5 has its own"):
            read(ModelSpec(str(folder), dtype="float32", device="cpu"))


def test_sides_of_padding_do_not_reach_descriptions() -> None:
    """Seen with a folder that says `padding_side: left`: descriptions were pooled as if padded on the right."""
    from dataclasses import replace

    from ulpt_search.workers.model.readouts.cosine import Cosine

    from . import toy

    backbone, left = families.backbone("bert"), families.tokenizer(families.FAMILIES["bert"])
    left.padding_side = "left"
    task = replace(toy.task(), descriptions=("red w1 w2 w3 w4", "green", "blue w5"))
    found, wanted = (Cosine(one, task).matrix for one in (replace(backbone, tokenizer=left), backbone))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("gpu7", r"^model\.device: 'gpu7' is no device; give auto, cpu, cuda or cuda:1$"),
        ("cuda:99", r"^model\.device: cuda:99 asked for, but PyTorch sees (no GPU|\d+) here.*; give auto or cpu$"),
    ],
)
def test_a_device_that_is_not_there_is_told_in_one_line(device: str, told: str) -> None:
    with pytest.raises(WrongInput, match=told):
        load(ModelSpec(zoo.saved("encoder"), dtype="float32", device=device))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(zoo.saved("encoder"), tmp_path / "copy"))
    (copy / name).write_bytes((copy / name).read_bytes()[: (copy / name).stat().st_size // 2])
    with pytest.raises(WrongInput, match=rf"^model {copy}: cannot be loaded: .+$") as caught:
        load(ModelSpec(str(copy), dtype="float32", device="cpu"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [load, shape_of])
def test_a_model_of_speech_is_refused_in_one_line(read: Callable[[ModelSpec], object], tmp_path: Path) -> None:
    WhisperConfig(d_model=32, decoder_start_token_id=1).save_pretrained(tmp_path)
    with pytest.raises(WrongInput, match=r"a whisper makes no text of text; give a text encoder, decoder or encoder-decoder$"):
        read(ModelSpec(str(tmp_path), dtype="float32", device="cpu"))
