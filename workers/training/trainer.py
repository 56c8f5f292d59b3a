"""Training and scoring a pack: from step a to step b, then the labels of a split."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ...spaces.space import Training
from ..method import Method
from ..model.backbone import Backbone
from ..model.checkpointing import checkpointed
from ..model.lower_blocks import LowerBlocks
from ..model.pack import Pack
from ..model.readouts.answer_tokens import LOGITS_AT_ONCE
from ..model.readouts.encoding import Encoded
from ..model.readouts.readout import Readout, precise
from ..model.readouts.texts import Texts
from ..model.sites import Sites
from ..model.transfer import sent
from ..optimizer import Adam, Optimizer, State, StepContext
from .batches import Batches
from .heads import Draws, Heads, joined, occupied
from .heap import EVERY, release

ROWS_AT_ONCE = {"cpu": 64, "cuda": 512}
"""Rows of one scoring pass over all trials of a pack, by device: enough to fill it, few enough to stay in a CPU's caches."""

TOKENS_AT_ONCE = {"cpu": 2048}
"""Tokens of one training pass over all trials of a pack, by device: longer steps run in pieces, rows by rows, and add up their
gradients. Activations of more than a CPU's caches cost page faults, up to a third of the step (`docs/performance.md`)."""


Noise = Sequence[dict[str, Tensor]]
"""A pass's fresh random tensors, per group."""


@dataclass(frozen=True)
class Trained:
    """What a stretch of training leaves: mean loss of each trial (trials,), and seconds of wall clock for the whole pack."""

    losses: Tensor
    seconds: float


