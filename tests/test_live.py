import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from ulpt_search.dashboards.curve import Curve
from ulpt_search.dashboards.events import events
from ulpt_search.dashboards.live import LiveView, later
from ulpt_search.dashboards.points import points
from ulpt_search.dashboards.progress import Progress, RunningJob, describe, ranges
from ulpt_search.dashboards.screens import final_screen, live_screen, next_commands
from ulpt_search.dashboards.textplot import letters, plot
from ulpt_search.dashboards.verdicts import notes
from ulpt_search.spaces.records import Assignment, Job, Problem

from .curve_records import METHODS, curve, point, searched, trial

PLACES = {"ledger": "/home/someone/ulpt-search-home/ledger.sqlite", "MLflow": "sqlite:////home/someone/mlflow.sqlite"}
START = Progress("demo", 10_000, 40)


def midway() -> Progress:
    trials, results, problems = searched()
    return Progress(
        study="demo",
        budget=10_000,
        planned=40,
        done=22,
        running=8,
        failed=2,
        rungs={25: 31, 50: 22, 100: 14, 200: 9},
        jobs=tuple(RunningJob(n, f"{n} trials to step 100: lora ×3, ulpt ×5", 7.2) for n in range(9)),
        points=tuple(points(trials, results)),
        failures=tuple(problems),
        elapsed=192,
        remaining=100,
        methods=METHODS,
    )


def shown(drawn: RenderableType, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(drawn)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("height", [8, 12, 16, 24, 40])
def test_the_screen_fits_any_terminal(width: int, height: int) -> None:
    lines = shown(live_screen(midway(), width=width, height=height), width)
    assert len(lines) <= height
    assert max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_says_how_things_stand(width: int) -> None:
    text = "\n".join(shown(live_screen(midway(), width=width, height=24), width))
    for part in (
        "demo · searching · budget 10,000 parameters",
        "24/40 trials",
        "22 done, 8 running, 8 waiting, 2 failed",
        "3:12 elapsed, about 1:40 left · 412 trials an hour",
        "25: 31  50: 22  100: 14  200: 9",
        "100–999",
        "1,000–10,000",
        "0 trials to step 100: lora ×3, ulpt ×5  0:07",
        "trial 17: worker died (signal 9)",
    ):
        assert part in text


def test_a_screen_without_anything_yet() -> None:
    lines = shown(live_screen(START, width=80), 80)
    assert lines[2:] == ["0 done, 40 waiting", "0:00 elapsed"]


def test_ranges_are_decades_up_to_the_budget() -> None:
    found = ranges([point(0, 20, 0.5), point(1, 99, 0.6), point(2, 1000, 0.4), point(3, 7000, 0.4)], 7000)
    assert [(each.name, each.best and each.best.trial) for each in found] == [("10–99", 1), ("100–999", None), ("1,000–7,000", 2)]


def test_a_budget_that_is_a_power_of_ten_ends_the_decade_below() -> None:
    (found,) = ranges([point(0, 10_000, 0.5)], 10_000)
    assert (found.name, found.best) == ("1,000–10,000", point(0, 10_000, 0.5))
    assert ranges([point(0, 1, 0.5)], 1)[0].name == "1–1"
    assert ranges([], 10_000) == []


def test_trials_that_were_there_before_do_not_count_for_the_pace() -> None:
    assert replace(START, done=30, done_before=20, elapsed=3600).per_hour == 10
    assert replace(START, done=20, done_before=20, elapsed=3600).per_hour is None


def test_a_job_is_described_by_its_methods() -> None:
    parts = tuple(Assignment(trial(n, method=method)) for n, method in enumerate(("ulpt", "lora", "ulpt")))
    assert describe(Job(0, parts, 100)) == "3 trials to step 100: lora ×1, ulpt ×2"
    assert describe(Job(0, parts[:1], 25)) == "1 trial to step 25: ulpt ×1"


def test_clocks_run_on_between_updates() -> None:
    after = later(midway(), 5)
    assert (after.elapsed, after.remaining, after.jobs[0].seconds) == (197, 95, 12.2)
    assert later(replace(START, remaining=1), 5).remaining == 0


def test_the_first_line_says_what_was_started() -> None:
    assert events(None, START) == ["demo: searching; 40 trials planned, budget 10,000 parameters"]


def test_one_line_for_each_thing_that_happened() -> None:
    then = replace(START, running=8, points=(point(0, 788, 0.6), point(1, 5000, 0.7, method="lora")), rungs={200: 2}, elapsed=30)
    now = replace(
        then,
        done=4,
        failed=1,
        running=3,
        rungs={200: 6, 100: 3},
        points=(*then.points, point(2, 900, 0.65), point(3, 6000, 0.69)),
        failures=(Problem(9, "loss is nan\n at step 31", fatal=True), Problem(5, "worker died")),
        elapsed=45,
        remaining=90,
    )
    assert events(then, now) == [
        "first scores at step 100",
        "best of 100–999 parameters: 0.650 with ulpt, 900 parameters (trial 2, step 200)",
        "trial 9 failed: loss is nan at step 31",
        "trial 5 gave no result this time: worker died",
        "4 done, 3 running, 32 waiting, 1 failed of 40 trials; 0:45 elapsed, about 1:30 left",
    ]
    assert events(now, now) == []


def test_the_same_trial_at_a_higher_step_is_no_news() -> None:
    then = replace(START, points=(replace(point(0, 788, 0.5), steps=100),), rungs={100: 1})
    now = replace(START, points=(point(0, 788, 0.6),), rungs={100: 1, 200: 1})
    assert events(then, now) == ["first scores at step 200"]


def test_a_minute_without_news_is_counted_and_the_end_is_too() -> None:
    assert events(replace(START, elapsed=59), replace(START, elapsed=61)) == ["0 done, 40 waiting of 40 trials; 1:01 elapsed"]
    assert events(replace(START, done=39), replace(START, done=40), quiet=True) == ["40 done of 40 trials; 0:00 elapsed"]


def test_trials_that_go_on_to_a_higher_step_are_not_counted_twice() -> None:
    then = replace(START, done=8, rungs={100: 8})
    assert events(then, replace(then, done=4, running=4)) == []
    assert events(then, replace(then, done=9, rungs={100: 9})) == []


def test_quiet_keeps_phases_and_failures() -> None:
    now = replace(midway(), phase="finals")
    lines = events(START, now, quiet=True)
    assert lines[0] == "demo: finals: retraining the frontier over fresh seeds; 40 trials planned, budget 10,000 parameters"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "trial 9 failed",
        "trial 23 failed",
        "trial 17 gave no result this time",
    ]


