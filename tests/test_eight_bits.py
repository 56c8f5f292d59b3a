"""Weights in 8 bits: the model of stock transformers, trials that share a batch as alone, memory, identity, exports."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear
from transformers import AutoModelForCausalLM

from ulpt_search.benchmarks.family_gates import gates
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec, Quantization
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports import Card, export, few_bits, readme, verify
from ulpt_search.workers.exports.forms import Reading, forms_of
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.exports.stock_process import few, stock_model
from ulpt_search.workers.model.architecture import weight_of
from ulpt_search.workers.model.backbone import Backbone, load, on_paper, shape_of
from ulpt_search.workers.model.eight_bits import SETTINGS
from ulpt_search.workers.model.frozen_scores import require_same_scores
from ulpt_search.workers.model.quantised import bytes_held, dense, is_packed, lying, names, packed_linears, saved
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.shared_weights import MAPS, private, share_weights
from ulpt_search.workers.training.trainer import Trainer

from . import families, toy
from .exporting import setup, task_folder, trained, trial
from .test_alive import ROWS
from .test_families import rows

pytest.importorskip("torchao", reason="the extra quantized")
pytest.importorskip("accelerate", reason="the extra quantized")
IDS = torch.tensor([[1, 12, 20, 31, 40]])
KIND: Quantization = "torchao-8bit"


def spec(name: str = "llama", dtype: Any = "float32") -> ModelSpec:
    return ModelSpec(str(families.folder(name)), dtype=dtype, device="cpu", quantization=KIND)


@pytest.fixture(scope="module")
def packed() -> Backbone:
    return load(spec())


@pytest.fixture(scope="module")
def narrow() -> Backbone:
    return load(spec(dtype="bfloat16"))


@torch.no_grad()
def test_it_is_the_model_that_transformers_makes(packed: Backbone) -> None:
    stock = AutoModelForCausalLM.from_pretrained(
        families.folder("llama"), quantization_config=few(dict(SETTINGS)), dtype=torch.float32, device_map={"": "cpu"}
    )
    plain = families.backbone("llama").model(IDS).logits
    torch.testing.assert_close(packed.model(IDS).logits, stock(IDS).logits)
    far = float((packed.model(IDS).logits - plain).abs().max() / plain.abs().max())
    assert 1e-5 < far < 0.05, "near the whole one, and not it"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_linear_multiplies_by_the_numbers_that_methods_read(dtype: torch.dtype, packed: Backbone, narrow: Backbone) -> None:
    """The same in both precisions; its tensor says that of what is computed, as families ask it."""
    backbone = packed if dtype == torch.float32 else narrow
    site = packed.shape.linears[0]
    module = backbone.model.get_submodule(site.name)
    x = torch.randn(3, site.inputs, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    numbers = weight_of(module, site)
    assert is_packed(module.weight)
    assert module.weight.dtype == dtype
    assert torch.equal(numbers, weight_of(packed.model.get_submodule(site.name), site))
    wanted = linear(x.float(), numbers)
    near: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 5e-2, "rtol": 2e-2}
    torch.testing.assert_close(module(x).float(), wanted.detach(), **near)
    slopes = torch.ones_like(wanted)
    (found,) = torch.autograd.grad(module(x), x, slopes.to(dtype))
    torch.testing.assert_close(found.float(), slopes @ numbers, **near)


def test_autograd_keeps_no_weight_as_floats(packed: Backbone) -> None:
    """Torchao's own product would: the whole model once more, until backward."""
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: (kept.append(tensor), tensor)[1], lambda tensor: tensor):  # type: ignore[func-returns-value]
        embeds = packed.model.get_input_embeddings()(IDS).detach().requires_grad_()
        logits = packed.model(inputs_embeds=embeds).logits
    sizes = {module.weight.shape for module in packed_linears(packed.model)}
    assert kept
    assert not [tensor for tensor in kept if {tensor.shape, tensor.shape[::-1]} & sizes]
    logits.square().sum().backward()
    assert embeds.grad is not None
    assert bool(embeds.grad.abs().sum() > 0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["t5", "bert"])
@torch.no_grad()
def test_families_that_look_at_a_weights_precision_stay_in_theirs(name: str, dtype: str) -> None:
    backbone = load(spec(name, dtype))
    given = {"decoder_input_ids": IDS} if name == "t5" else {}
    output = backbone.model(IDS, **given)
    assert (output.logits if name == "t5" else output.last_hidden_state).dtype == getattr(torch, dtype)
    found = {key for key, module in backbone.model.named_modules() if is_packed(getattr(module, "weight", None))}
    assert found == names(on_paper(spec(name)), KIND)
    assert found


def test_memory_is_counted_as_it_lies_there(packed: Backbone) -> None:
    paper = on_paper(spec())
    whole = sum(weight.nbytes for weight in paper.parameters())
    assert whole - saved(paper, KIND) == bytes_held(packed.model)
    linears = sum(paper.get_submodule(name).get_parameter("weight").nbytes for name in names(paper, KIND))
    assert 0.6 * linears < saved(paper, KIND) < 0.75 * linears, "a quarter is left, and the scales of short rows"


