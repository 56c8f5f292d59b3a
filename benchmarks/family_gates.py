"""What must hold in every family before anything trained on it means anything.

A row beside other trials' rows is what it is alone, in its scores and in what it teaches, and every tensor of every adapter acts. That
token ids and embeddings give the same scores, padded or not, is `workers/model/frozen_scores.py`'s to say, of any model that is loaded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.workers.catalogue import parts
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.encoding import Encoded
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.training.trainer import Trainer, bound_values

Config = tuple[str, Hyperparameters, int]
"""Method, hyperparameters, seed."""
PROMPT: Config = ("prompt", {"prompt_length": 3}, 1)
LORA: Config = ("lora", {"rank": 2, "layers": "all", "modules": "all"}, 2)
PREFIX: Config = ("prefix", {"prefix_length": 2, "layers": "all"}, 3)
NORMS: Config = ("ln_tuning", {}, 4)
WITHIN = 1e-4
"""Largest difference as a share of the largest value: a few hundred float32 sums in another order."""


@dataclass(frozen=True)
class Gates:
    """What was found of one family."""

    adapters: tuple[str, ...]
    """Methods that shared the pack, one for each kind of place that the family has."""
    scores: float
    """Largest difference of a trial's scores in the pack from those alone, as a share of the largest."""
    gradients: float
    """The same of gradients, tensor by tensor."""
    tensors: int
    """Tensors of the adapters, of which `dead` get no gradient though they could act."""
    dead: tuple[str, ...]
    idle: tuple[str, ...]
    """Adapters that change no score."""

    @property
    def open(self) -> bool:
        """Whether all of it holds."""
        return self.scores <= WITHIN and self.gradients <= WITHIN and not self.dead and not self.idle


def fitting(backbone: Backbone) -> list[Config]:
    """Those of the adapters that the family has a place for."""
    prefix = [PREFIX] if any(site.extends for site in backbone.shape.attentions) else []
    norms = [NORMS] if any(norm.layer >= 0 for norm in backbone.shape.norms) else []
    return [PROMPT, LORA, *prefix, *norms]


def pack_of(backbone: Backbone, configs: Sequence[Config]) -> Pack:
    """The pack of some configurations at step 0, in the backbone's precision."""
    built = [build_parts(place, parts(name, values), backbone.shape, seed) for place, (name, values, seed) in enumerate(configs)]
    return Pack(built, device=backbone.device, dtype=backbone.dtype)


def shaken(backbone: Backbone, configs: Sequence[Config]) -> Pack:
    """A pack in which no value is zero; a trial's values do not depend on its neighbours."""
    pack = pack_of(backbone, configs)
    for position, (_, _, seed) in enumerate(configs):
        draw = torch.Generator().manual_seed(seed)
        own = pack.of_trial(pack.flat, position)
        pack.set_trial(pack.flat, position, {name: value + 0.1 * torch.randn(value.shape, generator=draw) for name, value in own.items()})
    return pack


def passed(trainer: Trainer, pack: Pack, data: Encoded, chosen: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Scores (trials, rows, labels) of a pack, and the gradient of a sum of them, each with a weight of its own, (elements,)."""
    backbone = trainer.backbone
    pack.flat.requires_grad_()
    with Sites(backbone.model, backbone.shape, pack.groups, trials=pack.size) as sites:
        batch = trainer._batch(data, [row for own in chosen for row in own], blocks=0, device=backbone.device)
        scores = trainer._scores(pack, sites, bound_values(pack), batch)
        weights = torch.arange(1.0, 1 + scores[0].numel(), device=scores.device).view_as(scores[0])
        (gradient,) = torch.autograd.grad((scores * weights).sum(), pack.flat)  # blocks computed again need their hooks
    return scores.detach(), gradient


def gates(trainer: Trainer, data: Encoded, chosen: Sequence[Sequence[int]]) -> Gates:
    """Look at a family's model with an adapter at every kind of place; trial k of the pack has the rows `chosen[k]` of `data`."""
    backbone = trainer.backbone
    configs = fitting(backbone)
    pack = shaken(backbone, configs)
    together, gradient = passed(trainer, pack, data, chosen[: pack.size])
    scores, slopes, tensors, dead, idle = [0.0], [0.0], 0, list[str](), list[str]()
    for position, config in enumerate(configs):
        own, rows = shaken(backbone, [config]), [chosen[position]]
        alone, slope = passed(trainer, own, data, rows)
        scores.append(apart(together[position], alone[0]))
        mine, its = pack.of_trial(gradient, position), own.of_trial(slope, 0)
        slopes += [apart(mine[key], its[key]) for key in its]
        tensors += len(its)
        dead += [f"{config[0]}: {key}" for key, value in its.items() if not value.any() and not blind(backbone, key)]
        frozen, _ = passed(trainer, pack_of(backbone, [LORA]), data, rows)
        idle += [config[0]] if apart(alone[0], frozen[0]) <= WITHIN else []
    return Gates(tuple(config[0] for config in configs), max(scores), max(slopes), tensors, tuple(dead), tuple(idle))


def apart(found: Tensor, wanted: Tensor) -> float:
    """Largest difference as a share of the largest wanted value; infinite where one is not a number."""
    far = float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30))
    return far if far == far else float("inf")


def blind(backbone: Backbone, key: str) -> bool:
    """Whether a tensor cannot act: queries and keys of a decoder's attention over its one token."""
    layer, _, rest = key.partition(".")
    return backbone.family == "encoder-decoder" and int(layer) >= backbone.shape.layers // 2 and rest.startswith(("q/", "k/"))


def unlike(lengths: Sequence[int], *, trials: int = 4) -> Iterator[list[int]]:
    """Two rows a trial, no two trials' rows of the same lengths as far as there are such: short beside long."""
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    for trial in range(trials):
        yield [order[trial], order[-1 - trial]]
