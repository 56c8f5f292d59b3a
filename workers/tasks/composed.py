"""A text that is made of several columns: `question: {question} answer: {answer}`. A name without braces is one column as it is."""

from string import Formatter

from ...spaces.errors import WrongInput

Part = tuple[str, str | None]
"""A piece of text, and the column that comes behind it."""


def parts_of(text: str, key: str) -> tuple[Part, ...]:
    """Return the pieces of a template; `WrongInput` names the task's `key` where it is none. Doubled braces are braces.

    A field is a column's name and nothing else, so that no template can reach into a value.
    """
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise WrongInput(f"task.{key}: {text!r} is no template: {error}; write {{column}}, and {{{{ for a brace") from error
    for _, column, spec, conversion in parsed:
        if column == "" or spec or conversion:
            raise WrongInput(f"task.{key}: {text!r} has a field that is no column's name; write {{column}} and nothing else in the braces")
    return tuple((literal, column) for literal, column, _, _ in parsed)


def columns_of(text: str | None, key: str) -> tuple[str, ...]:
    """Return the columns that a text is made of: of a template those in its braces, else the text itself."""
    if text is None:
        return ()
    return tuple(column for _, column in parts_of(text, key) if column is not None) if is_template(text) else (text,)


def text_columns(text_a: str, text_b: str | None) -> tuple[str, ...]:
    """Return the columns that the first and the second text are made of, each once."""
    return tuple(dict.fromkeys((*columns_of(text_a, "text_a"), *columns_of(text_b, "text_b"))))


def is_template(text: str) -> bool:
    """Whether a text is made of columns, rather than the name of one."""
    return "{" in text or "}" in text
