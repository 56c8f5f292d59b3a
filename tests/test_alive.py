"""In every family: a row beside other trials' rows is what it is alone, and every tensor of every adapter acts and is learnt."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.training.trainer import bound_values

from . import families, toy
from .test_families import SERVED, rows

PROMPT: toy.Config = ("prompt", {"prompt_length": 3}, 1)
LORA: toy.Config = ("lora", {"rank": 2, "layers": "all", "modules": "all"}, 2)
PREFIX: toy.Config = ("prefix", {"prefix_length": 2, "layers": "all"}, 3)
NORMS: toy.Config = ("ln_tuning", {}, 4)
ROWS = [[0, 3], [1, 5], [6, 2], [4, 1]]
"""Rows of each trial: of 1 to 20 words, no two trials the same."""


def passed(backbone: Backbone, pack: Pack, data: Encoded, chosen: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Scores (trials, rows, labels) of a pack, and the gradient of a sum of them, each with a weight of its own, (elements,)."""
    run = toy.trainer(backbone)
    pack.flat.requires_grad_()
    with Sites(backbone.model, backbone.shape, pack.groups, trials=pack.size) as sites:
        batch = run._batch(data, [row for own in chosen for row in own], blocks=0, device=backbone.device)
        scores = run._scores(pack, sites, bound_values(pack), batch)
    weights = torch.arange(1.0, 1 + scores[0].numel()).view_as(scores[0])
    (gradient,) = torch.autograd.grad((scores * weights).sum(), pack.flat)
    return scores.detach(), gradient


def shaken(backbone: Backbone, configs: Sequence[toy.Config]) -> Pack:
    """A pack in which no value is zero; a trial's values do not depend on its neighbours."""
    pack = toy.pack(backbone, configs)
    for position, (_, _, seed) in enumerate(configs):
        draw = torch.Generator().manual_seed(seed)
        own = pack.of_trial(pack.flat, position)
        pack.set_trial(pack.flat, position, {name: value + 0.1 * torch.randn(value.shape, generator=draw) for name, value in own.items()})
    return pack


def close(found: Tensor, wanted: Tensor) -> bool:
    """Equal up to float32 noise of a few hundred sums."""
    return bool((found - wanted).abs().max() <= 1e-4 * wanted.abs().max())


def blind(backbone: Backbone, key: str) -> bool:
    """Whether a tensor cannot act: queries and keys of a decoder's attention over its one token."""
    layer, _, rest = key.partition(".")
    return backbone.family == "encoder-decoder" and int(layer) >= backbone.shape.layers // 2 and rest.startswith(("q/", "k/"))


def fitting(backbone: Backbone) -> list[toy.Config]:
    """Those of the adapters that the family has a place for."""
    prefix = [PREFIX] if any(site.extends for site in backbone.shape.attentions) else []
    norms = [NORMS] if any(norm.layer >= 0 for norm in backbone.shape.norms) else []
    return [PROMPT, LORA, *prefix, *norms]


@pytest.mark.parametrize("name", SERVED)
def test_packed_is_alone_and_everything_lives(name: str) -> None:
    backbone = families.backbone(name)
    configs = fitting(backbone)
    data, pack = encode(backbone, rows(), max_tokens=40), shaken(backbone, configs)
    together, gradient = passed(backbone, pack, data, ROWS[: pack.size])
    for position, config in enumerate(configs):
        own = shaken(backbone, [config])
        alone, slope = passed(backbone, own, data, [ROWS[position]])
        assert close(together[position], alone[0]), f"{config[0]}: scores beside others"
        mine, its = pack.of_trial(gradient, position), own.of_trial(slope, 0)
        assert all(close(mine[key], its[key]) for key in its), f"{config[0]}: gradient beside others"
        dead = sorted(key for key, value in its.items() if not value.any() and not blind(backbone, key))
        assert not dead, f"{config[0]}: {dead[:4]} do nothing"
        frozen, _ = passed(backbone, toy.pack(backbone, [LORA]), data, [ROWS[position]])
        assert not close(alone[0], frozen[0]), f"{config[0]} changes nothing"
