"""Messages as files have them -> turns: `role` and `content`, or ShareGPT's `from` and `value`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...spaces.errors import WrongInput, did_you_mean
from .conversation import ASSISTANT, Turn
from .table import describe

ROLES: Mapping[str, str] = {
    **{role: role for role in ("system", "developer", "user", ASSISTANT, "tool")},
    "human": "user",
    **dict.fromkeys(("gpt", "chatgpt", "bing", "bard", "bot", "model"), ASSISTANT),
    **dict.fromkeys(("function", "function_response", "observation", "ipython"), "tool"),
}
"""What files call who speaks -> what chat templates do."""
KEYS = (("role", "content"), ("from", "value"))
CALLS = ("tool_calls", "function_call")


def turns_of(place: str, column: str, value: object) -> tuple[Turn, ...]:
    """Return the turns of one row's messages, a list or one written as JSON text; `WrongInput` at `place` where it is none."""
    messages = from_json(place, column, value)
    if not isinstance(messages, list) or not messages:
        raise WrongInput(f"{place}: {column} is {_told(messages)}, wanted a list of messages")
    return tuple(_turn(f"{place}: message {number}", message) for number, message in enumerate(messages, start=1))


def from_json(place: str, column: str, value: object) -> object:
    """Return the value of a JSON text; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise WrongInput(f"{place}: {column} is {describe(value)}, wanted a list, or one as JSON text") from error


def tools_of(place: str, column: str, value: object) -> str:
    """Return the tools of a row as JSON text, empty where there are none; `WrongInput` for what is no list of mappings."""
    tools = from_json(place, column, value) if value not in (None, "") else []
    if tools is None or tools == []:
        return ""
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise WrongInput(f"{place}: {column} is {describe(tools)}, wanted a list of tools, each a mapping")
    return json.dumps(tools, ensure_ascii=False)


def _turn(place: str, message: object) -> Turn:
    if not isinstance(message, Mapping):
        raise WrongInput(f"{place} is {_told(message)}, wanted a mapping with role and content")
    keys = next((pair for pair in KEYS if pair[0] in message), None)
    if keys is None:
        raise WrongInput(f"{place} has {', '.join(map(str, message)) or 'nothing'}, wanted role and content, or from and value")
    role = message[keys[0]]
    if not isinstance(role, str) or role not in ROLES:
        raise WrongInput(f"{place}: {keys[0]} is {_told(role)}, wanted one of {', '.join(ROLES)}.{did_you_mean(str(role), ROLES)}")
    more = {key: value for key, value in message.items() if key not in keys and value is not None}
    return Turn(ROLES[role], _text(f"{place}: {keys[1]}", message.get(keys[1])), _json(more))


def _json(more: Mapping[str, Any]) -> str:
    return json.dumps(more, ensure_ascii=False, default=str) if more else ""


def _text(place: str, value: object) -> str:
    """A message's text: nothing for null, as beside a tool's call; parts of type text are put together."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(_part(place, part) for part in value)
    if not isinstance(value, str):
        raise WrongInput(f"{place} is {describe(value)}, wanted text; put it in quotes")
    return whole(place, value)


def _part(place: str, part: object) -> str:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return whole(place, str(part["text"]))
    raise WrongInput(f"{place} has a part that is no text; only parts of type text can be learnt from")


def whole(place: str, text: str) -> str:
    """Return a text whose characters are all whole; `WrongInput` for half of a surrogate pair."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise WrongInput(f"{place} holds half of a surrogate pair, which is no character; delete it")
    return text


def is_blank(turn: Turn) -> bool:
    """Whether an answer says nothing and calls nothing."""
    return not turn.text.strip() and not any(call in turn.message for call in CALLS)


def _told(value: object) -> str:
    return "an empty list" if isinstance(value, Sequence) and not isinstance(value, str) and not value else describe(value)
