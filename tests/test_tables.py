import io
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from ulpt_search.dashboards.curve import Curve
from ulpt_search.dashboards.rows import frontier_rows, method_row, plan_row, study_row, trial_rows
from ulpt_search.dashboards.states import state_of
from ulpt_search.dashboards.tables import frontier_table, methods_table, plan_table, studies_table, trials_table
from ulpt_search.dashboards.words import axis, configuration, duration, shorten, size
from ulpt_search.spaces.axes import Choice, Float, Int
from ulpt_search.spaces.records import Problem

from .curve_records import curve, finished, point, result, searched, trial

WHY = "the smallest needs 13,824 parameters; layers: last:50% would need 6,912, or raise the budget to 13,824"
STUDIES = [
    study_row(study="demo", task="pydocs", model="minilm", budget=10_000, trials=40, best=0.7333, created="2026-03-01T10:11:12+00:00"),
    study_row(
        study="x" * 60, task="t" * 30, model="/data/" + "m" * 60, budget=10**8, trials=1240, best=None, created="2026-03-01T10:11:12+00:00"
    ),
]
METHOD = method_row(
    name="ulpt",
    formula="n·r + d·[scale] + d·[shift]",
    citation="Wu, Hao & Mou 2025, arXiv 2502.04501",
    floor=394,
    axes={"dim": Int(2, 256, log=True), "lr": Float(1e-3, 1.0, log=True), "scale": Choice((True, False))},
    exports=("native", "peft"),
    packable=True,
)
PLANS = [
    plan_row(method="ulpt", smallest=394, largest=9_984, feasible=True, why=""),
    plan_row(method="ia3", smallest=13_824, largest=None, feasible=False, why=WHY),
]


