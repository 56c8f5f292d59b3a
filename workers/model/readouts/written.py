"""How answers in writing are asked for: on paper, before a model is loaded."""

from dataclasses import dataclass

from ....spaces.errors import WrongInput
from ....spaces.shape import Family
from ...tasks import Task


@dataclass(frozen=True)
class Written:
    """Of one family, by one template."""

    family: Family
    text: str
    """The task's template."""

    def trained_tokens(self, text: int) -> int:
        """How many tokens a training step holds for a row of so many, at least: answers are among them."""
        return text

    @property
    def template(self) -> str:
        """How conversations become tokens and outputs become scores, by which a study is recognised."""
        return f"1: conversation by template {self.text!r}; log-likelihood of the answers' tokens, each batch's sum over their number"

    def __str__(self) -> str:
        """For `plan`, one line."""
        where = "in the conversation" if self.family == "decoder" else "as the decoder's answer"
        return f"likelihood of the answers' tokens {where} (trained and measured on these alone)"


def written(family: Family, task: Task) -> Written:
    """Return how a task's answers are asked for; `WrongInput` where there is no way."""
    if family == "encoder":
        raise WrongInput(f"task {task.name}: an encoder writes no answers; give a decoder or an encoder-decoder")
    return Written(family, task.template)
