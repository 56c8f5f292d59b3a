"""Blocks that are computed again in backward: the same scores and gradients to the bit, and they are computed again indeed."""

import pytest
import torch
from torch import Tensor

from ulpt_search.benchmarks.family_gates import fitting, shaken
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.training.trainer import Trainer, bound_values

from . import families, toy
from .test_alive import ROWS
from .test_families import rows

QUICK = ("bert", "llama")
SHOWN = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in ("t5", "gpt2", "mixtral", "modernbert", "mamba", "bart"))]


def passed(backbone: Backbone, *, checkpointing: bool) -> tuple[Tensor, Tensor, int]:
    """Scores, their gradient for prompts, LoRA, prefixes and norms in one pack, and how often the first linear was called."""
    plain = toy.trainer(backbone)
    run = Trainer(backbone, plain.readout, plain.training, checkpointing)
    data, pack, calls = encode(backbone, rows(), max_tokens=40), shaken(backbone, fitting(backbone)), []
    pack.flat.requires_grad_()
    first = backbone.model.get_submodule(backbone.shape.linears[0].name)
    counted = first.register_forward_pre_hook(lambda *_: calls.append(1))
    with Sites(backbone.model, backbone.shape, pack.groups, trials=pack.size) as sites:
        batch = run._batch(data, [row for own in ROWS[: pack.size] for row in own], blocks=0, device=backbone.device)
        scores = run._scores(pack, sites, bound_values(pack), batch)
        weights = torch.arange(1.0, 1 + scores.numel()).view_as(scores)
        (gradient,) = torch.autograd.grad((scores * weights).sum(), pack.flat)
    counted.remove()
    return scores.detach(), gradient, len(calls)


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_changes_but_what_is_kept(name: str) -> None:
    backbone = families.backbone(name)
    (kept, slope, once), (again, same, twice) = (passed(backbone, checkpointing=on) for on in (False, True))
    assert torch.equal(kept, again)
    assert torch.equal(slope, same)
    assert slope.abs().max() > 0
    assert (once, twice) == (1, 2)


@torch.no_grad()
def test_scoring_computes_nothing_twice() -> None:
    backbone = families.backbone("bert")
    plain, pack, calls = toy.trainer(backbone), toy.pack(backbone, [("lora", {}, 1)]), []
    first = backbone.model.get_submodule(backbone.shape.linears[0].name)
    counted = first.register_forward_pre_hook(lambda *_: calls.append(1))
    data = encode(backbone, rows(), max_tokens=40)
    Trainer(backbone, plain.readout, plain.training, checkpointing=True).predict(pack, data)
    counted.remove()
    assert len(calls) == 1
