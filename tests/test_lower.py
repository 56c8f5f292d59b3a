"""Skipping the blocks below the first site changes nothing but the work."""

import pytest
import torch

from ulpt_search.workers.catalogue import rule
from ulpt_search.workers.model.lower_blocks import LowerBlocks
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.sites import Sites

from . import toy, zoo

UPPER: list[toy.Config] = [
    ("lora", {"layers": "last:1", "lr": 0.01}, 1),
    ("ia3", {"layers": "last:1"}, 2),
    ("peft:loha", {"layers": "last:1", "lr": 0.01}, 3),
    ("lora+head", {"lora.layers": "last:1", "lora.lr": 0.01}, 4),
]


@pytest.mark.parametrize("family", ["encoder", "decoder"])
@pytest.mark.parametrize("config", UPPER, ids=lambda config: str(config[0]))
def test_same_values_and_scores(family: str, config: toy.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = zoo.backbone(family)
    skipped, losses, scores = toy.train(backbone, [config], steps=6)
    monkeypatch.setattr(LowerBlocks, "possible", False, raising=False)
    monkeypatch.setattr(LowerBlocks, "__init__", lambda self, _: None)
    whole, plain, wanted = toy.train(backbone, [config], steps=6)
    torch.testing.assert_close(skipped.flat, whole.flat, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(losses.losses, plain.losses)
    torch.testing.assert_close(scores, wanted, rtol=1e-6, atol=1e-6)


def test_a_row_passes_the_lower_blocks_once() -> None:
    backbone = zoo.backbone("encoder")
    run, data = toy.trainer(backbone, steps=20), encode(backbone, toy.rows(), max_tokens=32)
    rows = 0

    def note(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        nonlocal rows
        rows += len(args[0])

    first = backbone.model.get_submodule("encoder.layer.0")
    handle = first.register_forward_pre_hook(note)
    try:
        pack, follow = toy.pack(backbone, UPPER[:1]), rule("lora", {})
        run.train(pack, follow, follow.start(pack), [1], data, start=0, stop=40)
        run.predict(pack, data)
    finally:
        handle.remove()
    assert rows == len(data.ids)
    assert backbone.model.get_submodule("encoder.layer.0") is first


@pytest.mark.parametrize(
    ("configs", "blocks"),
    [
        ([("lora", {"layers": "last:1"}, 0), ("bitfit", {"layers": "last:1"}, 0)], 1),
        ([("lora", {"layers": "last:1"}, 0), ("prompt", {}, 0)], 0),
        ([("prefix", {"layers": "last:1"}, 0)], 0),
        ([("lora", {"layers": "all"}, 0)], 0),
        ([("ln_tuning", {"layers": "last:1"}, 0)], 1),
    ],
)
def test_counts_the_blocks_that_nobody_touches(configs: list[toy.Config], blocks: int) -> None:
    backbone = zoo.backbone("encoder")
    assert Sites(backbone.model, backbone.shape, toy.pack(backbone, configs).groups, trials=len(configs)).untouched == blocks


def test_rows_beyond_the_room_are_computed_each_time() -> None:
    backbone = zoo.backbone("encoder")
    data = encode(backbone, toy.rows(), max_tokens=32)
    roomy, tight = LowerBlocks(backbone), LowerBlocks(backbone)
    tight._room = 3000
    for _ in range(2):
        wanted, found = (lower.hidden(data, [5, 1, 5, 9], blocks=1, pad=0) for lower in (roomy, tight))
        torch.testing.assert_close(found, wanted)
    assert 0 <= tight._room < 3000
