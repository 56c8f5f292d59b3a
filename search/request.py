"""What a person asked `run` or `plan` for, as one frozen value."""

import json
import re
import time
from dataclasses import dataclass, field

import click

from ..spaces.errors import WrongInput
from ..spaces.outages import PATIENCE
from ..spaces.space import Space
from .home import Home
from .values import short_count


@dataclass(frozen=True)
class Request:
    """The options of `run` and `plan`; every field is the option of its name."""

    source: str
    budget: int
    home: str
    model: str | None = None
    task: str | None = None
    trials: int | None = None
    limit: float | None = None
    """Seconds, `--time`."""
    study: str | None = None
    seed: int = 0
    workers: int | None = None
    gpus_per_worker: float | None = None
    pack: int | None = None
    """None: chosen by the device."""
    address: str | None = None
    overrides: tuple[str, ...] = ()
    ledger: str | None = None
    store: str | None = None
    tracking_uri: str | None = None
    references: bool = True
    """Whether the frozen model and a linear probe are measured beside the curve."""
    ceiling: bool = False
    """Whether full fine-tuning is, too, once the search has nothing else to do. Not under a time limit, which it would not keep."""
    patience: float = PATIENCE
    """Seconds for which database and store may be away."""
    measure: bool = False
    """Whether the machine's speed is measured although it is known."""
    full_hash: bool = False
    check: bool = False
    """Of `plan`: load the model, and compare its frozen scores."""
    quiet: bool = False
    as_json: bool = False
    began: float = field(default_factory=time.monotonic, compare=False)
    """When the command was given, on the monotonic clock: what `--time` counts from."""

    def __post_init__(self) -> None:
        if self.ceiling and self.limit is not None:
            way_out = "leave --time out, or run the same study again with --ceiling when its time is over"
            raise WrongInput(f"--ceiling with --time {self.limit:g}s: full fine-tuning cannot be cut short; {way_out}")

    @property
    def places(self) -> Home:
        """Where state is kept."""
        return Home.at(self.home, ledger=self.ledger, store=self.store, tracking_uri=self.tracking_uri)

    @property
    def open_ended(self) -> bool:
        """Whether a time limit asks for all of it to be used. With a number of trials typed beside it, whichever comes first ends."""
        typed = any(override.partition("=")[0].strip() == "trials" for override in self.overrides)
        return self.limit is not None and self.trials is None and not typed

    def space(self) -> Space:
        """Read the space with the overrides laid over it. Imports torch, since methods carry their own axes."""
        from ..spaces.schema import load_space
        from ..workers.catalogue import axes_of

        short = {f"--set {key}={_quoted(value)}": f"--{key} {value}" for key, value in self._sections()}
        given = [option.removeprefix("--set ") for option in short]
        try:
            return load_space(self.source, catalogue=axes_of, overrides=(*given, *self.overrides))
        except WrongInput as error:
            raise WrongInput(_as_typed(str(error), short)) from error

    def name(self, space: Space) -> str:
        """Return the study's name: the one given, else one that says space, task, model and budget."""
        if self.study is not None:
            return _checked(self.study)
        parts = (space.name, space.task.name, _last(space.model.name), short_count(self.budget))
        return "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", part) for part in parts)

    def say(self, line: str) -> None:
        """Tell the person something beside the result, unless they asked for quiet."""
        if not self.quiet:
            click.echo(line, err=True)

    def _sections(self) -> list[tuple[str, str]]:
        given = {"task": self.task, "model": self.model, "trials": None if self.trials is None else str(self.trials)}
        return [(key, value) for key, value in given.items() if value is not None]


def _quoted(value: str) -> str:
    return value if value.isdigit() else json.dumps(value)


def _as_typed(message: str, short: dict[str, str]) -> str:
    """The message in terms of the option that was typed rather than of the override it became."""
    for override, option in short.items():
        message = message.replace(override, option)
    return message


def _checked(study: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", study):
        raise WrongInput(f"--study {study}: a name has up to 100 letters, digits and . _ + -, and starts with a letter or digit")
    return study


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]
