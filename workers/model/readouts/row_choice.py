"""Multiple choice: each row's own choices by the log-likelihood of their tokens, per token unless their sum is asked for.

score_c = 1/n_c Σ_i log P(y_i | x, y_1 … y_{i-1})        y the n_c tokens of the row's choice c

One sequence for every row and choice; an encoder-decoder encodes a row once. A choice that a row does not have scores `ABSENT`.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..backbone import Backbone
from .candidates import Texts, appended, behind
from .label_head import PlaceHead
from .readout import ABSENT, Readout, precise
from .start import start_of
from .wording import OwnChoices


class RowChoice(Readout):
    """Of choices of `longest` tokens at most."""

    about: ClassVar[str] = "log-likelihood of each row's own choices"

    def __init__(self, backbone: Backbone, asked: OwnChoices, *, longest: int) -> None:
        self._backbone, self.asked, self.most, self.longest = backbone, asked, asked.most, longest
        self._head = PlaceHead(backbone.model) if backbone.family == "decoder" else None

    def scores(
        self,
        embeds: Tensor,
        *,
        fronts: Tensor,
        lengths: Tensor,
        shifts: Tensor | None = None,
        types: Tensor | None = None,
        choices: Tensor | None = None,
    ) -> Tensor:
        """Log-likelihoods (rows, choices)."""
        assert choices is not None, "every split of such a task has choices"
        return scored(self.told(Texts(embeds, fronts, lengths, shifts), choices), choices, mean=self.asked.mean)

    def told(self, texts: Texts, choices: Tensor) -> Tensor:
        """Log-probability of each choice's tokens, (rows, choices, tokens), 0 where there is none."""
        tokens, present = choices.clamp(min=0).flatten(0, 1), (choices >= 0).flatten(0, 1)
        before, sizes = tokens[:, :-1], (present.sum(-1) - 1).clamp(min=0)
        passed = self._behind(texts, before, sizes) if self._head is not None else self._decoded(texts, before)
        logits = precise(passed)
        told = logits.gather(-1, tokens[..., None])[..., 0] - logits.logsumexp(-1)
        return (told * present).view(choices.shape)

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None) -> Tensor:
        """The same of token ids, one choice after the other, unpadded."""
        assert choices is not None, "every split of such a task has choices"
        told = torch.zeros(choices.shape, dtype=torch.promote_types(self._backbone.dtype, torch.float32), device=ids.device)
        for choice, own in enumerate(choices[0]):
            answer = own[own >= 0][None]
            if answer.shape[1]:
                told[0, choice, : answer.shape[1]] = self._plain(ids, answer)
        return scored(told, choices, mean=self.asked.mean)

    def copies(self, *, training: bool) -> int:
        """Choices that are read one by one."""
        return self.most

    def tokens(self, length: int, *, training: bool) -> int:
        """Every choice with the row's text in front, or on the decoder's side."""
        return self.most * (length + self.longest) if self._head is not None else length + self.most * self.longest

    @property
    def behind(self) -> int:
        """Tokens of the longest choice but its last, which a decoder has behind the text."""
        return self.longest - 1 if self._head is not None else 0

    @property
    def resumes(self) -> bool:
        """Not where choices stand behind the text: what leaves the lower blocks is kept for texts only."""
        return self._head is None

    @property
    def joins(self) -> bool:
        """Not where rows are copied."""
        return False

    def _behind(self, texts: Texts, before: Tensor, sizes: Tensor) -> Tensor:
        """Logits (rows · choices, tokens, vocabulary) behind a decoder's text and each token of `before` (rows · choices, tokens - 1)."""
        assert self._head is not None
        own = texts.repeated(self.most)
        longer = appended(own.embeds, own.ends, self._backbone.embed(before), sizes)
        given = self._backbone.conventions.inputs(longer, fronts=own.fronts, lengths=own.lengths + sizes, shifts=own.shifts)
        with self._head.at(behind(own.ends, before.shape[1])):
            logits: Tensor = self._backbone.model(**given, use_cache=False).logits
        return logits

    def _decoded(self, texts: Texts, before: Tensor) -> Tensor:
        """The same of an encoder-decoder."""
        model, conventions = self._backbone.model, self._backbone.conventions
        given = conventions.inputs(texts.embeds, fronts=texts.fronts, lengths=texts.lengths, shifts=texts.shifts)
        encoded = model.get_encoder()(**given)
        encoded["last_hidden_state"] = encoded.last_hidden_state.repeat_interleave(self.most, 0)
        mask = given["attention_mask"].repeat_interleave(self.most, 0)
        answers = torch.cat([start_of(self._backbone, len(before)), before], 1)
        logits: Tensor = model(encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=answers, use_cache=False).logits
        return logits

    def _plain(self, ids: Tensor, answer: Tensor) -> Tensor:
        """Log-probabilities (tokens,) of one choice (1, tokens)."""
        whole = ids if self._head is None else torch.cat([ids, answer[:, :-1]], 1)
        given: dict[str, Any] = {"input_ids": whole, "attention_mask": torch.ones_like(whole)}
        if self._head is None:
            given["decoder_input_ids"] = torch.cat([start_of(self._backbone, 1), answer[:, :-1]], 1)
        told = precise(self._backbone.model(**given).logits[:, -answer.shape[1] :]).log_softmax(-1)
        return told.gather(-1, answer[..., None])[0, :, 0]


def scored(told: Tensor, choices: Tensor, *, mean: bool) -> Tensor:
    """Scores (rows, choices) of log-probabilities (rows, choices, tokens)."""
    return folded(told, choices, mean=mean).masked_fill((choices < 0).all(-1), ABSENT)


def folded(told: Tensor, choices: Tensor, *, mean: bool) -> Tensor:
    """The same with 0 for choices that are absent."""
    total = told.sum(-1)
    return total / (choices >= 0).sum(-1).clamp(min=1) if mean else total
