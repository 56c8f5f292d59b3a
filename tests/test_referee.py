"""The referee: what PEFT has too trains here as it does there, number for number, in float64, on an encoder and on a decoder.

Same start, same batches, PyTorch's AdamW against ours: the same loss at each of fifty steps, and the same adapter behind them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import peft
import pytest
import torch
from torch import Tensor

from ulpt_search.workers.catalogue import catalogue, parts, rule
from ulpt_search.workers.method import LinearEffect, NormEffect
from ulpt_search.workers.methods.maths.linear_algebra import principal
from ulpt_search.workers.model.architecture import weight_of
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.peft_bridge import refused, usable

from . import toy, zoo
from .stock_twin import Case, Columns, Frozen, Pair, Twin, at_sites, prompt_like

STEPS, SEED = 50, 5
LORA = {"A": "lora_A.default.weight", "B": "lora_B.default.weight", "m": "lora_magnitude_vector.default.weight"}


def lora(**changes: Any) -> Any:
    return lambda backbone, frozen, targets: peft.LoraConfig(r=2, lora_alpha=8, target_modules=list(targets), **changes)


def ia3(backbone: Backbone, frozen: Frozen, targets: Sequence[str]) -> peft.PeftConfig:
    inner = [site.name for site in backbone.shape.linears if site.role == "down"]
    return peft.IA3Config(target_modules=list(targets), feedforward_modules=inner)


def fourierft(backbone: Backbone, frozen: Frozen, targets: Sequence[str]) -> peft.PeftConfig:
    seed, alpha = int(frozen["seed"]), float(frozen["alpha"])
    return peft.FourierFTConfig(n_frequency=12, scaling=alpha, random_loc_seed=seed, target_modules=list(targets))


def share_vera(stock: Any, backbone: Backbone, frozen: Frozen) -> None:
    """PEFT keeps one pair for all linears; ours is put in its place."""
    stock.base_model.vera_A["default"].copy_(frozen["A"])
    stock.base_model.vera_B["default"].copy_(frozen["B"])


def mix_tinylora(stock: Any, backbone: Backbone, frozen: Frozen) -> None:
    """PEFT's singular vectors have the signs that its solver leaves; ours have fixed ones."""
    for site in backbone.shape.select(modules="q,v"):
        module = stock.get_submodule(f"base_model.model.{site.name}")
        b, a = principal(weight_of(backbone.model.get_submodule(site.name)).detach(), 2)
        module.tinylora_B["default"], module.tinylora_A["default"] = b, a
        module.tinylora_P["default"] = frozen[f"{site.key}/P"]


def tinylora(stock: Any, backbone: Backbone, frozen: Frozen) -> Iterator[Pair]:
    for site in backbone.shape.select(modules="q,v"):
        module, group = stock.get_submodule(f"base_model.model.{site.name}"), int(frozen[f"{site.key}/group"])
        parameter = module.tinylora_v["default"][module._tinylora_v_key["default"]]
        yield Pair("v", parameter, part=lambda v, group=group: v[group])  # type: ignore[misc]


def place_unilora(stock: Any, backbone: Backbone, frozen: Frozen) -> None:
    for site in backbone.shape.select(modules="q,v"):
        module = stock.get_submodule(f"base_model.model.{site.name}")
        for side in "AB":
            places = frozen[f"{site.key}/{side}"]
            getattr(module, f"unilora_indices_{side}")["default"] = places
            getattr(module, f"unilora_scales_{side}")["default"] = frozen["scale"][places]


def unilora(stock: Any, backbone: Backbone, frozen: Frozen) -> Iterator[Pair]:
    yield Pair("theta", stock.base_model.unilora_theta_d["default"])


def prompt(stock: Any, backbone: Backbone, frozen: Frozen) -> Iterator[Pair]:
    yield Pair("E", stock.prompt_encoder["default"].embedding.weight)


def p_tuning(stock: Any, backbone: Backbone, frozen: Frozen) -> Iterator[Pair]:
    encoder = stock.prompt_encoder["default"]
    yield Pair("x", encoder.embedding.weight)
    for number, layer in enumerate((0, 2, 4), start=1):
        yield Pair(f"W{number}", encoder.mlp_head[layer].weight)
        yield Pair(f"b{number}", encoder.mlp_head[layer].bias)


def split_prefix(stock: Any, backbone: Backbone, frozen: Frozen) -> None:
    encoder = stock.prompt_encoder["default"]
    encoder.embedding = Columns(encoder.embedding, 2 * backbone.shape.layers)


def prefix(stock: Any, backbone: Backbone, frozen: Frozen) -> Iterator[Pair]:
    pieces = iter(stock.prompt_encoder["default"].embedding.pieces)
    for site in backbone.shape.attentions:
        yield Pair(f"{site.key}/Pk", next(pieces))
        yield Pair(f"{site.key}/Pv", next(pieces))


