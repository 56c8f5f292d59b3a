"""The ablation's own pieces: what it calls token-specific, its variants, and its tables."""

import base64
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.methods.prompt import Prompt
from ulpt_search.workers.methods.ulpt import Ulpt
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.training.row_scores import packed

from . import toy, zoo
from .shapes import shape


def program(name: str) -> ModuleType:
    """A program of `benchmarks/`, as a module."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    return program("ulpt_ablation")


@pytest.fixture(scope="module")
def page() -> ModuleType:
    return program("ulpt_page")


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


def record(cell: str, right: list[list[float]], **others: object) -> dict[str, object]:
    """One cell of TREC with the rows that each of its seeds has right."""
    kept = [base64.b64encode(packed(np.asarray(one)).tobytes()).decode() for one in right]
    test = {"test": [float(np.mean(one)) for one in right], "variance": [1e-4] * len(right), "share": [0.5] * len(right)}
    return {"task": "trec", "cell": cell, "steps": 100, "parameters": 768, "rate": 0.3, **test, "right": kept, **others}


def test_the_page_has_scores_differences_steps_and_shares(page: ModuleType) -> None:
    worse, better = [[1.0] * 50 + [0.0] * 50] * 3, [[1.0] * 60 + [0.0] * 40] * 3
    shift, ulpt, plain = record("s, b alone", worse), record("ulpt r 64", better), record("ia3", better)
    del plain["right"]
    later = record("ulpt r 64, twice the steps", better, steps=200)
    shares = {"task": "shares", "cell": "minilm r 2", "before": [0.006], "after": [0.5]}
    text = "\n".join(page.page([shift, ulpt, plain, later, shares]))
    assert "| s, b alone | 768 | 0.500 ±" in text
    assert "### 200 steps" in text
    assert "| ulpt r 64 | trec | 0.600 ±" in text
    assert "| minilm r 2 | 0.6% | 50.0% |" in text
    gaps = {line.split(" | ")[0]: line for line in text.splitlines() if "+10.0" in line}
    width = {name: float(line.rpartition(", ")[2].split("]")[0]) for name, line in gaps.items()}
    assert width["| ulpt r 64"] < width["| ia3"], "rows that are paired tell more than scores alone"


def test_what_the_ablation_keeps_of_rows_is_what_the_page_reads(ablation: ModuleType, page: ModuleType) -> None:
    right = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    assert page.table({"right": [ablation._text(right)]}).tolist() == [right.tolist()]
    assert page.table({}) is None


def test_a_cell_trained_for_longer_takes_the_rate_of_the_cell_that_chose_one(ablation: ModuleType) -> None:
    assert ablation.CELLS["ulpt r 64 without s, twice the steps"].like == "ulpt r 64"
    assert ablation.CELLS["prompt n 4, four times the steps"].like == "prompt n 4"


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
