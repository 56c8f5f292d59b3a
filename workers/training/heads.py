"""The heads of a pack: what they start from, their label scores, and training where nothing else is trained.

A trial whose methods are all heads touches no block, so the frozen model's pooled states are computed once a row and its steps are
products of small matrices. In other trials a head reads the states of the trial's own rows of a pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from ...spaces.space import Training
from ..method import Pooled
from ..methods.head import Head
from ..model.backbone import Backbone
from ..model.pack import Group, Pack
from ..model.pooled_states import PooledStates
from ..model.pooling import Body, side_by_side
from ..model.readouts.encoding import Encoded
from ..model.readouts.readout import Readout
from ..model.sites import each
from ..model.transfer import sent
from .batches import Batches

SEEN, TOKENS = 16_384, 1 << 18
"""Training rows, spread over the split, that a head may look at before its first step, and their tokens: a few trials' worth of passes."""

BATCHES = Head.batch
"""Batches of a head's step, where nothing says otherwise."""

Values = Sequence[dict[str, Tensor]]


def looked_at(rows: int, training: Training) -> int:
    """Return of how many of a task's training rows the first trials with a head alone want states: to start from, and for their steps."""
    return min(rows, max(SEEN, training.steps * training.batch * BATCHES))


def spread(data: Encoded) -> np.ndarray:
    """Return numbers of rows spread over a split, all of a small one: `SEEN` at most, with `TOKENS` tokens or so."""
    rows = len(data.lengths)
    count = max(1, min(rows, SEEN, TOKENS * rows // max(1, len(data.tokens))))
    return np.unique(np.linspace(0, rows - 1, count).astype(np.int64))


@dataclass(frozen=True)
class Team:
    """Trials of one group whose heads are read alike: from passes, or alone from kept states with so many batches a step."""

    index: int
    """The group's place in the pack."""
    members: tuple[int, ...]
    """The trials' places in the group."""
    batches: int
    """0 for trials that need passes."""

    def positions(self, pack: Pack) -> list[int]:
        """The trials' places in the pack."""
        return [pack.groups[self.index].parts[member].position for member in self.members]


class Heads:
    """What heads need of one frozen model and one task."""

    def __init__(self, backbone: Backbone, readout: Readout) -> None:
        self._backbone, self._readout = backbone, readout
        self.body, self.per_row = Body(backbone), 2 if backbone.shape.answers.apart else 1
        self._looks: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}

    @cached_property
    def states(self) -> PooledStates:
        """The frozen model's states, kept for all packs."""
        return PooledStates(self._backbone, self.body)

    @torch.no_grad()
    def begin(self, pack: Pack, data: Encoded) -> None:
        """Put every head of a pack where it starts, given the training split; what a method's `build` draws stays unless it says more."""
        for part, method in ((p, p.method) for group in pack.groups for p in group.parts):
            if not isinstance(method, Pooled):
                continue
            how = method.place(self._backbone.shape)
            seen, described = partial(self._seen, data, how), partial(self.states.described, self._readout.descriptions, how)
            made = {part.prefix + name: tensor for name, tensor in method.start(self._backbone.shape, seen, described).items()}
            pack.set_trial(pack.flat, part.position, {**pack.of_trial(pack.flat, part.position), **made})

    def _seen(self, data: Encoded, how: str) -> tuple[Tensor, Tensor]:
        """States and targets of rows spread over a split, the same tensors each time."""
        if (id(data), how) not in self._looks:
            chosen = spread(data)
            targets = torch.from_numpy(np.asarray(data.targets)[chosen])
            self._looks[id(data), how] = self.states.rows(data, chosen, how), targets
        return self._looks[id(data), how]

    def read(self, pack: Pack, values: Values, scores: Tensor, hidden: Tensor, *, fronts: Tensor, lengths: Tensor) -> Tensor:
        """Label scores (trials, rows, labels) of a pass: those of the readout, `scores`, but for trials with a head.

        `hidden` (trials · sequences, tokens, width) are the pass's states, `fronts` and `lengths` (trials · sequences,) where texts are.
        """
        pieces = list(scores.unbind(0))
        cut = [tensor.unflatten(0, (pack.size, -1)) for tensor in (hidden, fronts, lengths)]
        for team in (team for team in teams(pack) if not team.batches):
            own = [torch.cat([tensor[position] for position in team.positions(pack)]) for tensor in cut]
            states = self.body.pool(own[0], self._how(pack, team), fronts=own[1], lengths=own[2])
            pooled = side_by_side(states, self.per_row).unflatten(0, (len(team.members), -1))
            made = _scores(pack.groups[team.index], team.members, values[team.index], pooled)
            for position, own_scores in zip(team.positions(pack), made.unbind(0), strict=True):
                pieces[position] = own_scores.to(scores.dtype)
        return torch.stack(pieces)

    def prepare(self, pack: Pack, data: Encoded, draws: "Draws", steps: range) -> None:
        """Have the states ready of all rows that trials with a head alone will see."""
        for team, rows in zip(draws.teams, zip(*(draws.rows(step) for step in steps), strict=True), strict=False):
            self.states.prepare(data, np.concatenate([own.ravel() for own in rows]), self._how(pack, team))

    def losses(self, pack: Pack, values: Values, data: Encoded, draws: "Draws", *, step: int) -> Tensor:
        """A step's losses (trials,) of trials that train a head alone, 0 of others."""
        total = pack.flat.new_zeros(pack.size)
        for team, own in zip(draws.teams, draws.rows(step), strict=True):
            scores = self._kept_scores(pack, team, values, data, own)
            targets = sent(torch.from_numpy(draws.targets[own.ravel()]), pack.flat.device)
            losses = self._readout.weighted_loss(scores.flatten(0, 1), targets, of_heads=True).view(len(team.members), -1).mean(1)
            total = total + _spread(losses, team.positions(pack), pack.size)
        return total

    def predict(self, pack: Pack, values: Values, data: Encoded) -> dict[int, Tensor]:
        """Position -> label scores (rows, labels) of a whole split, on the CPU, of trials that train a head alone."""
        found: dict[int, Tensor] = {}
        for team in alone(pack):
            rows = np.arange(len(data.lengths))[None]
            for member in team.members:
                one = Team(team.index, (member,), team.batches)
                found[one.positions(pack)[0]] = self._kept_scores(pack, one, values, data, rows)[0].cpu()
        return found

    def _kept_scores(self, pack: Pack, team: Team, values: Values, data: Encoded, rows: np.ndarray) -> Tensor:
        states = self.states.rows(data, rows, self._how(pack, team))
        return _scores(pack.groups[team.index], team.members, values[team.index], states)

    def _how(self, pack: Pack, team: Team) -> str:
        method = pack.groups[team.index].method
        assert isinstance(method, Pooled)
        return method.place(self._backbone.shape)


class Draws:
    """The rows that trials with a head alone see, step by step: pure functions of their seeds, as everybody's."""

    def __init__(self, pack: Pack, data: Encoded, seeds: Sequence[int], *, batch: int) -> None:
        self.teams, self.targets = alone(pack), np.asarray(data.targets)
        self._seeds = [[seeds[position] for position in team.positions(pack)] for team in self.teams]
        self._batches = [Batches(data.lengths, batch=batch * team.batches) for team in self.teams]

    def rows(self, step: int) -> list[np.ndarray]:
        """Row numbers (members, rows) for each team."""
        pairs = zip(self._batches, self._seeds, strict=True)
        return [np.stack([batches.rows(seed=seed, step=step) for seed in seeds]) for batches, seeds in pairs]


def teams(pack: Pack) -> Iterator[Team]:
    """The trials with a head, those that are read alike together."""
    busy = occupied(pack)
    for index, group in enumerate(pack.groups):
        members: dict[int, list[int]] = {}
        for member, part in enumerate(group.parts if isinstance(group.method, Pooled) else ()):
            batches = 0 if part.position in busy else part.method.batches  # type: ignore[attr-defined]
            members.setdefault(batches, []).append(member)
        yield from (Team(index, tuple(own), batches) for batches, own in members.items())


def alone(pack: Pack) -> list[Team]:
    """The trials that train a head and nothing else."""
    return [team for team in teams(pack) if team.batches]


def joined(pack: Pack) -> set[int]:
    """Positions of the trials whose heads read the states of passes."""
    return {position for team in teams(pack) if not team.batches for position in team.positions(pack)}


def occupied(pack: Pack) -> set[int]:
    """Positions of the trials that need passes of the model: all but those whose methods are heads, and those without a method, too."""
    heads = {part.position for group in pack.groups for part in group.parts if isinstance(group.method, Pooled)}
    others = {part.position for group in pack.groups for part in group.parts if not isinstance(group.method, Pooled)}
    return (set(range(pack.size)) - heads) | others


def _scores(group: Group, members: Sequence[int], values: dict[str, Tensor], states: Tensor) -> Tensor:
    """Label scores (members, rows, labels) of states (members, rows, width) by their own heads."""
    method = group.method
    assert isinstance(method, Pooled)
    own = values if len(members) == group.count else {name: torch.stack([v[member] for member in members]) for name, v in values.items()}
    return each(method.scores, own, states)


def _spread(losses: Tensor, positions: Sequence[int], size: int) -> Tensor:
    """(members,) at their positions among `size`, zeros elsewhere."""
    pieces = [losses.new_zeros(())] * size
    for position, loss in zip(positions, losses.unbind(0), strict=True):
        pieces[position] = loss
    return torch.stack(pieces)
