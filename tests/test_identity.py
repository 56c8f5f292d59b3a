"""By what a frozen model is recognised: whatever a pass uses, in whatever folder, file or form; and nothing that it does not."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from transformers import AutoTokenizer, RobertaConfig, RobertaModel

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.identity import Content, Identity, other_numerics, said
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model import hash_cache
from ulpt_search.workers.model.backbone import Backbone, load, shape_of
from ulpt_search.workers.model.hash_cache import HashCache
from ulpt_search.workers.model.identity import TEMPLATES, numerics
from ulpt_search.workers.model.readouts.cosine import TEMPERATURE, Cosine
from ulpt_search.workers.model.readouts.encoding import SUFFIX
from ulpt_search.workers.training.provenance import known_as

from . import toy, zoo
from .identities import IDENTITY, NUMERICS, with_weights


def plain(folder: Path | str, *, hashes: HashCache = HashCache(None)) -> Backbone:  # noqa: B008 - frozen
    return load(ModelSpec(str(folder), dtype="float32", device="cpu"), hashes=hashes)


def differing(folder: Path, family: str = "encoder") -> list[str]:
    """The parts in which the model in a folder is not the zoo's."""
    return [each.part for each in plain(zoo.saved(family)).frozen.differences(plain(folder).frozen)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(zoo.saved("encoder"), tmp_path / "copy")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_a_weight(folder: Path, name: str = "embeddings.word_embeddings.weight") -> None:
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors[name][0, 0] += 1
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


def test_it_goes_to_json_and_back() -> None:
    assert Identity.from_json(json.loads(json.dumps(IDENTITY.to_json()))) == IDENTITY


def test_content_is_the_same_by_what_was_loaded_or_by_its_files() -> None:
    assert Content("a", "f").same(Content("a", "g"))
    assert Content("a", "f").same(Content("b", "f"))
    assert not Content("a", "").same(Content("b", ""))
    assert not Content("a", "f").same(Content("b", "g"))


def test_what_differs_is_named_and_numerics_are_not_among_it() -> None:
    other = replace(with_weights("e" * 64), task=replace(IDENTITY.task, labels="d" * 64, max_tokens="64"))
    other = replace(other, numerics=replace(NUMERICS, dtype="bfloat16"))
    told = "weights 53aa51172d14, not eeeeeeeeeeee; labels b1b1b1b1b1b1, not dddddddddddd; max_tokens 128, not 64"
    assert said(IDENTITY.differences(other)) == told
    assert IDENTITY.differences(replace(IDENTITY, numerics=other.numerics)) == ()
    assert other_numerics(str(NUMERICS), str(replace(NUMERICS, dtype="bfloat16", torch="2.11.0"))) == (
        "bfloat16, not float32, torch 2.11.0, not torch 2.13.0"
    )


def test_the_template_says_what_is_done() -> None:
    assert f"over {TEMPERATURE}" in TEMPLATES["encoder"]
    assert SUFFIX.strip() in TEMPLATES["decoder"]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (change_a_weight, "weights"),
        (lambda folder: edit(folder / "config.json", layer_norm_eps=1e-3), "config"),
        (lambda folder: edit(folder / "config.json", hidden_act="relu"), "config"),
        (lambda folder: edit(folder / "tokenizer_config.json", truncation_side="left"), "tokenizer"),
    ],
    ids=["a weight", "an epsilon", "an activation", "the side that is cut"],
)
def test_what_a_pass_uses_is_part_of_it(copy: Path, change: Callable[[Path], None], part: str) -> None:
    assert differing(copy) == []
    change(copy)
    assert differing(copy) == [part]


def test_another_vocabulary_is_another_tokenizer(copy: Path) -> None:
    path = copy / "tokenizer.json"
    told = json.loads(path.read_text())
    vocabulary = told["model"]["vocab"]
    vocabulary["w1"], vocabulary["w2"] = vocabulary["w2"], vocabulary["w1"]
    path.write_text(json.dumps(told))
    assert differing(copy) == ["tokenizer"]


@pytest.mark.parametrize(
    "changes", [{"architectures": ["Other"], "use_cache": False}, {"hidden_dropout_prob": 0.5}, {"id2label": {"0": "x"}}]
)
def test_what_no_pass_uses_is_not(copy: Path, changes: dict[str, object]) -> None:
    edit(copy / "config.json", **changes)
    assert differing(copy) == []


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_a_model_saved_anew_is_the_same(family: str, tmp_path: Path) -> None:
    loaded = plain(zoo.saved(family))
    loaded.model.save_pretrained(tmp_path, max_shard_size="20KB")
    loaded.tokenizer.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert differing(tmp_path, family) == []


def test_a_tied_or_renamed_checkpoint_is_the_same(tmp_path: Path) -> None:
    folder = shutil.copytree(zoo.saved("gpt2"), tmp_path / "copy")
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    renamed = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    assert renamed.keys() != tensors.keys()
    safetensors.torch.save_file(renamed | {"lm_head.weight": renamed["wte.weight"].clone()}, path, metadata={"format": "pt"})
    assert differing(folder, "gpt2") == []


def save_without_pooler(folder: Path) -> Path:
    """A checkpoint such as roberta-base on the hub: `AutoModel` draws the pooler that it lacks at each load."""
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=80, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=64
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    zoo.tokenizer().save_pretrained(folder)
    return folder


