"""Light-PEFT: after an early look, drop the sites and the ranks that matter least, and train on with the rest.

    I = |Σ_t θ·g| (first order) per element      a site's importance is the sum of its elements', a rank's of its slices'
    after the estimation: keep the best share of sites, and in each the best share of ranks; what is dropped returns to θ₀

Gu et al. 2024, arXiv 2406.03792.  The paper also prunes heads and feed-forward units of the model; the frozen model stays whole
here. Count: all N, since everything is trained until the look is over; the exported adapter holds zeros where it was pruned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import torch
from torch import Tensor

from ...spaces.axes import Float
from ..method import hyperparameter
from ..model.pack import Pack
from ..optimizer import Optimizer, State, StepContext, adam


@dataclass(frozen=True)
class LightPeft(Optimizer):
    """Early pruning of modules and ranks."""

    formula: ClassVar[str] = "all"
    citation: ClassVar[str] = "Gu et al. 2024, arXiv 2406.03792"

    modules: float = hyperparameter(0.75, Float(0.25, 1.0))
    ranks: float = hyperparameter(0.5, Float(0.25, 1.0))
    estimation: float = hyperparameter(0.2, Float(0.05, 0.5))

    def vectors(self) -> tuple[str, ...]:
        """The moments, Σ θ·g, and what was dropped as ones and zeros."""
        return ("m", "v", "importance", "dropped")

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """AdamW on what is left."""
        look = max(1, round(self.estimation * context.horizon))
        losses, g = context.gradient(pack)
        if context.step < look:
            state.vectors["importance"].add_(pack.flat / pack.units * g)
        elif context.step == look:
            self._prune(pack, state)
        change = adam(state.vectors["m"], state.vectors["v"], g, step=context.step)
        pack.flat.sub_(context.rates * change)
        dropped = state.vectors["dropped"].bool()
        pack.flat[dropped] = state.origin[dropped]
        return losses

    def _prune(self, pack: Pack, state: State) -> None:
        for position in range(pack.size):
            importance = {name: t.abs() for name, t in pack.of_trial(state.vectors["importance"], position).items()}
            ranks = {getattr(part.method, "rank", 0) for group in pack.groups for part in group.parts if part.position == position}
            pack.set_trial(state.vectors["dropped"], position, self.dropped(importance, ranks - {0}))

    def dropped(self, importance: Mapping[str, Tensor], ranks: set[int]) -> dict[str, Tensor]:
        """Return ones for the elements to drop, given every tensor's importances; a dimension of a size in `ranks` is one of ranks."""
        sites: dict[str, list[str]] = {}
        for name in importance:
            sites.setdefault(name.rpartition("/")[0], []).append(name)
        worth = {site: float(sum(importance[name].sum() for name in names)) for site, names in sites.items()}
        kept = sorted(worth, key=lambda site: -worth[site])[: max(1, ceil(self.modules * len(worth)))]
        marks = {name: torch.ones_like(t) for name, t in importance.items()}
        for site in kept:
            marks |= self._weak_ranks({name: importance[name] for name in sites[site]}, ranks)
        return marks

    def _weak_ranks(self, importance: Mapping[str, Tensor], ranks: set[int]) -> dict[str, Tensor]:
        marks = {name: torch.zeros_like(t) for name, t in importance.items()}
        along = {name: t.shape.index(rank) for rank in ranks for name, t in importance.items() if t.ndim == 2 and rank in t.shape}
        for rank in ranks:
            own = [name for name, axis in along.items() if importance[name].shape[axis] == rank]
            if not own or rank == 1:
                continue
            worth = torch.stack([importance[name].sum(1 - along[name]) for name in own]).sum(0)
            weak = worth.argsort(descending=True, stable=True)[max(1, ceil(self.ranks * rank)) :]
            for name in own:
                marks[name].index_fill_(along[name], weak, 1.0)
        return marks
