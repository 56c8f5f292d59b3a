"""`pydocs`: which package of Python's standard library was this sentence written for? Real text on every machine.

Sentences come from the docstrings of the running Python's own source files, which are parsed, never imported. A sentence
that names its package, or that two packages share, is left out, and no package gives more than `CAP`.
"""

import ast
import hashlib
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from ...spaces.errors import Failure
from ...spaces.space import TaskSpec
from .build import Known, task_from_rows
from .task import Rows, Task

PACKAGES = {
    "asyncio": "asynchronous coroutines, tasks and event loops",
    "email": "mail messages, headers and MIME",
    "http": "web requests, cookies and servers",
    "importlib": "importing modules and finding packages",
    "logging": "log records, handlers and formatters",
    "multiprocessing": "processes, pools and shared memory",
    "unittest": "test cases, assertions and mocks",
    "xml": "markup documents, elements and parsers",
}
"""Package -> what stands for it."""

SHORTEST, LONGEST = 5, 60
"""Words of a sentence; identifiers, numbers and signs are not words."""
CAP = 252
"""Sentences of one package, so that the large ones do not rule."""
SIXTEENTHS = {"train": 10, "validation": 3, "test": 3}
"""Shares of the splits."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def load_pydocs(spec: TaskSpec) -> Task:
    """Return the task; the same on every machine with the same Python. `spec` may set labels, metric and limit.

    Raises `Failure` where this Python came without its source files.
    """
    library = Path(sysconfig.get_path("stdlib"))
    found = {package: sorted(set(_sentences(library / package))) for package in PACKAGES}
    owners: dict[str, set[str]] = {}
    for package, sentences in found.items():
        for sentence in sentences:
            owners.setdefault(sentence.lower(), set()).add(package)
    chosen: list[tuple[str, str, int]] = []
    for number, (package, sentences) in enumerate(found.items()):
        own = [s for s in sentences if len(owners[s.lower()]) == 1 and package not in s.lower()]
        ranked = sorted(own, key=_rank)[:CAP]
        chosen.extend((sentence, _split(position, len(ranked)), number) for position, sentence in enumerate(ranked))
    chosen.sort(key=lambda row: _rank(row[0]))
    rows = {split: _rows([(text, label) for text, s, label in chosen if s == split]) for split in SIXTEENTHS}
    return task_from_rows(spec.name, rows, spec, Known("classification", tuple(PACKAGES)))


def _sentences(package: Path) -> Iterator[str]:
    """Sentences of all docstrings below a folder, white space made even."""
    files = sorted(path for path in package.rglob("*.py") if "test" not in path.relative_to(package).parts[:-1])
    if not files:
        raise Failure(f"task pydocs: {package} has no source files in this Python; give task.path or task.hub instead")
    for file in files:
        for node in _definitions(ast.parse(file.read_bytes())):
            yield from _split_sentences(ast.get_docstring(node) or "")


def _definitions(module: ast.Module) -> Iterator[Documented]:
    """Whatever may have a docstring, however deep; `ast.walk` would visit every expression too, at four times the price."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Documented):
            yield node
        waiting.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.excepthandler))


def _split_sentences(docstring: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", docstring):
        if ">>>" in paragraph:
            continue
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
            if SHORTEST <= sum(map(_is_word, sentence.split())) <= LONGEST:
                yield sentence


def _is_word(token: str) -> bool:
    return token.strip(".,;:!?()\"'`*").isalpha()


def _split(position: int, count: int) -> str:
    """The split of a package's sentence number `position` (in the order of the hash) of `count`."""
    sixteenth = position * 16 // count
    return "train" if sixteenth < SIXTEENTHS["train"] else "validation" if sixteenth < 16 - SIXTEENTHS["test"] else "test"


def _rank(sentence: str) -> bytes:
    return hashlib.sha256(sentence.encode()).digest()


def _rows(chosen: list[tuple[str, int]]) -> Rows:
    return Rows(tuple(text for text, _ in chosen), (None,) * len(chosen), tuple(label for _, label in chosen))