def test_without_a_terminal_every_event_is_a_line_with_a_time() -> None:
    file = io.StringIO()
    with LiveView(console=Console(file=file, width=40), now=lambda: datetime(2026, 3, 1, 12, 3, 41)) as view:
        view.update(START)
        view.update(replace(START, failures=(Problem(9, "loss is nan at step 31: the learning rate [0.5] is too high", fatal=True),)))
    assert file.getvalue() == (
        "12:03:41 demo: searching; 40 trials planned, budget 10,000 parameters\n"
        "12:03:41 trial 9 failed: loss is nan at step 31: the learning rate [0.5] is too high\n"
    )


def test_a_view_asks_for_updates_only_now_and_then() -> None:
    view = LiveView(console=Console(file=io.StringIO()))
    assert view.due()
    view.update(START)
    assert not view.due()
    time.sleep(0.6)
    assert view.due()


def test_on_a_terminal_the_screen_is_drawn_and_then_gone() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24, _environ={"TERM": "xterm-256color"})
    with pytest.raises(KeyboardInterrupt):
        show_and_interrupt(LiveView(console=console))
    text = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert "22 done, 8 running, 8 waiting, 2 failed" in text
    assert text.endswith("\x1b[?25h" + erased(text))


def show_and_interrupt(view: LiveView) -> None:
    with view:
        view.update(midway())
        time.sleep(0.8)  # the screen redraws itself twice a second
        raise KeyboardInterrupt


def erased(text: str) -> str:
    """What comes after the cursor is back: the lines of the screen, each erased."""
    rest = text.rpartition("\x1b[?25h")[2]
    assert rest.count("\x1b[2K") >= 10
    return rest


