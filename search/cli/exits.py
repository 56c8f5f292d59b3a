"""How a command ends: one line on stderr and an exit code."""

import os
import sys
from collections.abc import Callable

import click

from ...spaces.errors import Failure, WrongInput, one_line, reason
from ...spaces.secrecy import masked

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def exit_code(action: Callable[[], object]) -> int:
    """Do `action` and return its exit code: its own when it returns a number, else 0; 1 failed, 2 wrong input, 128 + signal.

    Anything that is neither wrong input nor a named failure is a defect of ours and keeps its traceback.
    """
    try:
        code = action()
    except (WrongInput, click.UsageError) as error:
        return _say(_usage(error) if isinstance(error, click.UsageError) else str(error), WRONG)
    except (Failure, click.ClickException) as error:
        return _say(error.format_message() if isinstance(error, click.ClickException) else str(error), FAILED)
    except (KeyboardInterrupt, click.Abort) as error:
        return _interrupted(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; do not fail again on the way out
        return FAILED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _say(f"{place}{reason(error)}", FAILED)
    return code if isinstance(code, int) else DONE


def is_said(error: Exception) -> bool:
    """Whether an error was written to be read, or is one that an end may have."""
    return isinstance(error, WrongInput | Failure | click.ClickException | click.exceptions.Exit | click.Abort | OSError)


def explain(home: str, ledger: str | None, error: Exception) -> None:
    """Raise `Failure` where the ledger holds what broke the command; returns where it does not, and the error is a defect of ours."""
    from ..home import Home
    from ..ledger.damage import require_sound

    places = Home.at(home, ledger=ledger)
    if not places.has_ledger:
        return
    try:
        require_sound(places.ledger_url)
    except (WrongInput, Failure) as damage:
        raise damage from error


def _interrupted(error: BaseException) -> int:
    from ..running.supervisor import Interrupted

    return _say(str(error) or "interrupted", error.status if isinstance(error, Interrupted) else INTERRUPTED)


def _usage(error: click.UsageError) -> str:
    asked = error.ctx.command_path if error.ctx else "ulpt-search"
    message = error.format_message().rstrip(".")
    return f"{message[:1].lower()}{message[1:]}; see `{asked} --help`"


def _say(message: str, code: int) -> int:
    click.echo(f"error: {masked(one_line(message))}", err=True)
    return code
