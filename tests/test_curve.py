import ast
import csv
import io
import itertools
import json
import re
import shutil
import struct
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import ulpt_search
from ulpt_search.dashboards.chart import figure, hover
from ulpt_search.dashboards.csv_file import csv_text, write_csv
from ulpt_search.dashboards.curve import Curve
from ulpt_search.dashboards.headline import headline
from ulpt_search.dashboards.page import page, write_page
from ulpt_search.dashboards.palette import ORDER, THEMES, Scheme, styles
from ulpt_search.dashboards.picture import format_of, picture, write_picture
from ulpt_search.dashboards.points import faint_points
from ulpt_search.dashboards.scale import parameter_range
from ulpt_search.dashboards.verdicts import notes
from ulpt_search.dashboards.words import export_command
from ulpt_search.spaces.errors import WrongInput

from .curve_records import METHODS, curve, finished, point, searched

SCHEMES: tuple[Scheme, ...] = ("light", "dark")
HOSTILE = "</script><script>alert(1)</script>&\"'$x"

MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "none": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
}
"""Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB."""

XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]


class Outline(HTMLParser):
    """The page as a reader without JavaScript or styles has it: text by element, attributes, embedded JSON."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text: dict[str, str] = {}
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag = self._open[-1] if self._open else ""
        self.text[tag] = self.text.get(tag, "") + data
        if tag in ("td", "th"):
            self.rows[-1][-1] += data


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    values: dict[str, Any] = json.loads(found[1])
    return values


def linear(colour: str) -> np.ndarray:
    channel = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """WCAG 2.2 contrast ratio."""
    dark, light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (a, b))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    t = np.array(XYZ) @ rgb.clip(0, 1) / [0.95047, 1, 1.08883]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_ink_can_be_read_on_its_background(scheme: Scheme) -> None:
    theme = THEMES[scheme]
    assert min(contrast(ink, theme.background) for ink in (theme.text, theme.muted, theme.budget)) >= 4.5
    assert min(contrast(colour, theme.background) for colour in theme.methods) >= 3


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("sight", MACHADO)
def test_methods_stay_apart_for_every_kind_of_sight(scheme: Scheme, sight: str) -> None:
    """CIE76 differences: 2.3 is just noticeable."""
    seen = [lab(np.array(MACHADO[sight]) @ linear(colour)) for colour in THEMES[scheme].methods]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 30


def test_no_two_of_42_methods_look_alike() -> None:
    drawn = styles(f"method {n}" for n in range(42)).values()
    assert len({(style.colour("light"), style.matplotlib) for style in drawn}) == 42
    assert len({(style.colour("dark"), style.plotly) for style in drawn}) == 42


def test_every_shipped_method_has_a_look_of_its_own() -> None:
    folder = Path(ulpt_search.__file__).parent / "workers" / "methods"
    shipped = [path.stem for path in folder.glob("[a-z]*.py")]
    assert set(ORDER) <= set(shipped)
    drawn = styles([*shipped, "lora+bitfit", "ulpt+ln_tuning", "peft:loha"])
    assert len(set(drawn.values())) == len(shipped) + 3 > 12


@pytest.mark.parametrize("method", ["lora", "vera", "lora+bitfit", "my_own"])
def test_a_method_looks_the_same_in_every_study(method: str) -> None:
    alone, among = styles([method]), styles([method, "ulpt", "aaa", "zzz", *METHODS])
    assert alone[method] == among[method]
    assert alone[method].is_open == (method not in ORDER)


def test_a_methods_colour_does_not_depend_on_what_has_been_scored() -> None:
    one = Curve("s", 10_000, (point(0, 500, 0.6, method="ulpt"),), methods=METHODS)
    assert one.styles == curve().styles


def test_the_pages_colours_are_those_of_the_palette() -> None:
    style = Outline(page(curve())).text["style"]
    for scheme in SCHEMES:
        for ink in ("background", "text", "muted", "grid", "soft", "budget"):
            assert f"{getattr(THEMES[scheme], ink)};" in style


def test_the_picture_is_a_png_of_1600_by_1000() -> None:
    image = picture(curve())
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", image[16:24]) == (1600, 1000)


def test_the_picture_draws_what_is_there_and_nothing_when_there_is_nothing() -> None:
    full, open_finals, empty = picture(curve()), picture(curve(searched())), picture(Curve("demo", 10_000, ()))
    assert len({full, open_finals, empty}) == 3
    assert len(empty) < len(full)


@pytest.mark.parametrize("method", ["ia3", "loretta_adp+light_peft", "ulpt+bitfit+ln_tuning+senszoq"])
def test_no_label_is_cut_off_at_the_edge(method: str) -> None:
    """The legend stands beside the plot and is as wide as its longest name."""
    from matplotlib.image import imread

    drawn = Curve("demo", 10_000, (point(0, 60, 0.5, test=0.5, method=method), point(1, 9_000, 0.6, test=0.6)))
    pixels = imread(io.BytesIO(picture(drawn)))
    assert (pixels[:, -10:] == pixels[0, 0]).all()


def test_threads_draw_the_same_picture() -> None:
    drawn: list[bytes] = []
    threads = [Thread(target=lambda: drawn.append(picture(curve()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [picture(curve())] * 2


@pytest.mark.parametrize(
    "points",
    [
        (point(0, 1, 0.5),),
        (point(0, 10_000, 0.5),),
        (point(0, 10, 0.5, half=0), point(1, 10, 0.5, half=0)),
        (point(0, 5, -0.2, test=-0.3),),
    ],
    ids=["one parameter", "at the budget", "all the same", "negative"],
)
def test_extreme_curves_are_drawn(points: tuple) -> None:  # type: ignore[type-arg]
    drawn = Curve("demo", 10_000, points)
    low, high = parameter_range(drawn)
    assert low < min(p.trainable_parameters for p in points) <= drawn.budget < high
    assert picture(drawn)
    assert "<table>" in page(drawn)


def test_names_that_mean_something_elsewhere_are_only_names(tmp_path: Path) -> None:
    drawn = Curve(HOSTILE, 10_000, (point(3, 500, 0.6, method=HOSTILE),), metric=HOSTILE, task=HOSTILE, model=HOSTILE)
    write_picture(drawn, tmp_path / "frontier.png")
    text = page(drawn)
    assert "<script>alert" not in text
    outline = Outline(text)
    assert outline.text["h1"] == HOSTILE
    assert outline.rows[1][:2] == ["3", HOSTILE]
    assert embedded(text)["commands"] == {"3": export_command(HOSTILE, 3)}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_plotly_accepts_the_figure(scheme: Scheme) -> None:
    """Plotly's own figure class refuses unknown properties and wrong values."""
    for drawn in (curve(), curve(searched()), Curve("demo", 10_000, ())):
        assert figure(drawn, scheme).layout.xaxis.type == "log"


