"""What is done while something outside is away: it is asked again, for as long as is allowed, and whoever listens is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from .errors import Away

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")
Listener = Callable[[str], None]

PATIENCE = 1200.0
"""Seconds for which a database or a store may be away, unless told otherwise."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two tries, doubled from the one to the other."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """While inside, in this thread, `listener` is told before each pause what is waited for, and `""` when that has come back."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def insist(act: Callable[[], T], *, seconds: float) -> T:
    """Return what `act` returns, which is tried again while it raises `Away`; after so many seconds its `Away` is raised."""
    try:
        return act()
    except Away:
        if seconds <= 0:
            raise
    import tenacity  # no sooner: where nothing is ever away, as on a machine that only computes, it need not be installed

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Away),
        wait=tenacity.wait_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        stop=tenacity.stop_after_delay(seconds),
        before_sleep=_tell,
        reraise=True,
    )
    found = retrying(act)
    _say("")
    return found


def _tell(state: "tenacity.RetryCallState") -> None:
    error = state.outcome.exception() if state.outcome else None
    if error is not None:
        _say(str(error))


def _say(told: str) -> None:
    listener = _LISTENER.get()
    if listener is not None:
        listener(told)
