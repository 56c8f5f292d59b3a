"""The proof on decoders and encoder-decoders: every effect, every format, spoilt tensors and wrong bases; and families that pad oddly."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Trial
from ulpt_search.spaces.space import Setup
from ulpt_search.workers.catalogue import catalogue, count
from ulpt_search.workers.exports import export, load_export, verify
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model.backbone import tokenizer_of

from . import families, zoo
from .exporting import fits, setup, task_folder, trained
from .test_families import SAMPLE
from .test_proof import agree, made, refusals

EFFECTS = {
    "prompt": "SoftPrompt", "ulpt": "SoftPrompt", "prefix": "KeysValues", "lora": "LowRank", "fourierft": "Spectral", "ia3": "Gates",
    "bitfit": "Biases", "full": "Dense", "sparta": "Sparse", "ether": "Affine", "adapter": "LinearEffect", "ln_tuning": "NormEffect",
    "head": "Pooled", "peft:oft": "PeftTuner", "lora+ln_tuning": "composition",
}  # fmt: skip
"""A method for each effect that a method can have."""
QUICK = {
    ("decoder", "lora", "peft"), ("decoder", "prefix", "peft"), ("decoder", "ia3", "merged"), ("decoder", "ulpt", "native"),
    ("encoder-decoder", "lora", "merged"), ("encoder-decoder", "prompt", "peft"), ("encoder-decoder", "ln_tuning", "native"),
}  # fmt: skip
CELLS = [
    pytest.param(family, name, style, marks=[] if (family, name, style) in QUICK else [pytest.mark.slow])
    for family in ("decoder", "encoder-decoder")
    for name in EFFECTS
    for style in ("native", "peft", "merged")
]
PADS = ("roberta", "xlm-roberta", "mpnet", "modernbert", "opt")
"""Families whose outputs at padding differ between ways of running them, and once failed their proof by it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_folder(tmp_path_factory.mktemp("matrix"))


def test_every_effect_has_its_method() -> None:
    """A new kind of effect is to be put into the matrix."""
    known = {base.__name__ for cls in catalogue().values() for base in cls.__mro__[1:2]}
    assert known <= {*EFFECTS.values()}, known - {*EFFECTS.values()}


@pytest.mark.parametrize(("family", "name", "style"), CELLS)
def test_what_computes_something_else_is_refused(family: str, name: str, style: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    if fits(family, name, style) is None:
        pytest.skip(f"{name} has no {style} form on the {family}")
    good = made(folder, name, style, tmp_path / "good", fresh, family=family)
    assert verify(good, fresh=fresh).fine
    assert refusals(good, style, tmp_path, fresh, family=family) >= 3, f"{name} as {style}: nothing could be made wrong about it"


@pytest.mark.parametrize("style", ["native", "peft", "merged"])
@pytest.mark.parametrize("family", ["encoder", "decoder", "encoder-decoder"])
def test_the_right_adapter_on_the_wrong_base(family: str, style: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    """A weight that the adapter never touches is off by a thousandth; where it was merged, the card agrees with the files."""
    good = made(folder, "lora", style, tmp_path / "good", fresh, family=family)
    other = tmp_path / "other"
    shutil.copytree(good if style == "merged" else zoo.saved(family), other)
    weights = safetensors.torch.load_file(other / "model.safetensors")
    name = next(name for name in sorted(weights) if ("intermediate.dense.weight" in name or "gate_proj" in name or ".wi." in name))
    weights[name] *= 1.001
    safetensors.torch.save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    if style == "merged":
        agree(other)
    verdict = verify(other, fresh=fresh) if style == "merged" else verify(good, model=str(other), fresh=fresh)
    assert verdict.failed is not None
    assert verdict.failed.name == "base"
    assert verify(good, fresh=fresh).fine


def study(name: str, folder: Path) -> Setup:
    made = setup("encoder", folder)
    return replace(made, model=replace(made.model, name=str(families.folder(name))))


def lora(name: str) -> Trial:
    values = {"lr": 0.1}
    return Trial(0, "lora", values, seed=3, parameters=count("lora", values, families.backbone(name).shape))


@pytest.mark.parametrize(
    "name", [name if name in PADS else pytest.param(name, marks=pytest.mark.slow) for name in dict.fromkeys((*SAMPLE, *PADS))]
)
def test_what_a_family_computes_at_padding_is_its_own_business(name: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    try:
        config = lora(name)
    except WrongInput as error:
        pytest.skip(str(error))
    here = study(name, folder)
    if tokenizer_of(here.model)("w1 red")["input_ids"] != families.backbone(name).tokenizer("w1 red")["input_ids"]:
        pytest.skip(f"AutoTokenizer gives {name} a tokenizer of its own class, not the tiny one in its folder")
    digest = trained(here, config)
    answers = []
    for style in ("native", "peft", "merged"):
        report = export(here, config, digest, style=style, out=tmp_path / style, fresh=fresh)
        assert not report.note
        answers.append(load_export(tmp_path / style)(["w0 w11 w12", "w2"]))
    for other in answers[1:]:
        for one, wanted in zip(other, answers[0], strict=True):
            assert one["label"] == wanted["label"]
            assert one["probability"] == pytest.approx(wanted["probability"], abs=2e-4)
