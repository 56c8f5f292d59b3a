"""How a command ends."""

import errno
import os

import click
import pytest

from ulpt_search.search.cli.exits import exit_code
from ulpt_search.search.running.supervisor import Interrupted
from ulpt_search.spaces.errors import Failure, WrongInput


def raising(error: BaseException) -> int:
    def action() -> None:
        raise error

    return exit_code(action)


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3), ("text", 0)])
def test_a_number_is_the_exit_code(returned: object, code: int) -> None:
    assert exit_code(lambda: returned) == code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (WrongInput("spaces/x.yaml:7: bad"), 2, "spaces/x.yaml:7: bad"),
        (WrongInput("two\nlines"), 2, "two lines"),
        (Failure("the work failed"), 1, "the work failed"),
        (click.UsageError("No such option: --x"), 2, "no such option: --x; see `ulpt-search --help`"),
        (click.FileError("f", "no"), 1, "Could not open file 'f': no"),
        (Interrupted(15), 143, "stopped by SIGTERM"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/ledger.sqlite"), 1, "/x/ledger.sqlite: No space left on device"),
    ],
)
def test_one_line_and_a_code(error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(error) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"error: {line}\n")


def test_defects_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())


def test_a_reader_that_left_is_no_news(capfd: pytest.CaptureFixture[str]) -> None:
    copy = os.dup(1)
    try:
        assert raising(BrokenPipeError()) == 1
    finally:
        os.dup2(copy, 1)
        os.close(copy)
    assert capfd.readouterr().err == ""
