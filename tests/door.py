"""Commands called inside the test's own process: what they print, without paying for their imports again."""

import contextlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click.testing

from ulpt_search.search.cli import main
from ulpt_search.search.cli.commands import run
from ulpt_search.search.cli.exits import exit_code
from ulpt_search.search.request import Request


def call(*words: str) -> click.testing.Result:
    """Any command but `run` of a study with something to do."""
    return click.testing.CliRunner().invoke(main, list(words))


def values(*words: str) -> Any:
    """What a command prints as JSON."""
    result = call(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def drive(words: Sequence[str]) -> Ended:
    """What `run` does in its supervised child: `run` forks, and a fork of a test's process is no place to be."""

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = exit_code(lambda: run.search(Request(**run.command.make_context("run", list(words)).params)))
    return Ended(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
