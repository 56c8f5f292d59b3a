"""PEFT's own types through the bridge: PEFT's count, an untouched model, learning, reloading, and PEFT's own file."""

import copy
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.axes import Choice, Float, Hyperparameters, Int
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.schema import load_space
from ulpt_search.spaces.space import Space
from ulpt_search.workers import peft_bridge as bridge
from ulpt_search.workers.catalogue import axes_of, count, method, parts
from ulpt_search.workers.exports import stock
from ulpt_search.workers.exports.outputs import probe, run_model, trained_outputs
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.seeds import sha256_of
from ulpt_search.workers.training.trainer import bound_values

from . import toy, zoo

KINDS = [f"{bridge.PREFIX}{kind.lower()}" for kind in bridge.usable()]
SMALL = {"n_frequency": 10, "num_vectors": 16, "block_size": 4, "group_size": 4, "vector_length": 4, "oft_block_size": 4, "u": 4, "r": 2}
"""Of those that a type has: sizes that fit a model of width 32."""


def small(name: str) -> Hyperparameters:
    """A type's settings at sizes that fit the tiny models, and a rate at which four steps matter."""
    return {"lr": 0.01} | {size: value for size, value in SMALL.items() if size in axes_of(name) and method(name).defaults()[size]}


FAMILIES = ["encoder", pytest.param("decoder", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return zoo.backbone("encoder", "float32")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", KINDS)
def test_trains_saves_and_leaves_as_peft_would(name: str, family: str, tmp_path: Path) -> None:
    backbone, values = zoo.backbone(family, "float32"), small(name)
    weights, modules = sha256_of(dict(backbone.model.state_dict())), [name for name, _ in backbone.model.named_modules()]
    pack, trained, scores = toy.train(backbone, [(name, values, 3)], steps=4)
    assert bool(torch.isfinite(trained.losses).all())
    assert not torch.equal(pack.flat, toy.pack(backbone, [(name, values, 3)]).flat)
    assert len(pack.flat) == count(name, values, backbone.shape) == reported_by_peft(name, values, backbone)

    again = toy.pack(backbone, [(name, values, 3)])
    again.set_trial(again.flat, 0, pack.of_trial(pack.flat, 0))
    assert torch.equal(toy.trainer(backbone).predict(again, encode(backbone, toy.rows(), max_tokens=32)), scores)

    export(backbone, name, values, pack, tmp_path)
    assert [name for name, _ in backbone.model.named_modules()] == modules
    assert sha256_of(dict(backbone.model.state_dict())) == weights
    inputs = probe(encode(backbone, toy.rows(), max_tokens=32), pad=0)
    ours = trained_outputs(backbone, pack, inputs)
    assert float((ours - run_model(backbone.model, inputs)).abs().max()) > 0.01
    torch.testing.assert_close(ours, reloaded(backbone, tmp_path, inputs), rtol=1e-5, atol=1e-5)


def tuner(name: str, values: Hyperparameters) -> bridge.PeftTuner:
    (made,) = parts(name, values)
    assert isinstance(made, bridge.PeftTuner)
    return made


def export(backbone: Backbone, name: str, values: Hyperparameters, pack: Pack, folder: Path) -> None:
    tensors = {key: value[0].detach() for key, value in bound_values(pack)[0].items()}
    stock.write(backbone, stock.to_peft(backbone, tuner(name, values), tensors), folder)


def reloaded(backbone: Backbone, folder: Path, inputs: dict[str, Tensor]) -> Tensor:
    """What stock PEFT computes with the folder on a fresh copy of the frozen model."""
    with stock.quiet(), torch.no_grad():
        model = peft.PeftModel.from_pretrained(copy.deepcopy(backbone.model), str(folder)).eval()
        return run_model(model, inputs)


def reported_by_peft(name: str, values: Hyperparameters, backbone: Backbone) -> int:
    made = tuner(name, values)
    with stock.quiet():
        model = peft.get_peft_model(copy.deepcopy(backbone.model), made.config(made.targets(backbone.shape)))
    return int(model.get_nb_trainable_parameters()[0])


@pytest.mark.parametrize("name", ["peft:ln_tuning", "peft:deft", "peft:lora"])
def test_a_start_that_follows_from_the_weights_is_that_of_the_real_model(name: str, backbone: Backbone) -> None:
    """Norms start where the model's are, not at 1 and 0; so does what is made of a weight's rows."""
    twin = replace(backbone, model=copy.deepcopy(backbone.model))
    with torch.no_grad():
        for parameter in twin.model.parameters():
            parameter.add_(0.1)
    values = {**small(name), **({"use_dora": True} if name == "peft:lora" else {})}
    assert tuner(name, values).adds(twin.shape)
    inputs = probe(encode(twin, toy.rows(), max_tokens=32), pad=0)
    untrained = trained_outputs(twin, toy.pack(twin, [(name, values, 3)]), inputs)
    torch.testing.assert_close(untrained, run_model(twin.model, inputs).detach(), rtol=1e-4, atol=1e-4)


def test_cannot_share_a_pack(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="peft:loha cannot share a pack, got 2 trials"):
        toy.train(backbone, [("prompt", {"prompt_length": 2}, 1), ("peft:loha", {}, 3)], steps=2)


def test_fields_of_the_config_class_are_axes_with_its_kinds_and_defaults() -> None:
    axes, config = axes_of("peft:lora"), peft.LoraConfig()
    assert {"lr", "layers", "modules", "r", "lora_alpha", "use_rslora", "use_dora", "init_lora_weights"} <= set(axes)
    assert not {"target_modules", "lora_dropout", "bias", "modules_to_save", "rank_pattern", "inference_mode"} & set(axes)
    defaults = method("peft:lora").defaults()
    assert {name: defaults[name] for name in ("r", "lora_alpha", "use_dora", "init_lora_weights")} == {
        name: getattr(config, name) for name in ("r", "lora_alpha", "use_dora", "init_lora_weights")
    }
    assert axes["init_lora_weights"].contains(True)
    assert "gaussian" in (axes["init_lora_weights"].also or ())  # type: ignore[union-attr]


SPACE = """
methods:
  peft:lora:
    r: {int: [1, 4]}
    init_lora_weights: {choice: [true, gaussian]}
    use_dora: true
  peft:peanut: {act_fn: silu, scaling: {float: [0.5, 2]}}
  peft:loha+dst: {peft:loha.r: 2}
"""


def space(folder: Path, text: str) -> Space:
    path = folder / "space.yaml"
    path.write_text(text, encoding="utf8")
    return load_space(str(path), catalogue=axes_of)


def test_a_space_gives_what_it_wants_and_leaves_the_rest_to_peft(tmp_path: Path) -> None:
    methods = space(tmp_path, SPACE).methods
    assert methods["peft:lora"] == {
        "lr": Float(1e-5, 0.1, log=True),
        "layers": Choice(("all", "last:50%", "last:1")),
        "modules": Choice(("q,v", "v", "down")),
        "r": Int(1, 4),
        "init_lora_weights": Choice((True, "gaussian")),
        "use_dora": True,
    }
    assert methods["peft:peanut"]["act_fn"] == "silu"
    assert methods["peft:peanut"]["scaling"] == Float(0.5, 2)
    assert methods["peft:loha+dst"]["peft:loha.r"] == 2


@pytest.mark.parametrize(
    ("methods", "complaint"),
    [
        ("peft:hra: {apply_gs: true}", r"methods.peft:hra.apply_gs: unknown hyperparameter; .*Did you mean apply_GS\?"),
        ("peft:oft: {oft_blocksize: 4}", r"methods.peft:oft.oft_blocksize: .*Did you mean oft_block_size\?"),
        ("peft:lora: {target_modules: query}", r"methods.peft:lora.target_modules: .*Did you mean modules\?"),
        ("peft:lora: {init_lora_weights: gauss}", r"init_lora_weights: wanted one of .*, got .gauss.\. Did you mean gaussian\?"),
        ("peft:lora: {init_lora_weights: eva}", r"init_lora_weights: wanted one of .*, got .eva."),
        ("peft:lora: {r: 2.5}", r"methods.peft:lora.r: .*whole number.*2.5"),
        ("peft:lohas: {}", r"methods.peft:lohas: the installed PEFT has no such type; .* Did you mean peft:loha\?"),
        ("peft:poly: {}", r"methods.peft:poly: PEFT's POLY cannot be tried here: it needs the number of a task beside each text"),
        ("peft:loha+prompt: {}", r"methods.peft:loha\+prompt: PEFT's tuners wrap the modules that other methods look for; use them alone"),
    ],
)
def test_wrong_spaces_are_told_in_one_line(methods: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=complaint) as raised:
        space(tmp_path, f"methods:\n  {methods}\n")
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("peft:c3a", {"block_size": 7}, "peft:c3a: PEFT refuses: "),
        ("peft:gralora", {"r": 3}, "peft:gralora: PEFT refuses: r should be divisible by gralora_k"),
        ("peft:lora", {"init_lora_weights": "pissa"}, "peft:lora: these settings change the frozen weights themselves"),
        ("peft:hra", {"r": 0}, "peft:hra: PEFT refuses: "),
    ],
)
def test_what_cannot_be_tried_is_refused_before_it_starts(name: str, values: Hyperparameters, complaint: str, backbone: Backbone) -> None:
    before = sha256_of(dict(backbone.model.state_dict()))
    with pytest.raises(WrongInput, match=complaint) as raised:
        count(name, values, backbone.shape)
    assert len(str(raised.value).splitlines()) == 1
    assert sha256_of(dict(backbone.model.state_dict())) == before


