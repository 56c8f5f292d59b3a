"""The ablation's own pieces: what it calls token-specific, its variants, and its tables."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.methods.prompt import Prompt
from ulpt_search.workers.methods.ulpt import Ulpt
from ulpt_search.workers.model.backbone import Backbone, load

from . import toy, zoo
from .shapes import shape


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ulpt_ablation", Path(__file__).parents[1] / "benchmarks" / "ulpt_ablation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_shift_of_all_tokens_is_not_specific_to_any(ablation: ModuleType) -> None:
    start, method = torch.zeros(2, 3), Prompt(prompt_length=2)
    together = start + torch.tensor([1.0, 2.0, 3.0])
    apart = torch.tensor([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0]])
    assert ablation.token_specific(method, {"E": start}, {"E": together}) == 0
    assert ablation.token_specific(method, {"E": start}, {"E": apart}) == 1
    both = apart + torch.tensor([0.0, 4.0, 0.0])
    assert ablation.token_specific(method, {"E": start}, {"E": both}) == pytest.approx(0.6)


def test_variants_are_ulpt_with_something_left_out(ablation: ModuleType) -> None:
    bare, inner = shape(width=384), Ulpt(dim=64)
    alone = ablation.Variant(inner, still=("Z",))
    assert alone.parameters(bare) == 768
    assert alone.build(bare, torch.Generator().manual_seed(0)).frozen.keys() == {"P", "Z"}
    before = ablation.Variant(inner, units=False)
    assert (before.unit("b", bare), alone.unit("b", bare)) == (1.0, bare.embedding_rms)


def test_the_report_shows_scores_differences_and_shares(ablation: ModuleType) -> None:
    scores = {"parameters": 768, "rate": 0.3, "test": [0.8, 0.82, 0.81], "variance": [1e-4] * 3, "share": [0.5, 0.5, 0.5]}
    better = {**scores, "parameters": 1408, "test": [0.9, 0.92, 0.91]}
    records = [{"task": "trec", "cell": "s, b alone", **scores}, {"task": "trec", "cell": "ulpt r 64", **better}]
    text = ablation.report([*records, {"task": "shares", "cell": "minilm r 2", "before": [0.006], "after": [0.5]}])
    assert "| s, b alone | 768 | 0.810 ±" in text
    assert "- trec, ulpt r 64: +0.100 [" in text
    assert "| minilm r 2 | 0.6% | 50.0% |" in text


def share(ablation: ModuleType, backbone: Backbone) -> float:
    """Token-specific share of what ULPT's defaults change in twenty steps."""
    start, (end, _, _) = toy.pack(backbone, [("ulpt", {}, 0)]), toy.train(backbone, [("ulpt", {}, 0)], steps=20)
    frozen = {name: t[0] for name, t in end.groups[0].frozen.items()}
    old, new = ({**frozen, **pack.of_trial(pack.flat, 0)} for pack in (start, end))
    return float(ablation.token_specific(Ulpt(), old, new))


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_a_fifth_of_what_the_defaults_change_is_specific_to_a_token(ablation: ModuleType, family: str) -> None:
    assert share(ablation, zoo.backbone(family)) > 0.2


@pytest.mark.slow
def test_the_same_on_the_embedded_model(ablation: ModuleType) -> None:
    assert share(ablation, load(ModelSpec("minilm", dtype="float32", device="cpu"))) > 0.2