def test_it_is_another_model_than_its_files_are_alone_or_in_4_bits(packed: Backbone, narrow: Backbone) -> None:
    plain = load(replace(spec(), quantization="none")).frozen
    assert [one.part for one in plain.differences(packed.frozen)] == ["weights"]
    assert narrow.frozen == packed.frozen, "whatever it is computed in"
    pytest.importorskip("bitsandbytes", reason="the extra quantized")
    assert [one.part for one in load(replace(spec(), quantization="bnb-4bit")).frozen.differences(packed.frozen)] == ["weights"]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_is_alone_and_everything_lives(packed: Backbone, checkpointing: bool) -> None:
    plain = toy.trainer(packed)
    run = Trainer(packed, plain.readout, plain.training, checkpointing)
    found = gates(run, encode(packed, rows(), max_tokens=40), ROWS)
    assert found.open, found
    assert found.adapters == ("prompt", "lora", "prefix", "ln_tuning")


def test_embeddings_give_the_scores_of_their_ids(packed: Backbone) -> None:
    run, data = toy.trainer(packed), encode(packed, rows(), max_tokens=40)
    assert require_same_scores(packed, run.readout, data) < 1e-5


@torch.no_grad()
def test_a_folder_in_8_bits_is_taken_as_it_is(packed: Backbone, tmp_path: Path) -> None:
    stock = AutoModelForCausalLM.from_pretrained(
        families.folder("llama"), quantization_config=few(dict(SETTINGS)), dtype=torch.bfloat16, device_map={"": "cpu"}
    )
    stock.save_pretrained(tmp_path)
    packed.tokenizer.save_pretrained(tmp_path)
    found = load(ModelSpec(str(tmp_path), dtype="float32", device="cpu"))
    assert found.quantization == KIND
    for module, given in zip(packed_linears(found.model), packed_linears(stock), strict=True):
        own = module.get_parameter("weight")
        assert own.dtype == torch.float32
        assert torch.equal(dense(own), dense(given.get_parameter("weight")))
    again = stock_model(str(tmp_path), "decoder", bits=dict(SETTINGS))
    torch.testing.assert_close(found.model(IDS).logits, again(IDS).logits)
    with pytest.raises(WrongInput, match=r"its folder holds torchao-8bit, and model\.quantization asks for bnb-4bit; leave that out$"):
        shape_of(ModelSpec(str(tmp_path), quantization="bnb-4bit"))


@pytest.mark.skipif(not MAPS.exists(), reason="the system does not say what is mapped")
@torch.no_grad()
def test_workers_share_the_numbers(narrow: Backbone, tmp_path: Path) -> None:
    own = load(spec(dtype="bfloat16"))
    share_weights(own, tmp_path)
    assert private(lying(own.model).values()) == 0
    assert torch.equal(own.model(IDS).logits, narrow.model(IDS).logits)


def test_what_is_not_exact_on_8_bits_is_said_on_paper() -> None:
    shape = shape_of(spec())
    assert shape.handling.quantization == KIND
    assert forms_of("lora", {}, shape, Reading(8)).exact == ("native", "peft")
    assert forms_of("lora", {"dora": True}, shape, Reading(8)).exact == ("native",)
    why = forms_of("lora", {}, shape, Reading(8)).missing["merged"]
    assert why == "weights in 8 bits hold no change exactly; merged into others, it would be another model"
    with pytest.raises(WrongInput, match=r"PEFT's own start is not proven on weights in 8 bits; take lora, or model\.quantization: none"):
        count("peft:loha", {}, shape)


@torch.no_grad()
def test_readme_lines_load_8_bits_on_the_cpu(packed: Backbone, tmp_path: Path) -> None:
    peft.get_peft_model(families.model("llama"), peft.LoraConfig(target_modules=["q_proj"])).save_pretrained(str(tmp_path))
    packed.tokenizer.save_pretrained(tmp_path)
    make: Any = Card
    base = str(families.folder("llama"))
    told_by: tuple[object, ...] = ("peft", 0, "lora", {}, 0, 1, "", base, "", "decoder", "toy", (), (), "accuracy", 8)
    card = make(*told_by, quantization=KIND)
    told: dict[str, Any] = {"HERE": str(tmp_path)}
    lines = [*readme._transformers(card, "AutoModelForCausalLM"), *readme._model(card, "AutoModelForCausalLM")]
    exec("\n".join(["import torch\nfrom peft import PeftModel", *lines]), told)
    torch.testing.assert_close(told["model"](IDS).logits, packed.model(IDS).logits, atol=1e-5, rtol=0)
    assert few_bits.heading(card).startswith(" in 8 bits (torchao's int8, one scale an output; `pip install 'ulpt-search[quantized]'`)")


@pytest.fixture(scope="module")
def shared() -> Iterator[Fresh]:
    with Fresh() as process:
        yield process


@pytest.mark.slow
@pytest.mark.parametrize("style", ["peft", "native"])
def test_an_export_says_which_base_it_is_of_and_computes_what_was_trained(style: str, tmp_path: Path, shared: Fresh) -> None:
    made = setup("decoder", task_folder(tmp_path))
    study, config = replace(made, model=replace(made.model, quantization=KIND)), trial("decoder", "lora")
    export(study, config, trained(study, config), style=style, out=tmp_path / "out", fresh=shared)
    assert verify(tmp_path / "out", fresh=shared).fine
    told = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    assert "was trained on the base in 8 bits (torchao-8bit), whose own outputs are" in told
    assert ("quantization_config=BITS" in told) == (style == "peft")
    assert Card.read(tmp_path / "out").quantization == KIND
