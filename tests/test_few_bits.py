"""What is said of weights in few bits where their libraries are not installed."""

import importlib.util
from typing import Any

import pytest

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import BITS, ModelSpec, Quantization
from ulpt_search.workers.exports import few_bits
from ulpt_search.workers.model import quantised
from ulpt_search.workers.model.backbone import load, shape_of

from . import families


def test_every_kind_has_its_bits_its_code_and_its_lines() -> None:
    assert set(BITS) == set(quantised.KINDS) == set(few_bits.KINDS)


@pytest.mark.parametrize(("kind", "library"), [("bnb-4bit", "bitsandbytes"), ("torchao-8bit", "torchao")])
def test_a_missing_library_is_said_in_a_line(kind: Quantization, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec

    def without(name: str, *given: Any) -> Any:
        return None if name == library else name if name == "accelerate" else there(name, *given)

    monkeypatch.setattr(quantised, "find_spec", without)
    with pytest.raises(WrongInput, match=rf"^model\.quantization: {kind} needs {library}; pip install 'ulpt-search\[quantized\]'$"):
        load(ModelSpec(str(families.folder("llama")), device="cpu", quantization=kind))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("gpt2", r"torchao keeps none of its linears in 8 bits; give none or bnb-4bit$"),
        ("falcon", r"its FalconLinear does not compute by weights of torchao; give model\.quantization: none or bnb-4bit$"),
    ],
)
def test_a_family_that_8_bits_cannot_serve_is_refused_on_paper(name: str, wanted: str) -> None:
    with pytest.raises(WrongInput, match=wanted):
        shape_of(ModelSpec(str(families.folder(name)), quantization="torchao-8bit"))
    assert shape_of(ModelSpec(str(families.folder("llama")), quantization="torchao-8bit")).handling.quantization == "torchao-8bit"