@pytest.mark.parametrize(("smallest", "labels"), [(6_000, "D1"), (60, "D2"), (1, "D2")])
def test_labels_of_the_parameter_axis_have_room(smallest: int, labels: str) -> None:
    """Every digit below a decade, else 1, 2 and 5: nine labels a decade would lie on each other."""
    drawn = Curve("demo", 10_000, (point(0, smallest, 0.5), point(1, 9_000, 0.6)))
    assert figure(drawn, "light").layout.xaxis.dtick == labels


def test_the_figure_shows_every_point_once_and_the_frontier_as_steps() -> None:
    drawn = curve()
    steps, intervals, *methods = figure(drawn, "light").data
    assert sorted(n for trace in methods for n in trace["customdata"]) == sorted(p.trial for p in drawn.points)
    assert [trace["name"] for trace in methods] == list(METHODS)
    assert steps["line"]["shape"] == "hv"
    assert list(steps["x"]) == [*(p.trainable_parameters for p in drawn.front), 10_000]
    assert list(intervals["y"]) == [p.test_score for p in drawn.front]
    low = [y - minus for y, minus in zip(intervals["y"], intervals["error_y"]["arrayminus"], strict=True)]
    assert low == pytest.approx([p.test_low for p in drawn.front])


def with_faint() -> Curve:
    """The study with everything that it asked for: 7 configurations of 38 scored trials, 2 failed."""
    trials, results, _ = finished()
    return replace(curve(), faint=tuple(faint_points(trials, results)), trials=40, failed=2)


def test_trials_of_earlier_steps_are_drawn_faintly_at_what_they_reached() -> None:
    drawn = with_faint()
    faint = [trace for trace in figure(drawn, "light").data if trace.legendgroup and not isinstance(trace.marker.opacity, tuple)]
    assert sorted(n for trace in faint for n in trace.customdata) == sorted(p.trial for p in drawn.faint)
    assert sorted(y for trace in faint for y in trace.y) == sorted(p.score for p in drawn.faint)
    assert all(trace.marker.opacity < 0.5 and "one trial of the search: not compared" in trace.hovertext[0] for trace in faint)
    assert picture(drawn) != picture(curve())
    assert embedded(page(drawn))["commands"].keys() == {str(p.trial) for p in drawn.drawn}


def test_a_curve_says_of_how_many_trials_it_is() -> None:
    assert with_faint().caption == "pydocs · minilm · 7 of 40 over fresh seeds at step 200, 2 failed"
    assert curve(searched()).caption == "pydocs · minilm · 35 trials at step 200"
    assert Curve("s", 10, (), failed=4).caption == "no results yet, 4 failed"
    outline = Outline(page(with_faint()))
    assert all(fact in outline.text["dd"] for fact in ("configurations at step 200", "31 trials, faint", "2 trials"))


