"""The watchdog: what it calls lost, and what it does not."""

import socket
import subprocess
import threading

import pytest

from ulpt_search.search.running import watchdog
from ulpt_search.search.running.watchdog import RunningClock, Watchdog, require_reach
from ulpt_search.spaces.errors import Away


def test_pauses_of_this_process_are_not_counted() -> None:
    """A search that was stopped for an hour is not an hour late."""
    now = [0.0]
    clock = RunningClock(lambda: now[0])
    for step in (0.5, 0.5, 3600.0, 0.5):
        now[0] += step
        clock.tick()
    assert clock() == 1.5 + 4 * watchdog.TICK


def test_a_child_that_ends_is_lost_even_before_it_is_reaped_and_may_begin_later() -> None:
    told: list[str] = []
    heard = threading.Event()

    def lost(why: str) -> None:
        told.append(why)
        heard.set()

    watch = Watchdog(lost=lost, children=("raylet", "sleep"))
    assert not heard.wait(2 * watchdog.TICK), "none of them has begun"
    with subprocess.Popen(["sleep", "600"]) as process:
        assert not heard.wait(3 * watchdog.TICK), "one of them is still to begin"
        process.kill()
        assert heard.wait(10)
        watch.close()
    assert told == ["Ray's sleep has ended"]


def test_a_loop_that_does_not_go_on_is_lost_unless_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "STUCK", 0.6)
    heard = threading.Event()
    watch = Watchdog(lost=lambda why: heard.set())
    watch.beat()
    watch.rest()
    assert not heard.wait(1.5)
    watch.beat()
    assert heard.wait(10)
    watch.close()


def test_an_address_out_of_reach_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "UNHEARD", 1.0)
    heard = threading.Event()
    watch = Watchdog(lost=lambda why: heard.set(), address=("127.0.0.1", 1))
    assert heard.wait(20)
    watch.close()


def test_an_address_where_nobody_listens_is_away_and_another_form_is_rays_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        require_reach(address)
    with pytest.raises(Away, match=f"--address {address}: no Ray cluster there"):
        require_reach(address)
    for other in ("auto", "ray://nowhere:1", "nowhere"):
        require_reach(other)