def test_a_pooler_that_would_be_drawn_anew_at_each_load_is_not_part_of_it(tmp_path: Path) -> None:
    save_without_pooler(tmp_path)
    poolers = [RobertaModel.from_pretrained(tmp_path).get_parameter("pooler.dense.weight") for _ in range(2)]
    assert not torch.equal(poolers[0], poolers[1])
    assert plain(tmp_path).frozen == plain(tmp_path).frozen


def test_nor_is_a_pooler_that_the_checkpoint_has(copy: Path) -> None:
    change_a_weight(copy, "pooler.dense.weight")
    assert differing(copy) == []


def test_a_checkpoint_that_lacks_what_a_pass_uses_is_refused(copy: Path) -> None:
    path = copy / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    del tensors["encoder.layer.1.attention.self.query.weight"]
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(WrongInput) as caught:
        plain(copy)
    told = "its folder lacks 1 tensors, e.g. encoder.layer.1.attention.self.query.weight, which would be random"
    assert str(caught.value) == f"model {copy}: {told}; give a complete copy"


def test_numerics_are_told_of_a_model_as_it_runs() -> None:
    found = numerics(load(ModelSpec(zoo.saved("encoder"), dtype="bfloat16", device="cpu")).model)
    assert (found.dtype, found.attention, found.device, found.torch) == ("bfloat16", "auto", "cpu", torch.__version__)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths whose bytes are hashed from now on."""
    read, plain_sha256 = list[str](), hash_cache._sha256
    monkeypatch.setattr(hash_cache, "_sha256", lambda path: read.append(path.name) or plain_sha256(path))  # type: ignore[func-returns-value]
    return read


def test_files_are_hashed_once_and_again_when_they_change(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, hashes = counted(monkeypatch), HashCache(tmp_path / "cache")
    first = plain(copy, hashes=hashes).frozen
    assert "model.safetensors" in read
    read.clear()
    assert plain(copy, hashes=hashes).frozen == first
    assert "model.safetensors" not in read
    change_a_weight(copy)
    changed = plain(copy, hashes=hashes).frozen
    assert changed.weights != first.weights
    assert changed == plain(copy).frozen


def test_a_change_that_hides_its_time_is_seen_too(copy: Path, tmp_path: Path) -> None:
    """Same size, and the time of the last change put back: the entry's own time tells."""
    hashes, path = HashCache(tmp_path / "cache"), copy / "model.safetensors"
    first, before = plain(copy, hashes=hashes).frozen, path.stat()
    change_a_weight(copy)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert not plain(copy, hashes=hashes).frozen.weights.same(first.weights)


@pytest.mark.parametrize("damage", ["", "{", '{"sha256": 1}', '{"sha256": "ab"}'])
def test_a_damaged_memory_is_made_anew_and_a_full_hash_does_not_look_at_it(copy: Path, tmp_path: Path, damage: str) -> None:
    hashes, wanted = HashCache(tmp_path / "cache"), plain(copy).frozen
    assert plain(copy, hashes=hashes).frozen == wanted
    entries = sorted((tmp_path / "cache" / "identity").iterdir())
    assert len(entries) == 4
    for entry in entries:
        entry.write_text(damage)
    assert plain(copy, hashes=hashes).frozen == wanted
    for entry in entries:
        hash_cache._write(entry, "0" * 64)
    assert plain(copy, hashes=hashes).frozen.weights.loaded == "0" * 64
    assert plain(copy, hashes=HashCache(tmp_path / "cache", fresh=True)).frozen == wanted
    assert plain(copy, hashes=hashes).frozen == wanted, "what was found anew is remembered"


def test_a_memory_that_cannot_be_written_costs_nothing_else(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert plain(copy, hashes=HashCache(tmp_path / "file")).frozen == plain(copy).frozen


def test_what_earlier_versions_called_a_model(tmp_path: Path) -> None:
    """The former fingerprint covered a pooler drawn at each load, so by it such a model cannot be told from another."""
    from ulpt_search.workers.model.identity import former_fingerprint

    spec = ModelSpec(zoo.saved("encoder"))
    assert known_as(spec, former_fingerprint(plain(spec.name).model))
    assert not known_as(spec, "ab" * 32)
    assert known_as(ModelSpec(str(save_without_pooler(tmp_path))), "ab" * 32)


def test_descriptions_do_not_depend_on_the_side_a_tokenizer_pads(copy: Path) -> None:
    """A mean over what stands right would take in padding where that is on the left."""
    task = replace(toy.task(), descriptions=("red", "green w1 w2 w3", "blue w4"))
    wanted = Cosine(plain(copy), task).matrix
    edit(copy / "tokenizer_config.json", padding_side="left")
    assert AutoTokenizer.from_pretrained(copy).padding_side == "left"
    torch.testing.assert_close(Cosine(plain(copy), task).matrix, wanted)
    assert differing(copy) == [], "and what has no effect is no difference"


def test_a_t5_that_does_not_say_how_it_begins(tmp_path: Path) -> None:
    folder = shutil.copytree(zoo.saved("encoder-decoder"), tmp_path / "t5")
    told = json.loads((folder / "config.json").read_text())
    del told["decoder_start_token_id"]
    (folder / "config.json").write_text(json.dumps(told))
    looks: list[Callable[[ModelSpec], object]] = [shape_of, load]
    for look in looks:
        with pytest.raises(WrongInput, match=r"its config\.json names no decoder_start_token_id, .*; add it \(.*its pad_token_id\)$"):
            look(ModelSpec(str(folder)))