@pytest.mark.parametrize("name", ["peft:hra", "peft:lora"])
def test_what_peft_does_not_wrap_is_known_before_it_starts(name: str) -> None:
    """GPT-2 keeps its weights the other way round, which LORA takes and HRA does not."""
    backbone = zoo.backbone("gpt2", "float32")
    if name == "peft:hra":
        with pytest.raises(WrongInput, match=r"peft:hra: PEFT refuses: Target module Conv1D.* is not supported"):
            count(name, small(name), backbone.shape)
        return
    pack, _, _ = toy.train(backbone, [(name, small(name), 3)], steps=2)
    assert len(pack.flat) == count(name, small(name), backbone.shape) == reported_by_peft(name, small(name), backbone)


def test_studies_begun_under_the_former_names_go_on_as_they_were(backbone: Backbone) -> None:
    former: Hyperparameters = {"lr": 0.01, "layers": "all", "modules": "q,v", "r": 2}
    assert set(former) <= set(axes_of("peft_loha"))
    assert count("peft_loha", former, backbone.shape) == count("peft:loha", former, backbone.shape)
    assert tuner("peft_lora", former).config(tuner("peft_lora", former).targets(backbone.shape)).lora_alpha == 16
    assert not tuner("peft_ln_tuning", {"modules": "q,v"}).adds(backbone.shape)
