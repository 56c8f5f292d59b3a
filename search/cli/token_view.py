"""Rows for people: what is learnt is coloured, or bold and underlined without colours, or in brackets where there is no terminal."""

import os
import sys

import click

from .task_rows import ShownRow, ShownTask, Stretch

OPEN, CLOSE = "[[", "]]"


def print_task(shown: ShownTask) -> None:
    """Print what a task is and a few of its rows."""
    sizes = ", ".join(f"{size:,} {split}" for split, size in shown.sizes.items())
    click.echo(f"{shown.name}: {shown.kind.replace('_', ' ')}, measured by {shown.metric}; rows: {sizes}")
    for note in shown.notes:
        click.echo(f"{shown.name}: {note}")
    for number, row in enumerate(shown.rows, start=1):
        click.echo(f"\nrow {number}: {_size(row)}")
        click.echo("".join(marked(one) for one in row.stretches))
        if row.label is not None:
            click.echo(f"label: {row.label}")


def _size(row: ShownRow) -> str:
    return f"{len(row.tokens)} tokens" + (f", of which {row.learnt} are learnt ({_sign()})" if row.learnt else "")


def _sign() -> str:
    return {"colour": "green", "bold": "bold"}.get(_way(), f"in {OPEN} {CLOSE}")


def _way() -> str:
    """How this output can tell what is learnt."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return "signs"
    return "bold" if os.environ.get("NO_COLOR") else "colour"


def marked(one: Stretch) -> str:
    """Return a stretch's text with its mark; signs that would steer the terminal are spelt out."""
    text = "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in one.text)
    if not one.trained:
        return text
    match _way():
        case "colour":
            return click.style(text, fg="green", underline=True)
        case "bold":
            return click.style(text, bold=True, underline=True)
        case _:
            return f"{OPEN}{text}{CLOSE}"
