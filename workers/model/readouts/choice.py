"""The rule that gives a task on a model its readout."""

from dataclasses import replace

from transformers import PreTrainedTokenizerBase

from ....spaces.errors import WrongInput
from ....spaces.shape import Family
from ...tasks import Task
from ..backbone import Backbone
from ..cutting import PAIRS
from ..identity import TEMPLATES
from .asking import answers_of, shape_for
from .cosine import Cosine
from .generation import Generation
from .heads_only import HeadsOnly
from .label_tokens import label_tokens
from .likelihood import Likelihood
from .mask import Mask
from .number_wording import Numbers, number_wording
from .number_words import NumberWords
from .objectives import objective_of
from .pair_cosine import PairCosine
from .row_choice import RowChoice
from .wording import OwnChoices, Wording, masked_wording, own_choices, wording_of
from .words import Words
from .written import Written, written

Asked = Wording | OwnChoices | Written | Numbers
"""How a language model is asked."""
Chosen = type[Cosine] | type[PairCosine] | type[HeadsOnly] | Asked
Made = Cosine | PairCosine | HeadsOnly | Words | Likelihood | NumberWords | Mask | RowChoice | Generation


def choose(tokenizer: PreTrainedTokenizerBase, family: Family, task: Task, *, mask: str | None) -> Chosen:
    """Return how a task is read off a model of this family; `WrongInput` where there is no way, or labels cannot be told apart."""
    if task.reading.way == "numbers":
        return number_wording(tokenizer, family, task)
    if task.kind == "generation":
        return written(family, task)
    answers = answers_of(task, family, masked=mask is not None)
    if answers.needs_head:
        return HeadsOnly
    if task.kind == "regression":
        return PairCosine
    if not task.labels:
        raise WrongInput(f"task {task.name}: a {task.kind} task has no labels to choose from; give one with a fixed set of labels")
    if task.train.choices:
        return own_choices(family, task)
    if mask is not None:
        return masked_wording(tokenizer, mask, task)
    return Cosine if family == "encoder" else wording_of(tokenizer, family, task)


def about(tokenizer: PreTrainedTokenizerBase, family: Family, task: Task, *, mask: str | None = None) -> str:
    """Say for `plan` how a task is read off a model, in one line."""
    chosen = choose(tokenizer, family, task, mask=mask)
    if chosen is HeadsOnly:
        return f"{chosen.about}: {answers_of(task, family, masked=mask is not None).needs_head}"
    return str(chosen) if isinstance(chosen, Asked) else chosen.about


def trained_tokens(tokenizer: PreTrainedTokenizerBase, family: Family, task: Task, *, mask: str | None, text: int) -> int:
    """Return how many tokens a training step holds, at least, for a row of `text` tokens."""
    chosen = choose(tokenizer, family, task, mask=mask)
    if isinstance(chosen, Asked):
        return chosen.trained_tokens(text)
    return 2 * text if answers_of(task, family, masked=mask is not None).apart else text


def template_of(backbone: Backbone, task: Task) -> str:
    """Return how texts become tokens and outputs become scores, by which a study is recognised."""
    chosen = choose(backbone.tokenizer, backbone.family, task, mask=backbone.mask)
    if isinstance(chosen, Asked):
        return f"{chosen.template}; {PAIRS}" if joins_pairs(backbone, task) else chosen.template
    apart = answers_of(task, backbone.family, masked=backbone.mask is not None).apart
    return TEMPLATES[backbone.family] if chosen is Cosine else f"2: {'both texts of a pair apart' if apart else 'texts'}; {chosen.about}"


def joins_pairs(backbone: Backbone, task: Task) -> bool:
    """Whether a language model reads pairs of texts as one."""
    return backbone.family != "encoder" and not task.train.conversations and any(text is not None for text in task.train.texts_b)


def for_task(backbone: Backbone, task: Task) -> Backbone:
    """The backbone with what a task asks in its shape: tokens and heads are made for it."""
    return replace(backbone, shape=shape_for(backbone.shape, task))


def readout_of(backbone: Backbone, task: Task) -> Made:
    """Return the readout of a task, ready to read this model; `WrongInput` where its labels cannot be told apart by it."""
    chosen = choose(backbone.tokenizer, backbone.family, task, mask=backbone.mask)
    if isinstance(chosen, OwnChoices):
        made: Made = RowChoice(backbone, chosen, longest=_longest(backbone, task))
    elif isinstance(chosen, Written):
        made = Generation(backbone, chosen)
    elif isinstance(chosen, Numbers):
        made = NumberWords(backbone, chosen)
    elif not isinstance(chosen, Wording):
        made = chosen(backbone, task)
    elif chosen.mask is not None:
        made = Mask(backbone, chosen)
    else:
        made = Words(backbone, chosen) if chosen.scoring == "first" else Likelihood(backbone, chosen)
    made.descriptions, made.objective = task.descriptions, objective_of(backbone.shape.answers)
    return made


def _longest(backbone: Backbone, task: Task) -> int:
    """Tokens of the longest choice of any row, found among those of most tokens by themselves: behind a text they may be a token apart."""
    texts = sorted({text for rows in (task.train, task.validation, task.test) for own in rows.choices for text in own})
    alone = backbone.tokenizer(texts, add_special_tokens=False)["input_ids"]
    most = sorted(range(len(texts)), key=lambda place: len(alone[place]))[-LONG:]
    return max(map(len, label_tokens(backbone.tokenizer, backbone.family, [texts[place] for place in most])))


LONG = 32
"""Choices of most tokens that are looked at as they stand behind a text."""
