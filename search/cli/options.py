"""Options that several commands share, each written once."""

from collections.abc import Callable
from typing import TypeVar

import click

from ..request import Request
from ..values import read_count, read_duration

Command = TypeVar("Command", bound=Callable[..., object])
Decorator = Callable[[Command], Command]


def count(ctx: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """Read 10000, 1e4 or 10k; raises `WrongInput`."""
    return None if text is None else read_count(text, name=option.opts[-1])


def duration(ctx: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Read 30m, 1h30m or 90s into seconds; raises `WrongInput`."""
    return None if text is None else read_duration(text, name=option.opts[-1])


def pack(ctx: click.Context, option: click.Parameter, text: str) -> int | None:
    """Read a number of trials, or `auto` into None; raises `WrongInput`."""
    return None if text == "auto" else read_count(text, name=option.opts[-1])


def noted(ctx: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Leave a place where whoever explains a failure finds it."""
    ctx.meta[f"ulpt_search.{option.name}"] = text
    return text


def home_options(command: Command) -> Command:
    """Add `--home` and `--ledger`: where studies are kept."""
    text = "Ledger database; default: SQLite in the home."
    command = click.option("--ledger", metavar="URL", callback=noted, envvar="ULPT_SEARCH_LEDGER", help=text)(command)
    return click.option(
        "--home",
        callback=noted,
        metavar="DIR",
        envvar="ULPT_SEARCH_HOME",
        default="ulpt-search-home",
        show_default="$ULPT_SEARCH_HOME or ./ulpt-search-home",
        help="Folder that holds the whole state.",
    )(command)


def store_option(command: Command) -> Command:
    """Add `--store`: where adapters are kept."""
    text = "Adapter store, a folder or fsspec URL; default: in the home."
    return click.option("--store", metavar="URL", envvar="ULPT_SEARCH_STORE", help=text)(command)


def tracking_option(command: Command) -> Command:
    """Add `--tracking-uri`: where MLflow keeps its runs."""
    text = "MLflow server or database; default: SQLite in the home."
    return click.option("--tracking-uri", metavar="URI", envvar="ULPT_SEARCH_TRACKING_URI", help=text)(command)


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")(command)


def model_option(command: Command) -> Command:
    """Add `--model`."""
    return click.option("--model", metavar="NAME", help="minilm (embedded), a transformers folder, or a hub id.")(command)


_SEARCH: tuple[Decorator[Callable[..., object]], ...] = (
    click.option("--space", "source", metavar="PATH|NAME", required=True, help="A space file, or a shipped one: `ulpt-search spaces`."),
    click.option("--budget", metavar="NUMBER", callback=count, required=True, help="Cap on trainable parameters: 10000, 1e4 or 10k."),
    click.option("--model", metavar="NAME", help="Overrides the space's model: minilm, a transformers folder, or a hub id."),
    click.option("--task", metavar="NAME", help="Overrides the space's task: pydocs, a file or folder, or a hub data set."),
    click.option("--trials", metavar="NUMBER", callback=count, help="Overrides the space's number of trials."),
    click.option(
        "--time",
        "limit",
        metavar="DURATION",
        callback=duration,
        help="Use this long, finals and export included, at most 30 s more: 30m, 1h30m. With --trials: no longer than that.",
    ),
    click.option("--study", metavar="NAME", help="Name under which it is remembered; the same name continues it."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the search itself."),
    click.option("--workers", type=click.IntRange(min=1), help="Worker processes; default: by the machine's CPUs or GPUs."),
    click.option("--gpus-per-worker", type=click.FloatRange(min=0), help="GPUs of each; fractions share one. Default: 1 if there are."),
    click.option(
        "--pack", metavar="NUMBER|auto", callback=pack, default="auto", show_default=True, help="Trials trained together in one pass."
    ),
    click.option("--address", metavar="HOST:PORT", help="An existing Ray cluster; default: a local one."),
    click.option("--references/--no-references", default=True, show_default=True, help="Measure the frozen model and a linear probe, too."),
    click.option("--ceiling", is_flag=True, help="Fine-tune all of the model, too, once the search is done: it may take long."),
    click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Overrides any key: --set methods.lora.rank=4."),
)


def search_options(command: Command) -> Command:
    """Add what `run` and `plan` have in common."""
    command = home_options(store_option(tracking_option(command)))
    for option in reversed(_SEARCH):
        command = option(command)
    return command


def example(text: str) -> str:
    """Return an epilog that shows `text`, line breaks kept."""
    return f"\b\nExample:\n{text}"


class Asks(click.Command):
    """A command whose options become one `Request`."""

    def invoke(self, ctx: click.Context) -> object:
        """Call back with the request."""
        assert self.callback is not None, f"{self.name} has no callback"
        return ctx.invoke(self.callback, Request(**ctx.params))
