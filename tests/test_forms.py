"""The formats that are promised on paper are those that stock PEFT computes: every family's real class, prompts and prefixes."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec, Setup
from ulpt_search.workers.catalogue import method
from ulpt_search.workers.exports import Forms, Reading, export, forms_of, reading_of, stock, stock_process
from ulpt_search.workers.exports.outputs import padded, trained_outputs, trained_reading
from ulpt_search.workers.exports.reading import read
from ulpt_search.workers.exports.reference import reference_outputs
from ulpt_search.workers.method import Method
from ulpt_search.workers.model.backbone import Backbone, shape_of
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.tasks import Rows
from ulpt_search.workers.training.trainer import bound_values

from . import families, pairs, toy
from .door import call, values
from .exporting import trained
from .test_families import SAMPLE, rows

CLOSE = 1e-3
"""Largest difference beside the adapter's effect, as a proof allows it."""
QUICK = ("bert", "roberta", "albert", "gpt2", "mistral", "deberta-v2", "mamba", "falcon_h1", "lfm2", "t5", "umt5", "bart", "marian")
"""One family of each kind of reason, and of none."""
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in dict.fromkeys((*SAMPLE, *QUICK))]
LENGTH = 48


def texts(*, paired: bool) -> Rows:
    both = rows()
    return both if paired else Rows(both.texts_a, (None,) * len(both), both.labels)


def chosen(name: str, backbone: Backbone) -> Hyperparameters:
    """Of an encoder-decoder's prefix, the decoder's part: all that PEFT has."""
    return {"layers": "last:50%"} if name == "prefix" and backbone.family == "encoder-decoder" else {}


def moved(backbone: Backbone, tuned: Method) -> Pack:
    """A pack of one trial whose numbers are far from where they start."""
    pack = Pack([build_parts(0, (tuned,), backbone.shape, 3)], device=backbone.device)
    pack.flat += 0.5 * torch.randn(pack.flat.shape, generator=torch.Generator().manual_seed(0))
    return pack


