"""A step that is too long for a processor's caches runs in pieces, which change nothing but the speed."""

import numpy as np
import pytest
import torch

from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.training import trainer as training
from ulpt_search.workers.training.batches import Batches

from . import toy, zoo

COMPANY: list[toy.Config] = [("ulpt", {"prompt_length": 3}, 1), ("lora", {"lr": 0.01}, 2), ("finegates", {}, 3)]


@pytest.mark.parametrize("family", ["encoder", "decoder"])
@pytest.mark.parametrize("configs", [COMPANY, [("lora+subzero", {}, 4)]], ids=["adamw", "subzero"])
def test_same_values_and_losses(family: str, configs: list[toy.Config], monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = zoo.backbone(family)
    passes = _count_passes(monkeypatch)
    monkeypatch.setattr(training, "TOKENS_AT_ONCE", {})
    whole, plain, wanted = toy.train(backbone, configs, steps=6)
    alone = passes.pop("training")
    monkeypatch.setattr(training, "TOKENS_AT_ONCE", {"cpu": 20})
    pieces, losses, scores = toy.train(backbone, configs, steps=6)
    assert passes["training"] > alone
    torch.testing.assert_close(pieces.flat, whole.flat, rtol=1e-4, atol=1e-5)  # scores are float32, whatever the model is
    torch.testing.assert_close(losses.losses, plain.losses)
    torch.testing.assert_close(scores, wanted, rtol=1e-4, atol=1e-4)


def test_a_pass_holds_no_more_tokens_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = zoo.backbone("encoder")
    run, data = toy.trainer(backbone, steps=4), encode(backbone, toy.rows(), max_tokens=32)
    pack, limit = toy.pack(backbone, COMPANY), 40
    monkeypatch.setattr(training, "TOKENS_AT_ONCE", {"cpu": limit})
    with Sites(backbone.model, backbone.shape, pack.groups, trials=pack.size) as sites:
        rows = np.stack([Batches(data.lengths, batch=4).rows(seed=seed, step=0) for seed in (1, 2, 3)])
        pieces = run._pieces(pack, sites, data, rows, [{}] * len(pack.groups))
        seen = [piece.args[2].ids.numel() for piece in pieces]  # type: ignore[attr-defined]
    assert sum(seen) >= rows.size
    assert len(seen) > 1
    one_row_each = pack.size * max(data.lengths)
    assert all(tokens <= max(limit, one_row_each) for tokens in seen)


def _count_passes(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    counts: dict[str, int] = {}
    real = training.Trainer._losses

    def counted(self: training.Trainer, *args: object, **options: object) -> object:
        counts["training"] = counts.get("training", 0) + 1
        return real(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(training.Trainer, "_losses", counted)
    return counts
