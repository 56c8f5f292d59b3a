"""Every test that `docs/traps.md` names is there."""

import ast
import re
from pathlib import Path

import ulpt_search

ROOT = Path(ulpt_search.__file__).parent
PAGE = (ROOT / "docs" / "traps.md").read_text(encoding="utf8")


def defined() -> set[str]:
    trees = (ast.parse(path.read_text(encoding="utf8")) for path in (ROOT / "tests").rglob("test_*.py"))
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_named_tests_and_files_exist() -> None:
    files = set(re.findall(r"\btest_\w+\.py\b", PAGE))
    names = {name for name in re.findall(r"\btest_\w+\b(?!\.py)", PAGE) if f"{name}.py" not in files}
    assert len(names) > 20
    assert sorted(names - defined()) == []
    assert sorted(file for file in files if not list((ROOT / "tests").rglob(file))) == []


def test_named_tests_of_the_other_pages_exist() -> None:
    for page in (ROOT / "docs" / "durability.md", ROOT / "SECURITY.md"):
        text = page.read_text(encoding="utf8")
        files = set(re.findall(r"\btest_\w+\.py\b", text))
        names = {name for name in re.findall(r"\btest_\w+\b(?!\.py)", text) if f"{name}.py" not in files}
        assert len(names) > 5
        assert sorted(names - defined()) == []
        assert sorted(file for file in files if not list((ROOT / "tests").rglob(file))) == []