CASES = {
    "lora": Case("lora", {"rank": 2, "alpha": 8.0}, lora(), at_sites(LORA)),
    "lora rslora": Case("lora", {"rank": 2, "alpha": 8.0, "rslora": True}, lora(use_rslora=True), at_sites(LORA)),
    "lora dora": Case("lora", {"rank": 2, "alpha": 8.0, "dora": True, "modules": "q,v,down"}, lora(use_dora=True), at_sites(LORA)),
    "lora lr_ratio": Case("lora", {"rank": 2, "alpha": 8.0, "lr_ratio": 4.0, "modules": "all"}, lora(), at_sites(LORA)),
    "vera": Case(
        "vera",
        {"rank": 8},
        lambda backbone, frozen, targets: peft.VeraConfig(r=8, target_modules=list(targets)),
        at_sites({"b": "vera_lambda_b.default", "d": "vera_lambda_d.default"}),
        share_vera,
    ),
    "ia3": Case("ia3", {"modules": "k,v,down"}, ia3, at_sites({"l": "ia3_l.default"})),
    "fourierft": Case("fourierft", {"frequencies": 12}, fourierft, at_sites({"c": "fourierft_spectrum.default"}), single=True),
    "ln_tuning": Case(
        "ln_tuning",
        {},
        lambda backbone, frozen, targets: peft.LNTuningConfig(target_modules=list(targets)),
        at_sites({"gamma": "ln_tuning_layers.default.weight", "beta": "ln_tuning_layers.default.bias"}),
    ),
    "bitfit": Case(
        "bitfit",
        {"modules": "q,up", "norm_biases": False},
        lambda backbone, frozen, targets: peft.BeftConfig(target_modules=list(targets)),
        at_sites({"delta": "beft_bias.default"}),
        families=("encoder",),
    ),
    "tinylora": Case(
        "tinylora",
        {"length": 6, "rank": 2},
        lambda backbone, frozen, targets: peft.TinyLoraConfig(r=2, u=6, target_modules=list(targets)),
        tinylora,
        mix_tinylora,
    ),
    "unilora": Case(
        "unilora",
        {"length": 32, "rank": 2},
        lambda backbone, frozen, targets: peft.UniLoraConfig(r=2, theta_d_length=32, target_modules=list(targets)),
        unilora,
        place_unilora,
    ),
    "prompt": Case("prompt", {"prompt_length": 3}, prompt_like(peft.PromptTuningConfig, num_virtual_tokens=3), prompt),
    "prefix": Case("prefix", {"prefix_length": 3}, prompt_like(peft.PrefixTuningConfig, num_virtual_tokens=3), prefix, split_prefix),
    "p_tuning": Case(
        "p_tuning",
        {"prompt_length": 3, "hidden": 8},
        prompt_like(peft.PromptEncoderConfig, num_virtual_tokens=3, encoder_hidden_size=8),
        p_tuning,
    ),
}


def targets(backbone: Backbone, case: Case) -> list[str]:
    (method,) = parts(case.method, case.values)
    linears = [site.name for site in method.sites(backbone.shape)] if isinstance(method, LinearEffect) else []
    return linears + ([site.name for site in method.norms(backbone.shape)] if isinstance(method, NormEffect) else [])


def both(name: str, family: str, steps: int) -> tuple[Tensor, Tensor, Pack, Twin]:
    """Losses of every step, ours and theirs, and where both end."""
    case, backbone = CASES[name], zoo.backbone(family)
    pack, data = toy.pack(backbone, [(case.method, case.values, SEED)]), encode(backbone, toy.rows(), max_tokens=32)
    twin, trainer = Twin(case, backbone, pack, targets(backbone, case)), toy.trainer(backbone, steps=steps)
    trainer = replace(trainer, training=replace(trainer.training, clip=1e9))
    follow = rule(case.method, case.values)
    state = follow.start(pack)
    runs = [trainer.train(pack, follow, state, [SEED], data, start=step, stop=step + 1) for step in range(steps)]
    ours = [run.losses[0].double() for run in runs]
    theirs = twin.train(data, trainer.readout, trainer.training, seed=SEED)
    return torch.stack(ours), torch.tensor(theirs, dtype=torch.float64), pack, twin


def agree(name: str, family: str, steps: int) -> None:
    start = toy.pack(zoo.backbone(family), [(CASES[name].method, CASES[name].values, SEED)])
    ours, theirs, pack, twin = both(name, family, steps)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    values, before = pack.of_trial(pack.flat, 0), start.of_trial(start.flat, 0)
    for pair in twin.pairs:
        assert not torch.equal(values[pair.name], before[pair.name]), f"{pair.name} was not trained"
        if not CASES[name].single:
            torch.testing.assert_close(pair.expected(values), pair.parameter.detach(), rtol=1e-5, atol=1e-6)
    compare_scores(family, pack, twin)


@torch.no_grad()
def compare_scores(family: str, pack: Pack, twin: Twin) -> None:
    """Behind the last step both say the same of every text."""
    backbone, trainer = zoo.backbone(family), toy.trainer(zoo.backbone(family))
    data = encode(backbone, toy.rows(), max_tokens=32)
    ids, lengths, _ = data.batch(range(len(data.lengths)), pad=0, device=torch.device("cpu"))
    theirs = twin.scores(ids, lengths, trainer.readout)
    torch.testing.assert_close(trainer.predict(pack, data)[0], theirs, rtol=1e-4, atol=1e-4)


CHEAP = [("lora dora", "encoder"), ("ia3", "decoder"), ("ln_tuning", "encoder"), ("prompt", "decoder")]


@pytest.mark.parametrize(("name", "family"), CHEAP)
def test_first_steps_are_those_of_peft_and_pytorch(name: str, family: str) -> None:
    agree(name, family, 8)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "family"), [(name, family) for name, case in CASES.items() for family in case.families])
def test_fifty_steps_are_those_of_peft_and_pytorch(name: str, family: str) -> None:
    agree(name, family, STEPS)


def test_every_type_of_ours_that_peft_has_is_before_the_referee() -> None:
    """By name: what PEFT calls as we do, and its prompts."""
    shared = {name for name in catalogue() if name.upper() in {*usable(), *refused()} | {"PROMPT", "PREFIX"}}
    assert shared == {case.method for case in CASES.values()} - {"bitfit"}  # which PEFT calls BEFT
