"""What a generation row is made of: turns of a conversation, of which the assistant's are learnt."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ASSISTANT = "assistant"


@dataclass(frozen=True)
class Turn:
    """One message."""

    role: str
    """`system`, `user`, `assistant`, `tool`, or whatever else the data has."""
    text: str
    more: str = ""
    """The message's other keys (`tool_calls`, `name` ...) as a JSON object, as they stood in its row. Empty: none."""

    @property
    def message(self) -> dict[str, Any]:
        """What chat templates read."""
        further: Mapping[str, Any] = json.loads(self.more) if self.more else {}
        return {"role": self.role, "content": self.text, **further}


@dataclass(frozen=True)
class Conversation:
    """The turns of one row, and the tools that its template is told of."""

    turns: tuple[Turn, ...]
    tools: str = ""
    """A JSON list, as it stood in the row. Empty: none."""
    passage: str = ""
    """The part of the question that loses its end where a row is too long. Empty: nothing may be cut."""
    accepted: tuple[str, ...] = ()
    """What counts as right besides the last answer."""

    @property
    def answers(self) -> tuple[int, ...]:
        """Numbers of the assistant's turns."""
        return tuple(number for number, turn in enumerate(self.turns) if turn.role == ASSISTANT)

    @property
    def question(self) -> str:
        """The text of the user's last turn; of a conversation without one, that of its first."""
        asked = [turn.text for turn in self.turns if turn.role == "user"]
        return asked[-1] if asked else self.turns[0].text

    @property
    def reference(self) -> str:
        """The text of the last answer."""
        return self.turns[self.answers[-1]].text

    @property
    def opening(self) -> str:
        """By what rows of one conversation are recognised, however far each of them goes: its system's and its user's first texts.

        Case and white space make no difference.
        """
        begun = [next((turn.text for turn in self.turns if turn.role == role), "") for role in ("system", "user")]
        return "\n".join(" ".join(text.split()).casefold() for text in (begun if any(begun) else [self.turns[0].text]))

    def to_json(self) -> list[object]:
        """Return plain values for digests."""
        return [[[turn.role, turn.text, turn.more] for turn in self.turns], self.tools, self.passage, self.accepted]
