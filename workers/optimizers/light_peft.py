"""Light-PEFT: after an early look, drop the modules and the ranks that matter least, and train on with the rest.

    a module's score: Σ_t ‖ΔW x‖ / ‖W x + b‖ over the steps of the look
    a rank's score:   Σ_t |mean_j (θ g)_j| over the slice of D that makes it, and of U that reads it, in the second half of the look
    then the share `modules` of lowest modules goes, and of the ranks left, all modules together, the share `ranks`, back to θ₀

Gu et al. 2024, arXiv 2406.03792.  A module is a linear with what a method adds to it; a rank is a row of A (D) with its column of B
(U).  Count: all N, since everything is trained until the look is over; the exported adapter holds zeros where it was pruned.

The paper also trains a factor a head and a feed-forward unit during the look (L1 1e-4) and cuts a third of each out of the model.  A
pass that other trials share could give a trial's rows such factors, but: they are trained, 9,288 on MiniLM, and would count, more than
most adapters here; what is left is another model than the frozen one, which PEFT's files cannot say; and it is cut to be quicker, which
a shared pass would not be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from ...spaces.axes import Float
from ..method import hyperparameter
from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext, largest

Key = TypeVar("Key")

RANK_AXIS = {"A": 0, "D": 0, "B": 1, "U": 1}
"""Plain name of a matrix that makes or reads ranks -> the dimension they lie on."""


@dataclass(frozen=True)
class LightPeft(Optimizer):
    """Early pruning of modules and ranks."""

    formula: ClassVar[str] = "all"
    citation: ClassVar[str] = "Gu et al. 2024, arXiv 2406.03792"
    published: ClassVar[str] = "3e-4, 10 epochs after 800 steps of estimation (authors' scripts)"
    deviations: ClassVar[str] = (
        "heads and feed-forward units of the frozen model are not pruned: its mask would be trained and counted (heads + units a layer), "
        "PEFT's files cannot hold it, and a pass that trials share would not be quicker; one learning-rate schedule for the look and the "
        "rest; a module's score counts padding too"
    )
    uses_effects: ClassVar[bool] = True
    uses_origin: ClassVar[bool] = True

    modules: float = hyperparameter(0.75, Float(0.0, 0.9))
    ranks: float = hyperparameter(0.5, Float(0.0, 0.9))
    estimation: float = hyperparameter(0.2, Float(0.05, 0.5))

    def vectors(self) -> tuple[str, ...]:
        """The moments, both scores at every element that they are about, and what was dropped as ones and zeros."""
        return ("m", "v", "modules", "ranks", "dropped")

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """AdamW on what is left."""
        look = max(1, round(self.estimation * context.horizon))
        losses, g = context.gradient(pack)
        if context.step < look:
            _add_effects(pack, state.vectors["modules"], context.effects)
            if context.step >= look // 2:
                _add_rank_scores(pack, state.vectors["ranks"], pack.flat / pack.units * g)
        elif context.step == look:
            self._prune(pack, state)
        pack.flat.sub_(context.adamw(pack, state, g))
        dropped = state.vectors["dropped"].bool()
        pack.flat[dropped] = state.origin[dropped]
        return losses

    def _prune(self, pack: Pack, state: State) -> None:
        for position in range(pack.size):
            scores = (pack.of_trial(state.vectors[kind], position) for kind in ("modules", "ranks"))
            pack.set_trial(state.vectors["dropped"], position, self.dropped(*scores))

    def dropped(self, modules: Mapping[str, Tensor], ranks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ones for the elements to drop, given both scores at every element of a trial's tensors (see `vectors`)."""
        effects = {site: float(score.flatten()[0]) for name, score in modules.items() if (site := _site(name)) and bool(score.any())}
        kept = _kept(effects, self.modules)
        marks = {name: torch.full_like(score, float(_site(name) in effects and _site(name) not in kept)) for name, score in modules.items()}
        scores: dict[tuple[str, int], float] = {}
        for name in (name for name in ranks if _axis(name, ranks[name]) is not None and not bool(marks[name].any())):
            for rank, score in enumerate(_per_rank(name, ranks[name])):
                scores[_site(name), rank] = scores.get((_site(name), rank), 0.0) + float(score)
        for site, rank in scores.keys() - _kept(scores, self.ranks):
            for name in (name for name in ranks if _site(name) == site and _axis(name, ranks[name]) is not None):
                marks[name].select(RANK_AXIS[name.rpartition("/")[2]], rank).fill_(1.0)
        return marks


def _kept(scores: Mapping[Key, float], share: float) -> set[Key]:
    """Those with a score above the `share` quantile of all: NumPy's strict comparison, but never none."""
    if not share or len(scores) < 2:
        return set(scores)
    values = torch.tensor(list(scores.values()), dtype=torch.float64)
    lowest = min(len(scores) - 1, floor((len(scores) - 1) * share) + 1)
    best = largest(values, len(scores) - lowest)
    return {key for key, good in zip(scores, best.tolist(), strict=True) if good}


def _add_effects(pack: Pack, total: Tensor, effects: Mapping[str, Tensor]) -> None:
    """Add each module's effect (trials,) to all its elements."""
    for group, values in zip(pack.groups, pack.unflatten(total), strict=True):
        trials = [part.position for part in group.parts]
        for name, value in values.items():
            if _site(name) in effects:
                value.add_(effects[_site(name)][trials].to(value).view(-1, *[1] * (value.ndim - 1)))


def _add_rank_scores(pack: Pack, total: Tensor, first_order: Tensor) -> None:
    """Add |mean of θ g| of each rank's slice to all elements of the slice."""
    for values, terms in zip(pack.unflatten(total), pack.unflatten(first_order), strict=True):
        for name, value in values.items():
            axis = _axis(name, value[0])
            if axis is not None:
                value.add_(terms[name].mean(2 - axis, keepdim=True).abs())


def _per_rank(name: str, score: Tensor) -> Tensor:
    return score.select(1 - RANK_AXIS[name.rpartition("/")[2]], 0)


def _axis(name: str, tensor: Tensor) -> int | None:
    """The dimension of one trial's tensor that ranks lie on; None where it has none."""
    return RANK_AXIS.get(name.rpartition("/")[2]) if tensor.ndim == 2 else None


def _site(name: str) -> str:
    """The key of the linear, `layer.role`, that a tensor belongs to; in a composition the method's name stands in front."""
    return ".".join(name.rpartition("/")[0].split(".")[-2:])
