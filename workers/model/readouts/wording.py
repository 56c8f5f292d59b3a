"""How a language model is asked for labels: which tokens stand for each, and how their likelihoods become a score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transformers import PreTrainedTokenizerBase

from ....spaces.errors import WrongInput
from ....spaces.shape import Family
from ...tasks import Task
from ..identity import TEMPLATES
from .label_tokens import ended, first_differ, label_tokens
from .label_tree import LabelTree, Tokens
from .masking import word_tokens

MANY = 16
"""Of more labels than this, training takes the right one's likelihood alone, where labels are read token by token."""
PLACES = {"decoder": "behind 'Answer:'", "encoder-decoder": "as the decoder's answer"}


@dataclass(frozen=True)
class Wording:
    """The labels' tokens; with `first`, only each one's first token counts."""

    scoring: Literal["first", "sum", "mean"]
    tokens: tuple[Tokens, ...]
    calibrated: bool
    """Whether a label's score without the text is taken off."""
    ended: bool
    """Whether the end token was put behind every label."""
    family: Family
    mask: str | None = None
    """Where a mask is read, the text that it stands in."""

    @property
    def many(self) -> bool:
        """Whether training takes the right label's likelihood alone."""
        return self.scoring != "first" and len(self.tokens) > MANY and any(len(label) > 1 for label in self.tokens)

    def trained_tokens(self, text: int) -> int:
        """How many tokens a training step holds for a row of so many, at least: labels stand behind it, or are its decoder's."""
        if self.scoring == "first" or self.mask is not None:
            return text
        tree = LabelTree(self.tokens)
        return text + (tree.depth if self.many else len(tree.nodes))

    @property
    def template(self) -> str:
        """How texts become tokens and outputs become scores, by which a study is recognised."""
        less = "; less the score without the text" if self.calibrated else ""
        if self.mask is not None:
            kind = "mean logit of all" if self.scoring == "mean" else "logit of the first"
            return (
                f"1: text, or a pair as the tokenizer joins it, with its token types; {self.mask!r}; {kind} tokens of the label there{less}"
            )
        if self.scoring == "first":
            return TEMPLATES[self.family] + less
        text = TEMPLATES[self.family].partition("; ")[0].replace("2:", "3:")
        end = " and the end token" if self.ended else ""
        trained = "; trained on the right label's likelihood" if self.many else ""
        return f"{text}; {self.scoring} of the log-likelihoods of all tokens of the label{end}{less}{trained}"

    def __str__(self) -> str:
        """For `plan`, one line."""
        less = ", less the same without the text" if self.calibrated else ""
        if self.mask is not None:
            kind = "mean logit of all tokens" if self.scoring == "mean" else "logit of the first token"
            return f"{kind} of each label word in {self.mask!r} behind the text{less}"
        if self.scoring == "first":
            return f"logit of each label word's first token {PLACES[self.family]}{less}"
        sizes = sorted(map(len, self.tokens))
        long = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
        nodes = len(LabelTree(self.tokens).nodes)
        how = "one pass" if not nodes else f"{nodes} tokens behind the text show all labels"
        end = ", the end token among them" if self.ended else ""
        loss = "the right label's likelihood alone" if self.many else f"cross-entropy over all {len(self.tokens)} labels"
        what = f"{'mean' if self.scoring == 'mean' else 'sum'} of the log-likelihoods of each label's {long} tokens{end}"
        return f"{what} {PLACES[self.family]}{less} ({how}; trained by {loss})"


@dataclass(frozen=True)
class OwnChoices:
    """How each row's own choices are asked for."""

    mean: bool
    """Whether scores are per token."""
    most: int
    """The largest number of choices of a row."""
    family: Family

    def trained_tokens(self, text: int) -> int:
        """How many tokens a training step holds for a row of so many, at least: a decoder reads it anew for every choice."""
        return text if self.family == "encoder-decoder" else self.most * text

    @property
    def template(self) -> str:
        """How texts become tokens and outputs become scores, by which a study is recognised."""
        text = TEMPLATES[self.family].partition("; ")[0].replace("2:", "3:")
        return f"{text}; {'mean' if self.mean else 'sum'} of the log-likelihoods of all tokens of each of the row's choices"

    def __str__(self) -> str:
        """For `plan`, one line."""
        kind = "mean" if self.mean else "sum"
        return f"{kind} of the log-likelihoods of the tokens of each row's own choices {PLACES[self.family]} (one sequence a choice)"


def own_choices(family: Family, task: Task) -> OwnChoices:
    """Return how the choices of a task whose rows have their own are asked for; `WrongInput` where there is no way."""
    if family == "encoder":
        raise WrongInput("task.choices: an encoder has no likelihood of a choice; give a decoder or an encoder-decoder")
    asked = task.reading
    if asked.scoring == "first" or asked.calibration != "none":
        other = "scoring: first" if asked.scoring == "first" else f"calibration: {asked.calibration}"
        raise WrongInput(f"task.{other} makes nothing of choices that each row has of its own; take mean or sum, without calibration")
    return OwnChoices(asked.scoring != "sum", len(task.labels), family)


def masked_wording(tokenizer: PreTrainedTokenizerBase, mask: str, task: Task) -> Wording:
    """Return how a task's labels fill a mask: with their first token, or `mean`, all of their tokens at one mask.

    Raises `WrongInput` for a `sum`, which one mask cannot tell, and for labels that their first tokens do not tell apart.
    """
    scoring, tokens = task.reading.scoring, word_tokens(tokenizer, mask, task.descriptions)
    if scoring == "sum":
        raise WrongInput("task.scoring: sum, but a mask holds one token; take mean, or first with label texts of one word")
    if scoring != "mean":
        _require_apart(task, tokens)
        tokens = tuple(label[:1] for label in tokens)
    return Wording("mean" if scoring == "mean" else "first", tokens, task.reading.calibration == "without_text", False, "encoder", mask)


def wording_of(tokenizer: PreTrainedTokenizerBase, family: Family, task: Task) -> Wording:
    """Return how a task's labels are asked for.

    By default, by their first token where that tells them apart, for one pass then shows all of them; else by the sum over all of
    their tokens. Raises `WrongInput` where labels cannot be told apart the way that the task asks for.
    """
    asked, texts = task.reading, task.descriptions
    firsts = label_tokens(tokenizer, family, texts, special=False)
    scoring = asked.scoring if asked.scoring != "auto" else "first" if first_differ(firsts) else "sum"
    calibrated = asked.calibration == "without_text"
    if scoring == "first":
        _require_apart(task, firsts)
        return Wording("first", tuple(label[:1] for label in firsts), calibrated, False, family)
    whole = label_tokens(tokenizer, family, texts)
    with_end = ended(tokenizer, whole, texts)
    return Wording(scoring, with_end, calibrated, with_end != whole, family)


def _require_apart(task: Task, tokens: Sequence[Tokens]) -> None:
    firsts = [label[0] for label in tokens]
    twice = next(((i, firsts.index(token)) for i, token in enumerate(firsts) if firsts.index(token) < i), None)
    if twice is not None:
        one, other = (repr(task.descriptions[i]) for i in reversed(twice))
        raise WrongInput(f"task.scoring: first, but {one} and {other} begin with the same token; take sum or mean, or other task.labels")