@dataclass(frozen=True)
class Trainer:
    """Everything that the trials of a pack share."""

    backbone: Backbone
    readout: Readout
    training: Training
    checkpointing: bool = False
    """Whether the blocks of training passes are computed again in backward instead of kept."""

    def train(self, pack: Pack, rule: Optimizer, state: State, seeds: Sequence[int], data: Encoded, *, start: int, stop: int) -> Trained:
        """Take every trial of `pack` from step `start` to step `stop`, in place; trial k draws its rows from `seeds[k]`."""
        began = time.perf_counter()
        rates = rule.rates(pack)
        batches, draws = Batches(data.lengths, batch=self.training.batch), Draws(pack, data, seeds, batch=self.training.batch)
        self.heads.prepare(pack, data, draws, range(start, stop))
        total = torch.zeros(pack.size, device=pack.flat.device)
        effects: dict[str, Tensor] = {}
        with Sites(
            self.backbone.model, self.backbone.shape, pack.groups, trials=pack.size, effects=effects if rule.uses_effects else None
        ) as sites:
            for step in range(start, stop):
                effects.clear()
                noise = pack.noise(self.backbone.shape, seeds, step)
                again = pack.noise(self.backbone.shape, seeds, step, again=True) if pack.twice else None
                rows = np.stack([batches.rows(seed=seed, step=step) for seed in seeds])
                pieces = self._pieces(pack, sites, data, rows, noise, again) if occupied(pack) else []
                if draws.teams:
                    pieces.append(partial(self._resting, pack, data, draws, step, alone=not pieces))
                at = rates * rate_factor(self.training, step)
                context = StepContext(step, self.training.steps, at, self.training.clip, seeds, pieces, self._adam, effects)
                total += rule.step(pack, state, context)
                if (step - start) % EVERY == EVERY - 1:
                    release()
        release()
        return Trained((total / max(1, stop - start)).cpu(), time.perf_counter() - began)

    @torch.no_grad()
    def predict(self, pack: Pack, data: Encoded) -> Tensor:
        """Return every trial's label scores for all rows of a split: (trials, rows, labels), on the CPU."""
        values = bound_values(pack)
        kept = self.heads.predict(pack, values, data)
        passes = self._predict(pack, values, data) if occupied(pack) else ()
        release()
        return torch.stack([kept[position] if position in kept else passes[position] for position in range(pack.size)])

    def _predict(self, pack: Pack, values: Sequence[dict[str, Tensor]], data: Encoded) -> Tensor:
        """Every trial's label scores (trials, rows, labels) by passes."""
        order = sorted(range(len(data.lengths)), key=lambda row: data.lengths[row])
        pieces = []
        with Sites(self.backbone.model, self.backbone.shape, pack.groups, trials=pack.size) as sites:
            for chosen in self._portions(data, order, pack):
                rows = chosen * pack.size
                batch = self._batch(data, rows, blocks=self._skippable(sites), device=pack.flat.device)
                pieces.append(self._scores(pack, sites, values, batch).cpu())
        scores = torch.cat(pieces, 1)
        return torch.empty_like(scores).index_copy_(1, torch.tensor(order), scores)

    def _pieces(
        self, pack: Pack, sites: Sites, data: Encoded, rows: np.ndarray, noise: Noise, again: Noise | None = None
    ) -> list[Callable[[Tensor], tuple[Tensor, Tensor]]]:
        """A step's losses in pieces for `StepContext`: each takes some of the (trials, batch) `rows` from every trial."""
        tokens = rows.size * self.readout.tokens(max(data.lengths[row] for row in rows.flat), training=True)
        told = 0 if data.answers is None else int(data.answers.counts[rows].max()) * self.backbone.shape.vocabulary
        count = pieces_of(rows.shape[1], tokens=tokens, logits=rows.size * told, device=pack.flat.device.type)
        device, scales = pack.flat.device, scales_of(data, rows)

        def one(places: np.ndarray) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
            own = None if scales is None else sent(torch.from_numpy(scales[:, places].ravel()), device)
            chosen = rows[:, places].ravel().tolist()
            batch = self._batch(data, chosen, blocks=self._skippable(sites), device=device, scales=own)
            return partial(self._losses, pack, sites, batch, noise, again, share=len(places) / rows.shape[1])

        return [one(places) for places in np.array_split(np.arange(rows.shape[1]), count)]

    def _losses(
        self, pack: Pack, sites: Sites, batch: "Batch", noise: Noise, again: Noise | None, flat: Tensor, *, share: float
    ) -> tuple[Tensor, Tensor]:
        """Every trial's training loss on a batch and its method's penalty, (trials,) each, at the values `flat` (elements,), times `share`.

        With `again`, the noise of a second pass, trials whose method asks for it pay for the two passes' disagreement. `share` is that
        of a step's rows that the batch holds, so that all pieces of a step add up to the step's.
        """
        values = _whole(pack, flat, noise)
        scores = self._scores(pack, sites, values, batch, training=True, whole=again is not None)
        losses = self.readout.weighted_loss(scores.flatten(0, 1), batch.targets, of_heads=bool(joined(pack)))
        losses = (losses if batch.scales is None else losses * batch.scales.to(losses)).view(pack.size, -1).mean(1)
        for position in set(range(pack.size)) - occupied(pack):  # its loss is that of its kept states
            losses = losses.index_fill(0, sites.constant([position], losses.device), 0.0)
        penalties = _penalties(pack, values)
        if again is not None:
            second = self._scores(pack, sites, _whole(pack, flat, again), batch, training=True, whole=True)
            penalties = penalties + pack.consistent * self.readout.disagreement(scores, second)
        return losses * share, penalties * share

    def _portions(self, data: Encoded, order: list[int], pack: Pack) -> Iterator[list[int]]:
        """Rows of similar length in portions, of fewer where the readout makes more tokens of a row than its own, or many logits."""
        device = pack.flat.device.type
        size = ROWS_AT_ONCE.get(device, 512) // pack.size
        while order:
            longest = data.lengths[order[min(max(1, size), len(order)) - 1]]
            count = max(1, size * longest // max(1, self.readout.tokens(longest, training=False)))
            if data.answers is not None:
                count = data.answers.first(order[:count], each=pack.size * self.backbone.shape.vocabulary, device=device)
            yield order[:count]
            order = order[count:]

    def _resting(self, pack: Pack, data: Encoded, draws: Draws, step: int, flat: Tensor, *, alone: bool) -> tuple[Tensor, Tensor]:
        """The same of trials that train a head alone, on the states that are kept of the frozen model; penalties where they are `alone`."""
        values = _whole(pack, flat, [{}] * len(pack.groups))
        losses = self.heads.losses(pack, values, data, draws, step=step)
        return losses, _penalties(pack, values) if alone else torch.zeros_like(losses)

    def _scores(
        self, pack: Pack, sites: Sites, values: Sequence[dict[str, Tensor]], batch: "Batch", *, training: bool = False, whole: bool = False
    ) -> Tensor:
        """Label scores (trials, rows, labels) of a batch whose rows are the trials' one after another.

        In training what a loss takes, or with `whole` all that two passes are compared by. Where a row is two texts, both are sequences of
        the pass.
        """
        rows = len(batch.ids) // pack.size
        told = partial(self.readout.training_scores, targets=batch.targets, whole=whole)
        read: Callable[[Texts], Tensor] = told if training else self.readout.scores
        if batch.hidden is not None:
            with sites.bind(values, rows=rows), self.lower.replaced(batch.hidden, blocks=batch.blocks) as embeds, self._kept(sites):
                texts = Texts(embeds, torch.zeros_like(batch.lengths), batch.lengths, None, None, batch.choices, *batch.answers)
                return self._read(pack, values, texts, read)
        embedded = self.backbone.embed(batch.ids).view(pack.size, rows, batch.ids.shape[1], -1)
        copies = 1 if joined(pack) else self.readout.copies(training=training and not whole)
        with sites.bind(values, rows=rows, copies=copies), self._kept(sites):
            embeds, fronts = sites.prompts(embedded)
            shifts = sites.shifts(batch.ids.device).repeat_interleave(rows) if sites.has_prefix else None
            laid = embeds.flatten(0, 1), fronts.repeat_interleave(rows), batch.lengths, shifts
            texts = Texts(*laid, batch.types, batch.choices, *batch.answers)
            return self._read(pack, values, texts, read)

    def _read(self, pack: Pack, values: Sequence[dict[str, Tensor]], texts: Texts, read: Callable[[Texts], Tensor]) -> Tensor:
        """Scores (trials, rows, labels): a trial's own head's, or those that `read` gives by the task's readout."""
        fronts, lengths = texts.fronts, texts.lengths
        heads = joined(pack)
        if heads and heads == occupied(pack):
            hidden = self.heads.body.hidden(texts.inputs(self.backbone.conventions))
            nothing = precise(hidden).new_zeros(pack.size, len(texts) // (pack.size * self.heads.per_row), self.backbone.shape.labels)
            return self.heads.read(pack, values, nothing, hidden, fronts=fronts, lengths=lengths)
        if not heads:
            whole: Tensor = read(texts).unflatten(0, (pack.size, -1))
            return whole
        if not self.readout.joins:
            raise ValueError(f"trials {sorted(heads)} have heads, to which these passes are of no use; give them a pack of their own")
        with self.heads.body.watched() as seen:
            scores = read(texts).unflatten(0, (pack.size, -1))
        return self.heads.read(pack, values, scores, seen[0], fronts=fronts, lengths=lengths)

    def _kept(self, sites: Sites) -> AbstractContextManager[None]:
        """What a pass keeps for its backward: everything, or what stands between the blocks."""
        wanted = self.checkpointing and torch.is_grad_enabled()
        return checkpointed(self.backbone.model, sites.again) if wanted else nullcontext()

    def _batch(self, data: Encoded, rows: Sequence[int], *, blocks: int, device: torch.device, scales: Tensor | None = None) -> "Batch":
        """The rows of a pass, with what the first `blocks` blocks make of them."""
        hidden = self.lower.hidden(data.single, data.sequences(rows).tolist(), blocks=blocks, pad=self._pad) if blocks else None
        types = data.batch_types(rows, device=device) if hidden is None else None
        choices, answers = data.batch_choices(rows, device=device), data.batch_answers(rows, device=device)
        return Batch(*data.batch(rows, pad=self._pad, device=device), types, hidden, blocks, choices, answers or (None, None), scales)

    def _skippable(self, sites: Sites) -> int:
        return sites.untouched if self.lower.possible and self.readout.resumes else 0

    @cached_property
    def heads(self) -> Heads:
        """What heads need of this model and task, for all packs of this trainer."""
        return Heads(self.backbone, self.readout)

    @cached_property
    def lower(self) -> LowerBlocks:
        """Hidden states below the first site, kept for all packs of this trainer."""
        return LowerBlocks(self.backbone)

    @property
    def _adam(self) -> Adam:
        recipe = self.training
        return Adam(recipe.beta1, recipe.beta2, recipe.epsilon, recipe.weight_decay)

    @property
    def _pad(self) -> int:
        return int(self.backbone.tokenizer.pad_token_id or 0)


@dataclass(frozen=True)
class Batch:
    """Rows of a pass, padded: ids and token types (sequences, tokens), lengths (sequences,), targets (rows,) or (rows, labels).

    Where the first `blocks` blocks are skipped, `hidden` (sequences, tokens, width) is what leaves them.
    """

    ids: Tensor
    lengths: Tensor
    targets: Tensor
    types: Tensor | None
    hidden: Tensor | None
    blocks: int
    choices: Tensor | None = None
    """(rows, choices, tokens) of rows that have their own; -1 where there is no token."""
    answers: tuple[Tensor, Tensor] | tuple[None, None] = (None, None)
    """Answer tokens and their places, as in `Texts`."""
    scales: Tensor | None = None
    """What each row's loss is multiplied by, (rows,), as `scales_of` has it."""


def pieces_of(batch: int, *, tokens: int, logits: int, device: str) -> int:
    """In how many pieces a step of `batch` rows a trial runs that holds so many tokens and logits of answers in all."""
    held = max(1, LOGITS_AT_ONCE.get(device, 1 << 28) * batch // max(1, logits))
    return min(batch, max(1, math.ceil(tokens / TOKENS_AT_ONCE.get(device, max(1, tokens))), math.ceil(batch / held)))


def scales_of(data: Encoded, rows: np.ndarray) -> np.ndarray | None:
    """What makes the mean over rows of summed losses a mean over tokens: batch / tokens of the trial's batch, (trials, batch).

    None where losses are a row's. `rows` (trials, batch) are all of a step, in however many pieces it runs.
    """
    if data.answers is None:
        return None
    tokens = data.answers.counts[rows].sum(1, keepdims=True)
    return np.broadcast_to(rows.shape[1] / np.maximum(tokens, 1), rows.shape)


def rate_factor(training: Training, step: int) -> float:
    """What the learning rates are multiplied by: a linear warm-up over the first share of the horizon, then the schedule."""
    horizon, warm = training.steps, max(1, round(training.warmup * training.steps))
    rising, left = (step + 1) / warm, max(0.0, (horizon - step) / max(1, horizon - warm))
    match training.schedule:
        case "linear":
            return min(rising, left)
        case "cosine":
            return min(rising, (1 - math.cos(math.pi * min(1.0, left))) / 2)
        case "constant":
            return min(rising, 1.0)


def bound_values(pack: Pack) -> list[dict[str, Tensor]]:
    """Per group, what `Sites.bind` needs to run a pack as it stands, without training noise."""
    return _whole(pack, pack.flat, [{}] * len(pack.groups))


def _penalties(pack: Pack, values: Sequence[dict[str, Tensor]]) -> Tensor:
    """What the trials' methods add to their losses, (trials,)."""
    total = pack.flat.new_zeros(pack.size)
    for group, own in zip(pack.groups, values, strict=True):
        if type(group.method).penalty is not Method.penalty:
            total = total + pad(torch.vmap(group.method.penalty)(own), (group.first, pack.size - group.first - group.count))
    return total


def _whole(pack: Pack, flat: Tensor, noise: Sequence[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """Per group, all that its effect sees: trainable tensors as views of `flat`, frozen ones, fresh noise."""
    return [{**values, **group.frozen, **extra} for group, values, extra in zip(pack.groups, pack.unflatten(flat), noise, strict=True)]
