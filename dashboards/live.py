"""The view of a running search: a screen that redraws itself on a terminal, one line per event anywhere else."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from .events import events
from .progress import Progress
from .screens import live_screen

REDRAWS_PER_SECOND = 2
SECONDS_BETWEEN_UPDATES = 0.5


class LiveView:
    """Shows every `Progress` it is given on stderr, for as long as the `with` block lasts.

    On a terminal: a screen whose clock runs on between updates, gone when the block ends. Without one: plain lines with
    a time stamp, one per event that matters. `quiet`: plain lines for failures and the ends of phases only.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None, now: Callable[[], datetime] = datetime.now) -> None:
        self._console = console or Console(stderr=True)
        self._quiet = quiet
        self._now = now
        self._last: tuple[Progress, float] | None = None
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal and not quiet:
            # stdout stays untouched: it belongs to results, and may be a pipe while stderr is a terminal.
            self._live = Live(self, console=self._console, refresh_per_second=REDRAWS_PER_SECOND, transient=True, redirect_stdout=False)

    def __enter__(self) -> Self:
        """Start the screen, if there is one."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove the screen, however the block ends."""
        if self._live:
            self._live.stop()

    def due(self) -> bool:
        """Whether the last update is long enough ago that another is worth making; gathering one costs O(trials)."""
        return self._last is None or time.monotonic() - self._last[1] >= SECONDS_BETWEEN_UPDATES

    def update(self, progress: Progress) -> None:
        """Show how things stand now."""
        previous, self._last = self._last, (progress, time.monotonic())
        if self._live:
            return
        stamp = f"{self._now():%H:%M:%S}"
        for line in events(previous and previous[0], progress, quiet=self._quiet):
            self._console.print(Text(f"{stamp} {line}"), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the screen as of this moment."""
        if self._last is None:
            yield Text("starting", style="dim")
        else:
            progress, updated = self._last
            yield live_screen(later(progress, time.monotonic() - updated), width=options.max_width, height=console.height)


def later(progress: Progress, seconds: float) -> Progress:
    """Return the same state with its clocks `seconds` further on."""
    left = None if progress.remaining is None else max(0.0, progress.remaining - seconds)
    jobs = tuple(replace(job, seconds=job.seconds + seconds) for job in progress.jobs)
    return replace(progress, elapsed=progress.elapsed + seconds, remaining=left, jobs=jobs)
