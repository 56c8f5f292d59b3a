"""The door: `ulpt-search COMMAND`. It opens at once, since a command imports what it needs when it runs."""

import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from ... import __version__
from .exits import exit_code, explain, is_said
from .plain_output import print_what_can_be_shown

COMMANDS = (
    "run",
    "plan",
    "studies",
    "show",
    "frontier",
    "ui",
    "export",
    "verify",
    "mirror",
    "gc",
    "archive",
    "restore",
    "predict",
    "evaluate",
    "reproduce",
    "methods",
    "spaces",
    "tasks",
    "doctor",
)
"""In the order in which a person meets them; each is the file of its name in `commands/`."""


class Door(click.Group):
    """Finds commands by their files, and turns what goes wrong into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands, in order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f".commands.{cmd_name}", __package__).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Where it fails as no command should, a ledger with rows that nobody could have written is named instead."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not is_said(error) and (home := ctx.meta.get("ulpt_search.home")):
                explain(home, ctx.meta.get("ulpt_search.ledger"), error)
            raise

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and exit: 0 done, 1 failed, 2 wrong input, 128 + signal."""
        if not sys.warnoptions:
            warnings.filterwarnings("ignore", category=FutureWarning)  # what one library tells the developers of another
        print_what_can_be_shown()
        given = list(sys.argv[1:] if args is None else args) or ["--help"]
        run = super().main
        sys.exit(exit_code(lambda: run(given, prog_name or "ulpt-search", complete_var, standalone_mode=False, **extra)))


@click.group(
    cls=Door,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="\b\nExample:\n  ulpt-search run --space ulpt --budget 1e4\n  ulpt-search frontier ulpt-pydocs-minilm-1e4",
)
@click.version_option(__version__, prog_name="ulpt-search")
def main() -> None:
    """Find the best adapters for a frozen language model under a cap on trainable parameters."""


if __name__ == "__main__":
    main()
