"""Weights in 4 bits: the model of stock transformers, trials that share a batch as alone, counts, memory, identity, exports."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, BitsAndBytesConfig

from ulpt_search.benchmarks.family_gates import gates
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports import Card, export, readme, verify
from ulpt_search.workers.exports.forms import Reading, forms_of
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.exports.stock_process import stock_model
from ulpt_search.workers.methods.maths import linear_algebra
from ulpt_search.workers.model import architecture
from ulpt_search.workers.model import sites as sites_module
from ulpt_search.workers.model.architecture import weight_of
from ulpt_search.workers.model.backbone import Backbone, load, on_paper, shape_of
from ulpt_search.workers.model.four_bits import SETTINGS
from ulpt_search.workers.model.frozen_scores import require_same_scores
from ulpt_search.workers.model.identity import _outputs, sha256_of_tensor
from ulpt_search.workers.model.quantised import compute_in, is_packed, names, packed_linears, saved
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.model.text_part import KEYS
from ulpt_search.workers.training.trainer import Trainer, bound_values

from . import families, multimodal, toy
from .exporting import setup, task_folder, trained, trial
from .test_alive import ROWS
from .test_families import rows

pytest.importorskip("bitsandbytes", reason="the extra quantized")
IMPORTED = ("AutoModelForCausalLM", "AutoTokenizer", "BitsAndBytesConfig")
IDS = torch.tensor([[1, 12, 20, 31, 40]])


def spec(name: str = "llama", dtype: str = "float32") -> ModelSpec:
    return ModelSpec(str(families.folder(name)), dtype=dtype, device="cpu", quantization="bnb-4bit")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def packed() -> Backbone:
    return load(spec())


@torch.no_grad()
def test_it_is_the_model_that_transformers_makes(packed: Backbone) -> None:
    made = BitsAndBytesConfig(**SETTINGS)
    stock = AutoModelForCausalLM.from_pretrained(
        families.folder("llama"), quantization_config=made, dtype=torch.float32, device_map={"": "cpu"}
    )
    for module in packed_linears(stock):
        module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]
    plain = families.backbone("llama").model(IDS).logits
    torch.testing.assert_close(packed.model(IDS).logits, stock(IDS).logits)
    assert not torch.allclose(packed.model(IDS).logits, plain, atol=1e-4), "4 bits are not the whole"


def test_a_linear_multiplies_by_the_numbers_that_methods_read(packed: Backbone) -> None:
    site = packed.shape.linears[0]
    module = packed.model.get_submodule(site.name)
    x = torch.randn(3, site.inputs, generator=torch.Generator().manual_seed(0))
    assert is_packed(module.weight)
    torch.testing.assert_close(module(x), torch.nn.functional.linear(x, weight_of(module, site)))


@pytest.mark.parametrize("method", ["lora", "ulpt", "ia3", "bitfit", "vera"])
def test_counts_are_those_of_the_layers_and_not_of_their_bytes(packed: Backbone, method: str) -> None:
    whole = families.backbone("gpt2" if method == "bitfit" else "llama").shape
    shape = load(spec("gpt2")).shape if method == "bitfit" else packed.shape
    assert count(method, {}, shape) == count(method, {}, whole)


def test_on_paper_it_has_the_shape_and_the_bytes_that_it_has_when_loaded(packed: Backbone) -> None:
    paper = on_paper(spec())
    assert {name for name, module in packed.model.named_modules() if is_packed(getattr(module, "weight", None))} == names(paper, "bnb-4bit")
    weights: list[Any] = [module.weight for module in packed_linears(packed.model)]
    whole = sum(4 * weight.quant_state.shape.numel() for weight in weights)
    states = [weight.quant_state.as_dict(packed=True) for weight in weights]
    kept = sum(weight.nbytes for weight in weights) + sum(t.nbytes for state in states for key, t in state.items() if "bits" not in key)
    assert saved(paper, "bnb-4bit") == pytest.approx(whole - kept, rel=0.05)
    assert shape_of(spec()).handling.quantization == "bnb-4bit"
    assert [linear.name for linear in shape_of(spec()).linears] == [linear.name for linear in packed.shape.linears]


@pytest.mark.parametrize("name", ["t5", "gpt2", "bert"])
def test_on_paper_those_linears_are_in_4_bits_that_are_when_loaded(name: str) -> None:
    """T5 keeps some whole, GPT-2's are Conv1D, and BERT's last parameter is a bias."""
    loaded = load(spec(name)).model
    found = {key for key, module in loaded.named_modules() if is_packed(getattr(module, "weight", None))}
    assert found == names(on_paper(spec(name)), "bnb-4bit")
    assert found


def test_a_folders_own_exceptions_are_kept_on_paper() -> None:
    paper = on_paper(spec())
    paper.config.quantization_config = {"llm_int8_skip_modules": ["q_proj", "lm_head"]}
    assert {name for name in names(on_paper(spec()), "bnb-4bit") if not name.endswith("q_proj")} == names(paper, "bnb-4bit")


def test_it_is_another_model_than_its_files_are_alone(packed: Backbone) -> None:
    plain = load(replace(spec(), quantization="none")).frozen
    assert [one.part for one in plain.differences(packed.frozen)] == ["weights"]
    assert not plain.weights.same(packed.frozen.weights)
    assert plain.weights.same(families.backbone("llama").frozen.weights)
    assert load(spec(dtype="bfloat16")).frozen == packed.frozen, "whatever it is computed in"


def test_a_folder_in_4_bits_is_taken_as_it_is(packed: Backbone, tmp_path: Path) -> None:
    packed.model.save_pretrained(tmp_path)
    packed.tokenizer.save_pretrained(tmp_path)
    found = load(ModelSpec(str(tmp_path), dtype="float32", device="cpu"))
    assert found.quantization == "bnb-4bit"
    torch.testing.assert_close(found.model(IDS).logits, packed.model(IDS).logits)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf8"))
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf8")
    with pytest.raises(WrongInput, match=r"holds weights of gptq, and frozen weights are served plain or as bnb-4bit or torchao-8bit; g"):
        shape_of(ModelSpec(str(tmp_path), dtype="float32", device="cpu"))


@torch.no_grad()
def test_a_multimodal_folder_in_4_bits_is_taken_as_it_is(tmp_path: Path) -> None:
    """Its configuration says so of the whole, and what is trained is its text part."""
    made = BitsAndBytesConfig(**SETTINGS, llm_int8_skip_modules=["vision_tower", "multi_modal_projector", "lm_head"])
    source = multimodal.folder("llava")
    whole = AutoModelForImageTextToText.from_pretrained(source, quantization_config=made, dtype=torch.float32, device_map={"": "cpu"})
    whole.save_pretrained(tmp_path)
    families.tokenizer(families.FAMILIES["llama"]).save_pretrained(tmp_path)
    found = load(ModelSpec(str(tmp_path), dtype="float32", device="cpu"))
    assert (found.quantization, found.part) == ("bnb-4bit", True)
    compute_in(whole, torch.float32)
    wanted = whole(IDS).logits
    torch.testing.assert_close(found.model(IDS).logits, wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        stock_model(str(tmp_path), "decoder", dict(KEYS), bits=dict(SETTINGS))(IDS).logits, wanted, atol=1e-5, rtol=1e-4
    )


def test_a_folder_that_turns_out_to_be_in_few_bits_is_refused() -> None:
    class Packing:
        """A class that keeps weights in 4 bits though nothing asks for it."""

        @staticmethod
        def from_pretrained(source: str, **given: Any) -> Any:
            made = BitsAndBytesConfig(**SETTINGS)
            return AutoModelForCausalLM.from_pretrained(source, quantization_config=made, device_map={"": "cpu"}, **given)

    with pytest.raises(WrongInput, match=r"holds weights in few bits and does not say which; give an unquantised copy$"):
        load(replace(spec(), quantization="none"), loader=Packing)


def test_gradients_outlive_a_pass_without_them(packed: Backbone) -> None:
    """bitsandbytes lays weights out anew at such a pass where a CPU multiplies bfloat16, for a kernel that has no gradient."""
    model = load(spec(dtype="bfloat16")).model
    with torch.no_grad():
        model(IDS)
    embeds = model.get_input_embeddings()(IDS).detach().requires_grad_()
    model(inputs_embeds=embeds).logits.float().square().sum().backward()
    assert embeds.grad is not None
    assert bool(embeds.grad.abs().sum() > 0)
    assert not any(module.support_avx512bf16_for_cpu for module in packed_linears(model))


def test_what_is_not_exact_on_4_bits_is_said_on_paper(packed: Backbone) -> None:
    assert forms_of("lora", {}, packed.shape, Reading(8)).exact == ("native", "peft")
    assert forms_of("lora", {"dora": True}, packed.shape, Reading(8)).exact == ("native",)
    assert forms_of("ia3", {}, packed.shape, Reading(8)).exact == ("native",)
    with pytest.raises(WrongInput, match=r"PEFT's own start is not proven on weights in 4 bits; take lora, or model\.quantization: none"):
        count("peft:loha", {}, packed.shape)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_is_alone_and_everything_lives(packed: Backbone, checkpointing: bool) -> None:
    """Of every row the scores, of every adapter the gradient, with neighbours of other kinds and lengths; blocks computed again or not."""
    plain = toy.trainer(packed)
    run = Trainer(packed, plain.readout, plain.training, checkpointing)
    found = gates(run, encode(packed, rows(), max_tokens=40), ROWS)
    assert found.open, found
    assert found.adapters == ("prompt", "lora", "prefix", "ln_tuning")


def test_embeddings_give_the_scores_of_their_ids(packed: Backbone) -> None:
    run, data = toy.trainer(packed), encode(packed, rows(), max_tokens=40)
    assert require_same_scores(packed, run.readout, data) < 1e-5


def test_a_model_is_recognised_where_it_lies() -> None:
    """Weights in 4 bits are put on their device before: an id or a hash on the CPU alone would end there."""
    paper = on_paper(replace(spec(), quantization="none"))
    paper.get_input_embeddings().register_forward_pre_hook(tell_device)
    with pytest.raises(Elsewhere.Told, match="ids on meta"):
        _outputs(paper)
    held = torch.arange(6.0)
    assert sha256_of_tensor(held.as_subclass(Elsewhere)) == sha256_of_tensor(held)


def tell_device(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
    raise Elsewhere.Told(f"ids on {args[0].device.type}")


class Elsewhere(torch.Tensor):
    """A tensor as on a device whose memory NumPy cannot read."""

    class Told(Exception):
        """Where ids are."""

    def cpu(self, *_: Any) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)

    def numpy(self, **_: Any) -> Any:
        raise TypeError("not in this memory")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_loads_on_a_gpu() -> None:
    assert load(replace(spec(), device="cuda")).device.type == "cuda"


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "values", "made", "decomposed"),
    [
        ("lora", {}, False, False), ("ia3", {}, False, False), ("lora", {"init": "pissa"}, True, True), ("lora_xs", {}, True, True),
        ("tinylora", {}, True, True),
    ],
)  # fmt: skip
def test_frozen_weights_are_made_whole_where_they_are_read_and_decomposed_once(
    name: str, values: dict[str, Any], made: bool, decomposed: bool, packed: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, done = list[str](), list[int]()
    weight, decompose = architecture.weight_of, linear_algebra._principal
    monkeypatch.setattr(sites_module, "weight_of", lambda module, site: (read.append(site.key), weight(module, site))[1])  # type: ignore[func-returns-value]
    monkeypatch.setattr(linear_algebra, "_principal", lambda own, rank: (done.append(rank), decompose(own, rank))[1])  # type: ignore[func-returns-value]
    monkeypatch.setattr(linear_algebra, "_PRINCIPAL", WeakTensorKeyDictionary())
    pack = toy.pack(packed, [(name, values, 0), (name, values, 1)])
    with Sites(packed.model, packed.shape, pack.groups, trials=2) as sites:
        for _ in range(2):
            with sites.bind(bound_values(pack), rows=1):
                packed.model(IDS.expand(2, -1))
    assert (len(done) == len(set(read)) > 0) is decomposed
    assert bool(read) is made


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", torch.float32), ("float32", torch.bfloat16)])
def test_a_part_of_a_fused_linear_is_read_again_in_the_models_precision(dtype: str, bits: torch.dtype) -> None:
    """Its 4 bits stand for numbers in the precision that they were made of, its bias is in the model's."""
    backbone = load(spec("gpt_neox", dtype))
    for module in packed_linears(backbone.model):
        module.weight.quant_state.dtype = bits  # type: ignore[union-attr] # as a folder that was packed in it says
    pack = toy.pack(backbone, [("finegates", {"modules": "q,v"}, 0)])
    plain = backbone.model(IDS).logits
    with Sites(backbone.model, backbone.shape, pack.groups, trials=1) as sites, sites.bind(bound_values(pack), rows=1):
        torch.testing.assert_close(backbone.model(IDS).logits, plain, atol=1e-2, rtol=1e-2)  # a gate starts open


