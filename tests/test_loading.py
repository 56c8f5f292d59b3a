"""A loaded model is the one that transformers would load: in bfloat16, without a pooler in its folder, and only if it is whole."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from transformers import AutoConfig, PreTrainedConfig, T5GemmaConfig, WhisperConfig

from ulpt_search.benchmarks.random_models import model_of
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.architecture import read_shape
from ulpt_search.workers.model.backbone import LOADERS, load, shape_of
from ulpt_search.workers.model.identity import _of_passes, _weights
from ulpt_search.workers.model.precision import cast
from ulpt_search.workers.model.shared_weights import MAPS, private
from ulpt_search.workers.training.heap import release

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


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_bfloat16_folder_is_the_same_model_in_any_precision(dtype: Any, tmp_path: Path) -> None:
    """Its identity and its shape, with the sizes that methods start from, are those of the numbers in its files."""
    folder = narrow(families.folder("llama"), tmp_path / "model")
    found = load(ModelSpec(str(folder), dtype=dtype, device="cpu"))
    assert {tensor.dtype for tensor in found.model.parameters()} == {getattr(torch, dtype)}
    plain = LOADERS["decoder"].from_pretrained(folder, dtype=torch.float32)
    assert found.shape == replace(read_shape(plain), positions=found.shape.positions, handling=found.shape.handling)
    assert found.fingerprint == _weights(plain)


def test_what_an_inner_config_says_of_its_dtype_is_not_identity() -> None:
    """Loading in the files' own precision writes it into every config."""
    plain, narrow = T5GemmaConfig(), T5GemmaConfig()
    encoder, decoder = narrow.encoder, narrow.decoder
    assert isinstance(encoder, PreTrainedConfig)
    assert isinstance(decoder, PreTrainedConfig)
    for config in (narrow, encoder, decoder):
        config.dtype = torch.bfloat16
    assert str(narrow.to_dict()) != str(plain.to_dict())
    assert _of_passes(narrow) == _of_passes(plain)
    encoder.hidden_size *= 2
    assert _of_passes(narrow) != _of_passes(plain)


@pytest.mark.parametrize("name", ["llama", "gemma3_text", "gptj", "m2m_100", "falcon_h1"])
def test_a_bfloat16_folder_brings_its_tables_in_float32(name: str, tmp_path: Path) -> None:
    folder = narrow(families.folder(name), tmp_path / "model")
    found = dict(load(ModelSpec(str(folder), dtype="float32", device="cpu")).model.named_buffers())
    wanted = dict(LOADERS[families.backbone(name).kind].from_pretrained(folder, dtype=torch.float32).named_buffers())
    assert found.keys() == wanted.keys()
    assert [key for key in wanted if not torch.equal(found[key], wanted[key])] == []


@pytest.mark.skipif(not MAPS.exists(), reason="this system does not say what is mapped")
def test_loading_takes_the_files_own_memory_and_no_float32_copy(tmp_path: Path) -> None:
    model = model_of("tiny", dtype=torch.bfloat16, device=torch.device("cpu"), vocabulary=256_000)
    model.save_pretrained(tmp_path)
    families.tokenizer(families.FAMILIES["llama"]).save_pretrained(tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    del model
    spec = ModelSpec(str(tmp_path), dtype="bfloat16", device="cpu")
    load(ModelSpec(str(families.folder("llama")), dtype="bfloat16", device="cpu"))  # libraries load at their first use
    release()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts again from here
    found = load(spec)
    assert private(found.model.parameters()) == 0
    # the file's pages, and what a product in bfloat16 makes of the largest of them; a copy in float32 would be two files more
    assert status("VmHWM") - before < 2.5 * size


def narrow(folder: Path, to: Path) -> Path:
    """A copy of a folder with its weights in bfloat16."""
    shutil.copytree(folder, to)
    weights = safetensors.torch.load_file(to / "model.safetensors")
    safetensors.torch.save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, to / "model.safetensors", {"format": "pt"})
    return to


def status(name: str) -> int:
    """A number of bytes that Linux keeps of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


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
        ("gpu7", r"^model\.device: 'gpu7' is no device; give auto, cpu, cuda, cuda:1 or split$"),
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
