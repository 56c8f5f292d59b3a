"""`docs/peft.md` says of every type of PEFT what the code says."""

from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

import ulpt_search
from ulpt_search.benchmarks.peft_page import page
from ulpt_search.search.cli import main
from ulpt_search.workers import peft_bridge

WRITTEN = (Path(ulpt_search.__file__).parent / "docs" / "peft.md").read_text(encoding="utf8")


@pytest.mark.skipif(f"PEFT {version('peft')}." not in WRITTEN, reason="the page is about another version of PEFT")
def test_the_page_is_what_its_command_writes() -> None:
    assert page() == WRITTEN


def test_no_type_is_forgotten() -> None:
    types = {str(kind.value) for kind in PEFT_TYPE_TO_CONFIG_MAPPING}
    assert peft_bridge.usable().keys() | peft_bridge.refused().keys() == types
    assert not peft_bridge.usable().keys() & peft_bridge.refused().keys()
    assert all(f"`peft:{kind.lower()}`" in page() for kind in peft_bridge.usable())
    assert all(f"| {kind} | {why} |" in page() for kind, why in peft_bridge.refused().items())


def test_the_command_names_those_that_can_be_tried_in_one_line() -> None:
    told = CliRunner().invoke(main, ["methods"]).output.splitlines()
    (line,) = [line for line in told if "peft:hra" in line]
    assert all(f"peft:{kind.lower()}" in line for kind in peft_bridge.usable())
    assert "peft:poly" not in line