@pytest.fixture(scope="module")
def narrow_folder(packed: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in 4 bits that asks for products in bfloat16, as most do; a proof compares in float32."""
    folder = tmp_path_factory.mktemp("narrow")
    packed.model.save_pretrained(folder)
    packed.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    config["quantization_config"]["bnb_4bit_compute_dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf8")
    return folder


@torch.no_grad()
def test_a_folder_in_4_bits_is_proven_in_float32(packed: Backbone, narrow_folder: Path) -> None:
    stock = stock_model(str(narrow_folder), "decoder", bits=dict(SETTINGS))
    torch.testing.assert_close(stock(IDS).logits, packed.model(IDS).logits, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("holds", [False, True])
def test_readme_lines_load_4_bits_on_the_cpu_and_compute_in_float32(
    holds: bool, packed: Backbone, narrow_folder: Path, tmp_path: Path
) -> None:
    model = families.model("llama")
    peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"])).save_pretrained(str(tmp_path))
    packed.tokenizer.save_pretrained(tmp_path)
    base = str(narrow_folder if holds else families.folder("llama"))
    make: Any = Card
    told_by: tuple[object, ...] = ("peft", 0, "lora", {}, 0, 1, "", base, "", "decoder", "toy", (), (), "accuracy", 8)
    card = make(*told_by, quantization="bnb-4bit", holds_bits=holds)
    told: dict[str, Any] = {"HERE": str(tmp_path)}
    lines = readme._model(card, "AutoModelForCausalLM")
    exec("\n".join([f"import torch\nfrom peft import PeftModel\nfrom transformers import {', '.join(IMPORTED)}", *lines]), told)
    torch.testing.assert_close(told["model"](IDS).logits, packed.model(IDS).logits, atol=1e-5, rtol=0)
    assert all('device_map={"": "cpu"}' in line for line in lines if "from_pretrained(BASE" in line)
    assert ("BITS" in told) != holds
    assert ("NF4" in readme._heading(card)) != holds
    assert "pip install 'ulpt-search[quantized]'" in readme._heading(card)


def test_where_the_whole_base_has_no_room_an_export_goes_without_its_distance(packed: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = sys.modules["ulpt_search.workers.exports.export"]
    monkeypatch.setattr(module, "free", lambda device: 0)
    found = module._beside_the_whole(packed, None, None, None, None)
    assert found.startswith("was trained on the base in 4 bits (bnb-4bit); how far that is from the whole one was not measured: it takes")


@pytest.mark.slow
@pytest.mark.parametrize("style", ["peft", "native"])
def test_an_export_says_which_base_it_is_of_and_computes_what_was_trained(style: str, tmp_path: Path, fresh: Fresh) -> None:
    made = setup("decoder", task_folder(tmp_path))
    study, config = replace(made, model=replace(made.model, quantization="bnb-4bit")), trial("decoder", "lora")
    export(study, config, trained(study, config), style=style, out=tmp_path / "out", fresh=fresh)
    assert verify(tmp_path / "out", fresh=fresh).fine
    told = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    assert "in 4 bits (bitsandbytes' NF4; `pip install 'ulpt-search[quantized]'`), and no other" in told
    assert "was trained on the base in 4 bits (bnb-4bit), whose own outputs are" in told
    assert Card.read(tmp_path / "out").quantization == "bnb-4bit"
    assert ("quantization_config=BITS" in told) == (style == "peft")
