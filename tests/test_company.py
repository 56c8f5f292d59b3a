"""What a trial may not do to the others of its pack, provoked: numbers that are none, ranks of all sizes, no adapter at all."""

import pytest
import torch
from torch import Tensor

from ulpt_search.benchmarks.family_gates import Config, apart, pack_of, passed, shaken
from ulpt_search.workers.catalogue import parts, rule
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.encoding import Encoded, encode

from . import families, toy
from .test_families import rows

COMPANY: list[Config] = [("lora", {"rank": 2}, 1), ("lora", {"rank": 2}, 2), ("prompt", {"prompt_length": 3}, 3), ("ln_tuning", {}, 4)]
ROWS = [[0, 3], [1, 5], [6, 2], [4, 1]]


def data(backbone: Backbone) -> Encoded:
    return encode(backbone, rows(), max_tokens=40)


def poisoned(pack: Pack, position: int) -> Pack:
    """The same pack with every number of one trial infinite."""
    own = pack.of_trial(pack.flat, position)
    pack.set_trial(pack.flat, position, {name: torch.full_like(value, float("inf")) for name, value in own.items()})
    return pack


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_trial_that_is_not_finite_moves_no_bit_of_another(place: int) -> None:
    """In the same stack of LoRAs, as a prompt in front of its rows, in the norms: neither scores nor gradients."""
    backbone = families.backbone("llama")
    run, texts = toy.trainer(backbone), data(backbone)
    scores, gradient = passed(run, shaken(backbone, COMPANY), texts, ROWS)
    pack = poisoned(shaken(backbone, COMPANY), place)
    found, slope = passed(run, pack, texts, ROWS)
    assert not torch.isfinite(found[place]).all()
    for other in set(range(len(COMPANY))) - {place}:
        assert torch.equal(found[other], scores[other])
        assert all(torch.equal(mine, its) for mine, its in zip(_of(pack, slope, other), _of(pack, gradient, other), strict=True))


def _of(pack: Pack, flat: Tensor, position: int) -> list[Tensor]:
    return list(pack.of_trial(flat, position).values())


def test_steps_beside_such_a_trial_are_those_without_it() -> None:
    """Clipping and moments are a trial's own: after three steps its neighbours are where they would be, to the bit."""
    backbone, left = families.backbone("bert"), list[Pack]()
    texts = encode(backbone, toy.rows(), max_tokens=32)
    for spoilt in (False, True):
        pack = pack_of(backbone, COMPANY)
        pack = poisoned(pack, 1) if spoilt else pack
        follow = rule(*COMPANY[0][:2])
        state = follow.start(pack)
        trained = toy.trainer(backbone).train(pack, follow, state, [seed for _, _, seed in COMPANY], texts, start=0, stop=3)
        assert bool(torch.isfinite(trained.losses[1])) != spoilt
        left.append(pack)
    for other in (0, 2, 3):
        assert all(torch.equal(a, b) for a, b in zip(_of(left[0], left[0].flat, other), _of(left[1], left[1].flat, other), strict=True))
    assert not torch.isfinite(torch.cat([value.flatten() for value in _of(left[1], left[1].flat, 1)])).all()


def test_ranks_of_all_sizes_share_a_pack() -> None:
    """Odd ones, one, and the width itself, beside each other and in no order."""
    backbone, ranks = families.backbone("bert"), (8, 1, 32, 3, 16)
    run, texts = toy.trainer(backbone), data(backbone)
    configs: list[Config] = [("lora", {"rank": rank, "modules": "all"}, rank) for rank in ranks]
    chosen = [[0, 3], [1, 5], [6, 2], [4, 1], [7, 0]]
    together, gradient = passed(run, whole := shaken(backbone, configs), texts, chosen)
    for place, config in enumerate(configs):
        alone, slope = passed(run, own := shaken(backbone, [config]), texts, [chosen[place]])
        assert apart(together[place], alone[0]) < 1e-4
        assert max(map(apart, _of(whole, gradient, place), _of(own, slope, 0))) < 1e-4


@torch.no_grad()
def test_rows_of_a_trial_without_an_adapter_are_the_bare_models() -> None:
    """Not those of the trial before it, nor of the last one."""
    backbone = families.backbone("llama")
    first, last = (build_parts(place, parts("lora", {"rank": 2}), backbone.shape, 1) for place in (0, 2))
    run, texts = toy.trainer(backbone), data(backbone)
    mixed = Pack([first, [], last], device=backbone.device)
    mixed.flat += 0.5
    scores = run.predict(mixed, texts)
    bare = run.predict(Pack([[], [], []], device=backbone.device), texts)
    assert torch.equal(scores[1], bare[1])
    assert apart(scores[0], bare[0]) > 1e-2
    assert torch.equal(scores[0], scores[2])