def test_a_screen_leaves_prints_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    with LiveView(console=Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"})):
        print("result")  # noqa: T201
    assert capsys.readouterr().out == "result\n"
    assert "result" not in file.getvalue()


def test_quiet_never_takes_over_a_terminal() -> None:
    file = io.StringIO()
    with LiveView(quiet=True, console=Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"})) as view:
        view.update(START)
    assert "demo: searching" in file.getvalue()
    assert "\x1b[2K" not in file.getvalue()


def test_progress_goes_to_stderr_and_leaves_stdout_alone() -> None:
    code = """
from ulpt_search.dashboards.live import LiveView
from ulpt_search.dashboards.progress import Progress
with LiveView() as view:
    view.update(Progress("demo", 10_000, 40))
    print("result")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=with_package())
    assert ran.stdout == "result\n"
    assert "demo: searching" in ran.stderr


def with_package() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.parametrize("width", [80, 120])
def test_the_last_screen_shows_the_curve_the_places_and_what_to_type(width: int) -> None:
    drawn = replace(curve(), failed=2)
    lines = shown(final_screen(drawn, places=PLACES, seconds=312, width=width), width)
    assert max(cell_len(line) for line in lines) <= width
    assert lines[0] == "demo · pydocs · minilm · 7 of 7 over fresh seeds at step 200, 2 failed · 5:12"
    text = "\n".join(line.rstrip() for line in lines)
    for part in (*PLACES.values(), *(f"  {command}" for command in next_commands(drawn))):
        assert part in text
    assert all(note.split(" ")[0] in text for note in notes(drawn))


def test_the_last_screen_without_a_result_says_where_to_look() -> None:
    text = "\n".join(shown(final_screen(Curve("demo", 10_000, (), failed=40), places=PLACES, seconds=3), 80))
    assert "No trial has been scored yet." in text
    assert "ulpt-search show demo" in text


def test_commands_can_be_pasted() -> None:
    commands = next_commands(Curve("my study", 10_000, (point(3, 788, 0.6),)))
    assert commands == [
        "ulpt-search frontier 'my study' --html 'my study.html'",
        "ulpt-search ui",
        "ulpt-search export 'my study' --trial 3 --out 'my study-trial-3'",
    ]


def test_commands_name_a_home_that_is_not_the_default() -> None:
    drawn = Curve("s", 10_000, (point(3, 788, 0.6),), home="/data/my home")
    assert all(line.endswith(" --home '/data/my home'") for line in next_commands(drawn))
    assert "--home" not in "".join(next_commands(replace(drawn, home="ulpt-search-home")))


def test_the_text_plot_of_three_points() -> None:
    drawn = Curve("s", 1000, (point(0, 10, 0.5), point(1, 100, 0.7), point(2, 500, 0.6, method="lora")))
    assert [line.rstrip() for line in plot(drawn, width=50, height=6, ascii_only=True).plain.splitlines()] == [
        "score over trainable parameters",
        "     +-------------------------------------------+",
        "0.710+                     U------------------   |",
        "     |                     |                 !   |",
        "0.600+                     |            l    !   |",
        "     |                     |                 !   |",
        "     |                     |                 !   |",
        "0.490+   U------------------                 !   |",
        "     +---+-----------------+-----------------+---+",
        "        10                100             1,000",
        "l lora  u ulpt  capitals: the frontier",
    ]


@pytest.mark.parametrize("width", [50, 80, 120])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_text_plot_fits_and_shows_every_point_of_the_frontier(width: int, ascii_only: bool) -> None:
    drawn = curve()
    *body, legend = plot(drawn, width=width, ascii_only=ascii_only).plain.splitlines()
    assert max(cell_len(line) for line in body) <= width
    assert not ascii_only or "\n".join(body).isascii()
    capitals = sum(character.isupper() for line in body for character in line)
    assert 1 <= capitals <= len(drawn.front)
    assert [point.method for point in drawn.points if point.method not in legend] == []


def test_trials_of_earlier_steps_are_dots() -> None:
    drawn = Curve("s", 100, (point(0, 10, 0.5),), faint=(replace(point(1, 30, 0.2), steps=50),))
    *body, legend = plot(drawn, width=60).plain.splitlines()
    assert sum(line.count("·") for line in body) == 1
    assert "· a trial of the search, not compared" in legend
    assert "." in "".join(plot(drawn, width=60, ascii_only=True).plain.splitlines()[-2:])


def test_the_text_plot_has_the_methods_colours_only_where_colours_are_wanted() -> None:
    drawn = Curve("s", 1000, (point(0, 10, 0.5), point(1, 100, 0.4, method="ia3")))
    for no_colour in (False, True):
        file = io.StringIO()
        Console(file=file, width=60, force_terminal=True, no_color=no_colour, _environ={"TERM": "xterm"}).print(plot(drawn, width=60))
        assert ("\x1b[1;34mU" in file.getvalue()) != no_colour
        assert ("\x1b[33mi" in file.getvalue()) != no_colour


def test_equal_points_are_drawn_too() -> None:
    assert "U" in plot(Curve("s", 10, (point(0, 10, 0.5),)), width=60).plain


def test_letters_are_unique_up_to_26_methods() -> None:
    many = [f"method{n}" for n in range(30)]
    given = list(letters(many).values())
    assert len(set(given[:26])) == 26
    assert set(given[26:]) == {"*"}
    assert letters(["lora", "lorta", "ulpt"]) == {"lora": "l", "lorta": "o", "ulpt": "u"}


def modules_after(statement: str) -> Iterable[str]:
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=with_package())
    loaded: list[str] = json.loads(ran.stdout)
    return loaded


def dashboards() -> Iterator[str]:
    import ulpt_search.dashboards

    return (path.stem for path in Path(ulpt_search.dashboards.__path__[0]).glob("[a-z]*.py"))


def test_importing_the_dashboards_loads_nothing_heavy() -> None:
    statement = "; ".join(f"import ulpt_search.dashboards.{name}" for name in dashboards())
    heavy = {"matplotlib", "plotly", "scipy", "torch", "ray", "optuna", "mlflow", "sqlalchemy"}
    assert heavy.isdisjoint(modules_after(statement))
