"""A conversation as the text that a model reads: by its tokenizer's chat template, by a plain one of ours, or by the user's own.

`auto` is the tokenizer's own, and `plain` where it has none; `raw` puts texts behind each other as they stand. Anything else is a
Jinja template as tokenizers have them: of `messages`, `tools`, `add_generation_prompt` and the tokenizer's special tokens.
"""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import date

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from ...spaces.errors import WrongInput, reason
from ..tasks.conversation import ASSISTANT, Conversation, Turn

PLAIN = """\
{%- for message in messages %}
{%- if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}
{%- elif message['role'] == 'user' %}{{ ('' if loop.first or loop.previtem['role'] == 'system' else '\n') + message['content'] }}
{%- elif message['role'] == 'assistant' %}{{ '\nAnswer: ' + message['content'] + eos_token }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '\nAnswer:' }}{% endif %}"""
"""The system's text and an empty line, the user's text, `Answer:` on a line of its own with the answer behind it, the end token."""
RAW = """\
{%- for message in messages %}
{%- if message['role'] in ('system', 'user', 'assistant') %}{{ message['content'] }}{% endif %}
{%- if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}
{%- endfor %}"""
"""Every text as it stands, the end token behind answers."""
OURS = {"plain": PLAIN, "raw": RAW}
TODAY = date(2024, 7, 26)
"""What a template that prints today's date prints: the one that Llama's print by default, so that no token moves with the day."""

WAY_OUT = "change the row, or give task.template"
SYSTEM = ("system", "developer")
STAND_IN = Turn(ASSISTANT, "qxjzvk")
"""Of a word that no template writes."""

_NOW = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")


@dataclass(frozen=True)
class ChatText:
    """A template, ready to render with one tokenizer."""

    tokenizer: PreTrainedTokenizerBase
    template: str
    own: bool
    """Whether it is the tokenizer's: then it writes the beginning of a text itself."""
    kept: dict[tuple[object, ...], str] = field(default_factory=dict)
    """What has been rendered."""

    def __call__(self, conversation: Conversation, count: int | None = None, *, asks: bool = False) -> str:
        """Return the text of the first `count` turns, of all by default; `asks` puts behind it what an answer follows.

        Raises `WrongInput` where the template refuses them.
        """
        turns = conversation.turns[:count]
        key = (turns, conversation.tools, asks)
        if key not in self.kept:
            self.kept[key] = self._render(replace(conversation, turns=turns), asks)
        return self.kept[key]

    def _render(self, conversation: Conversation, asks: bool) -> str:
        messages = [turn.message for turn in conversation.turns]
        tools = json.loads(conversation.tools) if conversation.tools else None
        if not messages:
            return self.around(conversation, 0)[0]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    messages, tools=tools, chat_template=self.template, tokenize=False, add_generation_prompt=asks
                )
            )
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise WrongInput(f"the chat template refuses these turns: {reason(error)}; {WAY_OUT}") from error

    def around(self, conversation: Conversation, count: int) -> tuple[str, str]:
        """Return what the template writes before and behind an answer that follows the first `count` turns and ends the conversation."""
        before, _, behind = self(replace(conversation, turns=(*conversation.turns[:count], STAND_IN))).partition(STAND_IN.text)
        return before, behind

    def settled(self, conversation: Conversation) -> Conversation:
        """Return the conversation as the template can say it.

        Where it must, same roles in a row are joined, and a system turn is put in front of the user's next text. Raises `WrongInput`
        where it refuses even that, or leaves a turn out.
        """
        kept = replace(conversation, turns=tuple(self._unended(turn) for turn in conversation.turns))
        error = self._fault(kept)
        for way in (_joined, _folded):
            if error is None:
                return kept
            kept = way(kept)
            error = self._fault(kept)
        if error is not None:
            raise WrongInput(error)
        return kept

    def _unended(self, turn: Turn) -> Turn:
        """An answer without the end token that some files write behind it by hand: templates do that."""
        end = self.tokenizer.eos_token
        return replace(turn, text=turn.text.removesuffix(end)) if end and turn.role == ASSISTANT else turn

    def _fault(self, conversation: Conversation) -> str | None:
        """What is wrong with the template's text of a conversation. Answers may be rewritten: that is looked after turn by turn."""
        try:
            text = self(conversation)
        except WrongInput as refused:
            return str(refused)
        lost = next((turn for turn in conversation.turns if turn.role != ASSISTANT and not _stands(turn.text.strip(), text)), None)
        lost = lost or next((turn for turn in conversation.turns if turn.role in SYSTEM and not self._says(conversation, turn)), None)
        if lost is not None:
            return f"the chat template leaves out what {lost.role} says; {WAY_OUT}"
        called = any("tool_calls" in turn.message for turn in conversation.turns) or conversation.tools
        return f"the chat template has no place for tools; {WAY_OUT}" if called and "tool" not in self.template else None

    def _says(self, conversation: Conversation, turn: Turn) -> bool:
        """Whether the template says this turn at all: its words may stand in another one, too."""
        turns = (replace(one, text=STAND_IN.text) if one is turn else one for one in conversation.turns)
        return STAND_IN.text in self(replace(conversation, turns=tuple(turns)))


