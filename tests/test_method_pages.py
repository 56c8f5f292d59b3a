"""`docs/methods.md` is what the code says, and the code says of every method where it comes from and where it differs."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import ulpt_search
from ulpt_search.search.cli import main
from ulpt_search.search.cli.method_pages import markdown
from ulpt_search.workers.catalogue import catalogue, rules
from ulpt_search.workers.method import Method
from ulpt_search.workers.optimizer import Optimizer

PAGE = Path(ulpt_search.__file__).parent / "docs" / "methods.md"
EVERYTHING: dict[str, type[Method] | type[Optimizer]] = {**catalogue(), **rules()}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf8") == markdown(), "write it again: ulpt-search methods --markdown > docs/methods.md"


def test_the_command_prints_it() -> None:
    assert CliRunner().invoke(main, ["methods", "--markdown"]).output == markdown()


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_says_of_each_where_it_comes_from_and_where_it_differs(name: str) -> None:
    cls = EVERYTHING[name]
    for said in (cls.formula, cls.citation, cls.published, cls.deviations):
        assert said
        assert "\n" not in said
    section = markdown().partition(f"### `{name}`: ")[2].partition("###")[0]
    assert [line for line in section.splitlines() if line.startswith("    ")], f"the module of {name} has no equation"