def by_peft(backbone: Backbone, pack: Pack, inputs: dict[str, Tensor]) -> Tensor:
    """What stock PEFT computes with the same numbers, on a fresh copy of the model."""
    values = {key: value[0].detach() for key, value in bound_values(pack)[0].items()}
    config, tensors = stock.to_peft(backbone, pack.groups[0].method, values)
    model: Any = peft.get_peft_model(stock_process.stock_model(backbone.source, backbone.family), config).eval()
    stock._fill(model, tensors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it drops token types
        return stock_process.run(model, inputs, backbone.family)


@torch.no_grad()
def distance(backbone: Backbone, tuned: Method, split: Rows) -> float:
    """How far PEFT's outputs are from the trained ones, beside the adapter's effect; infinite where PEFT cannot run at all."""
    pack = moved(backbone, tuned)
    inputs = padded(encode(backbone, split, max_tokens=LENGTH), pad=int(backbone.tokenizer.pad_token_id or 0))
    empty = Pack([[]], device=backbone.device)
    wanted, base = (read(trained_outputs(backbone, p, inputs), inputs["attention_mask"], backbone.family) for p in (pack, empty))
    assert float((wanted - base).norm()) > 1e-2 * float(base.norm()), "an adapter without an effect would hide a difference"
    try:
        found = by_peft(backbone, pack, inputs)
    except (RuntimeError, ValueError):
        return float("inf")
    return float((found - wanted).norm() / (wanted - base).norm())


def promised(name: str, backbone: Backbone, split: Rows) -> Forms:
    task = replace(toy.task(), train=split, validation=split, test=split)
    reading = reading_of(task, backbone.shape, max_tokens=LENGTH, tokenizer=lambda: backbone.tokenizer)
    return forms_of(name, chosen(name, backbone), backbone.shape, reading)


@pytest.mark.parametrize("name", ["prompt", "prefix"])
@pytest.mark.parametrize("family", NAMES)
def test_peft_is_promised_where_it_computes_what_was_trained_and_nowhere_else(family: str, name: str) -> None:
    backbone = families.backbone(family)
    tuned = method(name).create(chosen(name, backbone))
    try:
        tuned.parameters(backbone.shape)
    except WrongInput:
        pytest.skip(f"{family} has no site for a {name}")
    for paired in (False, True):
        split = texts(paired=paired)
        forms, far = promised(name, backbone, split), distance(backbone, tuned, split)
        assert ("peft" in forms.exact) == (far < CLOSE), f"{'pairs' if paired else 'texts'}: {far:.1e}, {forms}"
        assert far < CLOSE or far > 20 * CLOSE, "what is refused is wrong by far, not by rounding"
        if "peft" not in forms.exact:
            assert forms.why_not("peft").endswith("; take native")


@pytest.mark.parametrize("family", ["llama", "lfm2", "afmoe", "t5"])
@torch.no_grad()
def test_plain_hooks_compute_a_prefix_whatever_a_family_calls_its_mask(family: str) -> None:
    backbone = families.backbone(family)
    tuned = method("prefix").create(chosen("prefix", backbone))
    pack, split = moved(backbone, tuned), texts(paired=False)
    inputs = padded(encode(backbone, split, max_tokens=LENGTH), pad=int(backbone.tokenizer.pad_token_id or 0))
    values = {key: value[0].detach() for key, value in bound_values(pack)[0].items()}
    found, wanted = reference_outputs(backbone, [(tuned, values)], inputs), trained_reading(backbone, pack, inputs)
    base = trained_reading(backbone, Pack([[]], device=backbone.device), inputs)
    assert float((found - wanted).norm()) < CLOSE * float((wanted - base).norm())


@pytest.mark.parametrize("family", NAMES)
def test_a_model_is_known_without_its_weights(family: str) -> None:
    on_paper = shape_of(ModelSpec(str(families.folder(family)), dtype="float32", device="cpu"))
    backbone = families.backbone(family)
    assert on_paper.handling == backbone.shape.handling
    assert backbone.shape.handling.scales == (backbone.conventions.scale != 1)
    assert backbone.shape.handling.segments == backbone.conventions.segments


@pytest.mark.parametrize(("length", "exact"), [(1, True), (2, False)])
def test_a_window_that_holds_prefix_and_text_loses_nothing(length: int, exact: bool) -> None:
    """Three tokens of text under a window of four."""
    backbone, empty = families.backbone("mistral"), Rows(("", ""), (None, None), (0, 1))
    tuned = method("prefix").create({"prefix_length": length})
    assert encode(backbone, empty, max_tokens=LENGTH).lengths == (3, 3)
    forms = forms_of("prefix", {"prefix_length": length}, backbone.shape, Reading(3))
    assert ("peft" in forms.exact) == exact == (distance(backbone, tuned, empty) < CLOSE)


@pytest.mark.parametrize(
    ("name", "values", "reading", "style", "told"),
    [
        ("ulpt", {}, Reading(8, typed=True), "peft", "PEFT drops the token types that tell a pair's texts apart; take native"),
        ("ulpt", {}, Reading(8), "merged", "ulpt cannot be folded into weights; take native or peft"),
        ("dept", {}, Reading(8), "peft", "dept is nothing that PEFT computes; take native"),
        ("lora+bitfit", {}, Reading(8), "peft", "PEFT holds one method an adapter, not lora and bitfit; take native or merged"),
        ("prefix", {"layers": "last:1"}, Reading(8), "peft", "PEFT cannot limit a prefix to 1 of 2 attentions; take native"),
    ],
)
def test_why_a_format_is_missing_is_one_line(name: str, values: Hyperparameters, reading: Reading, style: str, told: str) -> None:
    forms = forms_of(name, values, families.backbone("bert").shape, reading)
    assert forms.why_not(style) == told
    assert forms.best == ("merged" if "merged" in forms.exact else "peft" if "peft" in forms.exact else "native")
    assert ("peft" in forms.local) == (style == "peft" and name in ("ulpt", "prefix"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return pairs.setup(tmp_path_factory.mktemp("pairs"))


@pytest.mark.parametrize("name", ["prompt", pytest.param("prefix", marks=pytest.mark.slow)])
def test_what_peft_would_get_wrong_leaves_as_what_is_right(name: str, study: Setup, tmp_path: Path) -> None:
    """Pairs on a model with token types: refused before anything is written, exported in the format that is left when none was named."""
    config = pairs.trial(name)
    with pytest.raises(WrongInput, match=rf"^export: this {name} has no exact peft form: PEFT drops the token types .*; take native$"):
        export(study, config, "0" * 64, style="peft", out=tmp_path / "out")
    report = export(study, config, trained(study, config), out=tmp_path / "out")
    assert report.format == "native"
    assert report.effect > 0


def test_a_plan_says_what_cannot_leave_how(study: Setup, tmp_path: Path) -> None:
    space = "methods:\n  prompt: {}\n  lora:\n    rank: 1\n  prefix: {}\nsteps: 8\nrungs: [8]\n"
    (tmp_path / "space.yaml").write_text(space, encoding="utf8")
    inputs = ["--model", study.model.name, "--task", str(study.task.path), "--budget", "9000", "--set", "task.max_tokens=24"]
    words = ["plan", "--space", str(tmp_path / "space.yaml"), *inputs, "--home", str(tmp_path / "home")]
    told = values(*words)["exports"]
    assert (told["prompt"]["exact"], told["lora"]["exact"]) == (["native"], ["native", "peft", "merged"])
    said = " ".join(call(*words).stdout.split())
    for name in ("prompt", "prefix"):
        assert f"{name}: no peft form: " in said
    assert "prompt: no peft form: PEFT drops the token types that tell a pair's texts apart; take native" in said
    assert "lora: " not in said


def test_the_catalogue_lists_the_formats_that_a_model_has() -> None:
    def listed(name: str) -> dict[str, list[str]]:
        return {one["name"]: one["exports"] for one in values("methods", "--model", str(families.folder(name)))}

    pegasus, bert = listed("pegasus"), listed("bert")
    assert (pegasus["prompt"], bert["prompt"]) == (["native"], ["native", "peft"])
    assert pegasus["lora"] == bert["lora"] == ["native", "peft", "merged"]