def chat_text(tokenizer: PreTrainedTokenizerBase, template: str, *, tools: bool = False) -> ChatText:
    """Return what `template` (see above) means for a tokenizer; `WrongInput` where it means nothing."""
    own = template == "chat" or (template == "auto" and tokenizer.chat_template is not None)
    if own and tokenizer.chat_template is None:
        raise WrongInput("task.template: chat, but this tokenizer has no chat template; take plain or raw, or give one")
    name = "plain" if template == "auto" else template
    if not own and name in OURS and tokenizer.eos_token is None:
        raise WrongInput(f"task.template: {name} ends an answer with the end token, and this tokenizer has none; give a template")
    text = _own(tokenizer, tools=tools) if own else OURS.get(name, name)
    if "{" not in text:
        raise WrongInput(
            f"task.template: {template!r} is no template; wanted auto, chat, {', '.join(OURS)}, or a text with {{{{ messages }}}} in it"
        )
    return ChatText(tokenizer, _NOW.sub(lambda call: repr(TODAY.strftime(call[2])), text), own)


def _own(tokenizer: PreTrainedTokenizerBase, *, tools: bool) -> str:
    try:
        return str(tokenizer.get_chat_template(None, [{}] if tools else None))
    except ValueError as error:
        raise WrongInput(
            f"task.template: the tokenizer has several chat templates, and none for this: {reason(error)}; give one"
        ) from error


def about(tokenizer: PreTrainedTokenizerBase, template: str) -> str:
    """Say for people how conversations become text."""
    if template in ("auto", "chat") and tokenizer.chat_template is not None:
        return "conversations are written by the tokenizer's chat template"
    if template == "auto":
        return "the tokenizer has no chat template: conversations are written by task.template: plain, a text, 'Answer:' and the answer"
    return f"conversations are written by task.template: {template if template in OURS else 'one of your own'}"


def _stands(said: str, text: str) -> bool:
    """Whether a text says something, as it is or as JSON, as Llama 3.1's template writes what tools answer."""
    return said in text or any(json.dumps(said, ensure_ascii=plain)[1:-1] in text for plain in (False, True))


def _joined(conversation: Conversation) -> Conversation:
    """Texts of the same role behind each other as one, an empty line between."""
    turns: list[Turn] = []
    for turn in conversation.turns:
        last = turns[-1] if turns else None
        same = last is not None and last.role == turn.role and not (last.more or turn.more)
        if last is not None and same:
            turns[-1] = replace(last, text=f"{last.text}\n\n{turn.text}")
        else:
            turns.append(turn)
    return replace(conversation, turns=tuple(turns))


def _folded(conversation: Conversation) -> Conversation:
    """What a system or developer turn says put in front of the user's next text."""
    turns: list[Turn] = []
    waiting: list[str] = []
    for turn in conversation.turns:
        if turn.role in SYSTEM:
            waiting.append(turn.text)
        elif turn.role == "user" and waiting:
            turns.append(replace(turn, text="\n\n".join([*waiting, turn.text])))
            waiting = []
        else:
            turns.append(turn)
    return _joined(replace(conversation, turns=tuple(turns)))
