"""`docs/architecture.md` speaks of folders and files that exist, and leaves none of the folders out."""

import re
from pathlib import Path

import pytest

import ulpt_search

ROOT = Path(ulpt_search.__file__).parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf8")
ROOMS = ("spaces", "workers", "search", "dashboards")


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def way(title: str) -> list[str]:
    """The files of a numbered way, one a step."""
    return re.findall(r"^\d+\. `([\w/.]+)`", section(title), flags=re.MULTILINE)


def test_every_folder_of_the_rooms_has_its_line() -> None:
    told = {folder.rstrip("/") for folder in re.findall(r"^\| `([\w/]+)` \|", PAGE, flags=re.MULTILINE)}
    kept = [path for room in ROOMS for path in (ROOT / room, *(ROOT / room).rglob("*")) if path.is_dir() and path.name != "__pycache__"]
    assert told == {path.relative_to(ROOT).as_posix() for path in kept if any(child.is_file() for child in path.iterdir())}


@pytest.mark.parametrize(("title", "most"), [("A trial's way, from YAML to the curve", 20), ("An exported adapter's way", 10)])
def test_a_way_is_short_and_its_files_are_there(title: str, most: int) -> None:
    files = way(title)
    assert 5 <= len(files) == len(set(files)) <= most
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:spaces|workers|search|dashboards|tests)/[\w/.]*)`", PAGE))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(("room", "most"), [("search", 12), ("workers", 12)])
def test_a_room_is_seen_at_a_glance(room: str, most: int) -> None:
    assert len([path for path in (ROOT / room).iterdir() if path.name != "__pycache__"]) <= most


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf8").splitlines()) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert {path.relative_to(ROOT).as_posix(): length for path, length in lengths.items() if length > 350} == {}