def test_many_that_are_not_told_apart_are_folded_and_stay_behind_the_hyperparameters() -> None:
    front = tuple(point(n, 10 + n, 0.5 + n / 1000) for n in range(9))
    text = page(Curve("s", 100, front))
    assert Outline(text).rows[0][-2:] == ["Hyperparameters", "Not told from"]
    assert "<details><summary>8 others</summary>1, 2, 3, 4, 5, 6, 7, 8</details>" in text


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF"), ("a", b"\x89PNG")])
def test_the_ending_is_the_format(tmp_path: Path, name: str, start: bytes) -> None:
    write_picture(curve(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_vector_picture_is_the_same_twice_and_holds_its_text() -> None:
    drawn = Curve(HOSTILE, 10_000, (point(3, 500, 0.6),))
    svg = picture(drawn, "svg").decode()
    assert svg == picture(drawn, "svg").decode()
    assert ">budget 10,000<" in svg
    assert "<script>" not in svg


def test_an_ending_that_names_no_picture() -> None:
    with pytest.raises(WrongInput, match=r"curve\.svgg: a picture cannot be written as svgg; end its name in .* Did you mean svg\?"):
        format_of(Path("curve.svgg"))


def test_no_file_of_the_dashboards_imports_one_that_imports_it() -> None:
    """Imports inside functions count: a circle that is hidden is a circle."""
    folder = Path(ulpt_search.__file__).parent / "dashboards"
    waiting = {path.stem: neighbours(path) for path in folder.glob("*.py")}
    assert waiting["page"] >= {"curve", "chart"}
    while free := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {name: needs for name, needs in waiting.items() if name not in free}
    assert waiting == {}


def neighbours(path: Path) -> set[str]:
    """The files beside `path` that it imports from."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf8")))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module}


def test_a_hover_tells_method_hyperparameters_and_seed() -> None:
    text = hover(point(7, 1788, 0.71, test=0.69, method="a<b"))
    for part in (
        "<b>a&lt;b</b>",
        "trial 7",
        "1,788 parameters",
        "validation 0.710",
        "mean of 3 fresh seeds",
        "test 0.690 [0.670, 0.710], the same adapters",
        "dim=2",
        "seed 0",
    ):
        assert part in text


def test_the_page_asks_nothing_of_anyone() -> None:
    text = page(curve())
    outline = Outline(text)
    assert not [value for name, value in outline.attributes if name in ("src", "href", "action")]
    assert (
        "content",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:",
    ) in outline.attributes
    assert 'plotlyServerURL: ""' in text
    assert "url(" not in outline.text["style"]


def test_the_page_holds_the_table_the_notes_and_the_commands_as_text() -> None:
    drawn = curve()
    outline = Outline(page(drawn))
    assert [row[0] for row in outline.rows] == ["Trial", *(str(p.trial) for p in drawn.front)]
    assert all(note in outline.text["li"] for note in notes(drawn))
    assert export_command("demo", drawn.front[-1].exported) in outline.text["code"]
    assert outline.text["h1"] == "demo"
    assert headline(drawn) in outline.text["p"]
    assert "(prefers-color-scheme: dark)" in outline.text["style"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the chromium browser")
def test_a_browser_draws_every_trial(tmp_path: Path) -> None:
    drawn = with_faint()
    write_page(drawn, tmp_path / "page.html")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", profile]
    command = ["chromium", *flags, "--virtual-time-budget=8000", "--dump-dom", f"file://{tmp_path}/page.html"]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    marks = re.findall('class="point plotly-customdata"', dom)
    assert len(marks) == len(drawn.drawn) + len(drawn.front)


def test_a_page_without_results_says_so_and_has_no_chart() -> None:
    text = page(Curve("demo", 10_000, ()))
    assert "No trial has been scored yet" in text
    assert 'id="chart"' not in text


def test_the_headline_names_the_best_and_the_smallest_that_is_not_told_from_it() -> None:
    best, cheap, poor = point(1, 800, 0.7, test=0.69, method="lora"), point(0, 400, 0.69, test=0.68), point(2, 100, 0.5, test=0.5)
    text = headline(Curve("s", 1000, (best, cheap, poor), metric="accuracy"))
    assert text == (
        "The best adapter is lora with 800 parameters: accuracy 0.700 in validation (0.690 [0.670, 0.710] on the test split). "
        "Validation does not tell it from ulpt with 400, trial 0; differences under 0.028 are not seen."
    )


def test_the_csv_reads_back_as_the_frontier() -> None:
    drawn = curve()
    rows = list(csv.DictReader(io.StringIO(csv_text(drawn.front))))
    assert list(rows[0]) == list(drawn.front[0].to_json())
    for row, each in zip(rows, drawn.front, strict=True):
        assert (int(row["trial"]), float(row["score"])) == (each.trial, each.score)
        assert json.loads(row["hyperparameters"]) == dict(each.hyperparameters)
        assert json.loads(row["seeds"]) == list(each.seeds)


def test_the_files_are_what_the_functions_return(tmp_path: Path) -> None:
    drawn = curve()
    write_csv(drawn, tmp_path / "a.csv")
    write_picture(drawn, tmp_path / "a.png")
    write_page(drawn, tmp_path / "a.html")
    assert (tmp_path / "a.csv").read_text() == csv_text(drawn.front)
    assert (tmp_path / "a.png").read_bytes() == picture(drawn)
    assert (tmp_path / "a.html").read_text() == page(drawn)


def test_a_study_with_a_space_in_its_name_is_quoted_in_commands() -> None:
    assert export_command("my study", 3) == "ulpt-search export 'my study' --trial 3 --out 'my study-trial-3'"