def shown(drawn: RenderableType, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(drawn)
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue().splitlines()


TABLES: dict[str, Callable[[int | None], RenderableType]] = {
    "frontier": lambda width: frontier_table(curve(), width=width),
    "trials": lambda width: trials_table(trial_rows(*searched(), last_step=200), width=width),
    "studies": lambda width: studies_table(STUDIES, width=width),
    "methods": lambda width: methods_table([METHOD], width=width),
    "plan": lambda width: plan_table(PLANS, width=width),
}


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_fits_its_width(name: str, width: int) -> None:
    assert max(cell_len(line) for line in shown(TABLES[name](width), width)) <= width


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", TABLES)
def test_no_number_is_cut_or_folded(name: str, width: int) -> None:
    text = "\n".join(shown(TABLES[name](width), width))
    numbers = {
        "frontier": [f"{p.trainable_parameters:,}" for p in curve().front],
        "trials": [f"{t.parameters:,}" for t in searched()[0]],
        "studies": ["100,000,000", "1,240", "0.733"],
        "methods": ["394"],
        "plan": ["13,824", "9,984"],
    }
    assert [number for number in numbers[name] if number not in text] == []


def test_a_long_name_is_folded_not_cut() -> None:
    text = "".join("\n".join(shown(studies_table(STUDIES, width=80), 80)).split())
    assert text.count("x") == 60
    assert text.count("m") >= 60


def test_wider_terminals_say_more() -> None:
    narrow, wide = (shown(frontier_table(curve(), width=width), width)[0].split() for width in (80, 120))
    assert set(wide) - set(narrow) == {"bytes", "not", "told", "from", "seed"}


def test_the_frontier_at_80_columns() -> None:
    front = (point(3, 788, 0.64, test=0.62), point(12, 9216, 0.71, test=0.70, method="lora"))
    assert [line.rstrip() for line in shown(frontier_table(Curve("s", 10_000, front), width=80), 80)] == [
        "trial  method  parameters  valid.            test, 95 %  hyperparameters",
        "─" * 80,
        "    3  ulpt           788   0.640  0.620 [0.600, 0.640]  dim=2",
        "   12  lora         9,216   0.710  0.700 [0.680, 0.720]  dim=2",
    ]


def test_a_row_of_the_frontier_says_whom_it_is_not_told_from() -> None:
    rows = frontier_rows(Curve("s", 1000, (point(0, 400, 0.60), point(1, 500, 0.61), point(2, 600, 0.9))))
    assert [row.not_told_from for row in rows] == ["1", "0", "–"]
    assert rows[0].test == "–"


def test_many_that_are_not_told_apart_are_counted_not_listed() -> None:
    rows = frontier_rows(Curve("s", 1000, tuple(point(n, 400 + n, 0.6 + n / 1000) for n in range(9))))
    assert rows[0].not_told_from == "1, 2, 3, 4 +4"
    assert rows[8].not_told_from == "0, 1, 2, 3 +4"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_a_program_reads_has_one_line_a_row(name: str) -> None:
    rows = {"frontier": len(curve().front), "trials": 40, "studies": 2, "methods": 1, "plan": 2}
    lines = shown(TABLES[name](None), 100_000)
    assert len(lines) == rows[name] + 1
    assert all(line == line.rstrip() for line in lines)
    assert any(WHY in line for line in lines) == (name == "plan")


def test_brackets_in_names_are_not_markup() -> None:
    drawn = frontier_table(Curve("s", 1000, (point(0, 400, 0.6, method="[red]x[/red]"),)), width=80)
    assert "[red]x[/red]" in shown(drawn, 80)[2]


@pytest.mark.parametrize(
    ("steps", "problems", "state"),
    [
        ((), (), "waiting"),
        ((25, 50), (), "stopped"),
        ((25, 200), (), "done"),
        ((), (False, False), "waiting"),
        ((25,), (False, False, False), "failed"),
        ((25,), (True,), "failed"),
        ((200,), (False, False, False), "done"),
    ],
)
def test_where_a_trial_stands(steps: tuple[int, ...], problems: tuple[bool, ...], state: str) -> None:
    results = [result(0, 0.5, step=step) for step in steps]
    gone = [Problem(0, "died", fatal=fatal, alone=True) for fatal in problems]
    assert state_of(trial(0), results, gone, last_step=200) == state


def test_a_row_of_a_trial_has_its_latest_score_or_its_error() -> None:
    rows = trial_rows(
        [trial(0), trial(1), trial(2, finalist=0)],
        [result(0, 0.6), result(0, 0.5, step=100), result(2, 0.55, split="test")],
        [Problem(1, "loss is nan\n  at step 31", fatal=True)],
        last_step=200,
    )
    assert [(row.state, row.step, row.score) for row in rows] == [("done", "200", "0.600"), ("failed", "–", "–"), ("done", "200", "0.550")]
    assert [row.note for row in rows] == ["dim=2 lr=0.0123", "loss is nan at step 31", "final of 0: dim=2 lr=0.0123"]


def test_a_study_has_a_row_for_each_of_its_trials() -> None:
    trials, results, problems = finished()
    rows = trial_rows(trials, results, problems, last_step=200)
    assert [row.trial for row in rows] == [str(t.number) for t in trials]
    assert {row.state for row in rows} == {"done", "failed", "stopped"}


def test_an_infeasible_method_keeps_its_way_out() -> None:
    text = " ".join(" ".join(line.split()) for line in shown(plan_table(PLANS, width=80), 80))
    words = [word for word in WHY.split() if word not in text]
    assert words == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (axis(Int(2, 256, log=True)), "2–256 log"),
        (axis(Float(0.0001, 1.0)), "0.0001–1"),
        (axis(Choice(("all", True, 3))), "all | yes | 3"),
        (axis(0.5), "0.5"),
        (configuration({"lr": 0.0031623, "scale": False, "modules": "q,v"}), "lr=0.00316 scale=no modules=q,v"),
        (duration(75.4), "1:15"),
        (duration(3675), "1:01:15"),
        (duration(0), "0:00"),
        (size(812), "812 B"),
        (size(3_152), "3.2 KB"),
        (size(4_800_000), "4.8 MB"),
        (shorten("ulpt+bitfit", 6), "ulpt+…"),
    ],
)
def test_how_values_are_written(written: str, meant: str) -> None:
    assert written == meant
