"""LoRA's variants obey the laws that its defaults are held to: packed as alone, unchanged at the start, exported exactly."""

from pathlib import Path

import pytest
import torch

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports.outputs import probe, run_model, trained_outputs
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model.readouts.encoding import encode

from . import toy, zoo
from .exporting import setup, trial
from .test_exports import folder, prove

__all__ = ["folder"]

VARIANTS: list[Hyperparameters] = [
    {"rank": 2, "dora": True},
    {"rank": 2, "init": "pissa", "lr": 1e-3},
    {"rank": 2, "init": "orthogonal", "rslora": True, "lr_ratio": 4.0},
    {"rank": 2, "init": "pissa", "dora": True, "modules": "all", "lr": 1e-3},
]


@pytest.mark.parametrize("family", ["encoder", "gpt2"])
@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_packed_equals_alone(values: Hyperparameters, family: str) -> None:
    backbone = zoo.backbone(family)
    configs: list[toy.Config] = [("lora", {"rank": 2}, 5), ("lora", values, 1), ("lora", {**values, "alpha": 4.0, "lr": 2e-3}, 2)]
    packed, _, scores = toy.train(backbone, configs, steps=5)
    for position, config in enumerate(configs):
        alone, _, own = toy.train(backbone, [config], steps=5)
        torch.testing.assert_close(scores[position], own[0], rtol=1e-5, atol=1e-5)
        theirs = alone.of_trial(alone.flat, 0)
        assert sum(tensor.numel() for tensor in theirs.values()) == count("lora", config[1], backbone.shape)
        for key, value in packed.of_trial(packed.flat, position).items():
            torch.testing.assert_close(value, theirs[key], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_starts_as_the_frozen_model(values: Hyperparameters) -> None:
    backbone = zoo.backbone("encoder")
    inputs = probe(encode(backbone, toy.rows(), max_tokens=32), pad=0)
    pack = toy.pack(backbone, [("lora", values, 3)])
    torch.testing.assert_close(trained_outputs(backbone, pack, inputs), run_model(backbone.model, inputs), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("style", ["peft", "merged"])
@pytest.mark.parametrize(
    ("family", "values"),
    [
        ("encoder", VARIANTS[0]),
        pytest.param("decoder", VARIANTS[3], marks=pytest.mark.slow),
        pytest.param("gpt2", VARIANTS[0], marks=pytest.mark.slow),
    ],
)
def test_exports_exactly(family: str, values: Hyperparameters, style: str, folder: Path, tmp_path: Path) -> None:
    with Fresh() as fresh:
        prove(setup(family, folder), trial(family, "lora", {**values, "lr": 0.03}), style, tmp_path / "out", fresh)
