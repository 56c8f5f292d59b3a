"""How the house is built: which room may know which, who owns a heavy library, and that what is said of it is true."""

import ast
import importlib
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from click.testing import CliRunner

import ulpt_search
from ulpt_search.search.cli import COMMANDS, main

ROOT = Path(ulpt_search.__file__).parent
ROOMS = ("spaces", "workers", "search", "dashboards")
MAY_USE = {
    "spaces": {"spaces"},
    "workers": {"spaces", "workers"},
    "dashboards": {"spaces", "dashboards"},
    "search": {"spaces", "workers", "dashboards", "search"},
}
ORDER = {
    "search": ("values", "home", "request", "brain", "ledger", "keeping", "tracking", "running", "cli"),
    "workers": (
        "configurable", "method", "peft_bridge", "methods", "tasks", "model", "optimizer", "optimizers", "catalogue", "training", "exports",
    ),
}  # fmt: skip
"""The folders and files of a room, each of which may know those before it."""
OWNERS = {
    "alembic": ("search/ledger/",),
    "mlflow": ("search/tracking/",),
    "optuna": ("search/brain/sampler.py",),
    "ray": ("search/running/cluster.py", "search/running/tune_jobs.py"),
    "sqlalchemy": ("search/ledger/",),
}
FOREIGN = {
    "spaces": {"torch", "transformers", "datasets", "peft", "safetensors", "ray", "optuna", "mlflow", "sqlalchemy"},
    "dashboards": {"torch", "transformers", "datasets", "peft", "safetensors", "ray", "optuna", "mlflow", "sqlalchemy"},
    "workers": {"ray", "optuna", "mlflow", "sqlalchemy", "alembic", "click", "rich"},
    "search": set[str](),
}
README = (ROOT / "README.md").read_text(encoding="utf8")


def files() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names, wherever in it: `ulpt_search.spaces.records` for the relative ones."""
    package = ("ulpt_search", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", files(), ids=name)
def test_a_room_knows_only_the_rooms_below_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    known = {module.split(".")[1] for module in imports(path) if module.startswith("ulpt_search.")}
    assert known & set(ROOMS) <= MAY_USE[room], f"{name(path)} imports from {sorted(known & set(ROOMS) - MAY_USE[room])}"


def as_imported(path: Path) -> str:
    """A file as others import it: `search.brain.study`, and `search.brain` for its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {as_imported(path): path for path in files()}
KNOWN = {
    importer: {target.removeprefix("ulpt_search.") for target in imports(path)} & MODULES.keys() - {importer, importer.rpartition(".")[0]}
    for importer, path in MODULES.items()
}
"""Which of our modules each of them imports, wherever in the file; not the folder that it lies in, as in `from . import finals`."""


@pytest.mark.parametrize("room", sorted(ORDER))
def test_every_folder_of_a_room_has_its_place(room: str) -> None:
    assert {module.split(".")[1] for module in MODULES if module.startswith(f"{room}.")} == set(ORDER[room])


@pytest.mark.parametrize("importer", [module for module in MODULES if module.split(".")[0] in ORDER and "." in module])
def test_imports_inside_a_room_flow_one_way(importer: str) -> None:
    room, folder = importer.split(".")[:2]
    before = ORDER[room][: ORDER[room].index(folder) + 1]
    later = sorted(known for known in KNOWN[importer] if known.startswith(f"{room}.") and known.split(".")[1] not in before)
    assert not later, f"{importer} imports {later[0]}, which comes after it"


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Anywhere in the house, imports inside functions included."""
    assert len(tuple(TopologicalSorter(KNOWN).static_order())) == len(MODULES)


def test_a_circle_would_be_seen() -> None:
    """A house in which nobody were found to import anybody would have no circles either."""
    assert "search.brain.promotion" in KNOWN["search.brain.study"]
    with pytest.raises(CycleError, match=r"search\.brain\.promotion"):
        tuple(TopologicalSorter({**KNOWN, "search.brain.promotion": {"search.brain.study"}}).static_order())


@pytest.mark.parametrize("path", files(), ids=name)
def test_a_heavy_library_has_one_owner(path: Path) -> None:
    tops = {module.split(".")[0] for module in imports(path)}
    for library, owners in OWNERS.items():
        assert library not in tops or name(path).startswith(owners), f"{name(path)} imports {library}; only {' and '.join(owners)} may"
    assert not tops & FOREIGN[path.relative_to(ROOT).parts[0]]


@pytest.mark.parametrize("path", files(), ids=name)
def test_imports_inside_the_package_are_relative(path: Path) -> None:
    absolute = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("ulpt_search")
    ]
    assert not absolute, f"{name(path)}:{absolute[0].lineno} imports ulpt_search absolutely"


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_owned_libraries_are_used(library: str) -> None:
    """A rule about a library that nobody imports would hold of anything."""
    assert any(library in {module.split(".")[0] for module in imports(path)} for path in files())


def test_every_package_is_listed() -> None:
    listed = set(re.findall(r'^    "(ulpt_search[\w.]*)",$', (ROOT / "pyproject.toml").read_text(encoding="utf8"), flags=re.MULTILINE))
    found = {".".join(("ulpt_search", *path.parent.relative_to(ROOT).parts)) for path in files()}
    assert listed == {*found, "ulpt_search"}


@pytest.mark.parametrize("public", ulpt_search.__all__)
def test_public_names_exist(public: str) -> None:
    assert getattr(ulpt_search, public) is not None


def test_public_names_are_told_to_type_checkers() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf8"))
    told = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level for alias in node.names}
    assert told == set(ulpt_search.__all__)


def test_unknown_public_name() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Studdy'; it has .*Study"):
        ulpt_search.Studdy  # noqa: B018


def test_a_space_is_loaded_by_its_name_alone() -> None:
    space = ulpt_search.load_space("smoke", overrides=["trials=3"])
    assert (space.name, space.trials) == ("smoke", 3)
    assert all(space.methods[name].keys() == ulpt_search.catalogue()[name].axes().keys() for name in space.methods)


def test_the_bare_command_shows_its_help() -> None:
    asked = [[], ["--help"]]
    command = [sys.executable, "-m", "ulpt_search.search.cli"]
    bare, helped = [subprocess.run([*command, *words], capture_output=True, text=True, check=False) for words in asked]
    assert (bare.returncode, bare.stderr) == (0, "")
    assert bare.stdout == helped.stdout
    assert bare.stdout.count("\n") > len(COMMANDS)


def test_import_is_light() -> None:
    heavy = ("torch", "ray", "mlflow", "optuna", "rich", "pydantic")
    script = f"import sys, ulpt_search.search.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert f"  ulpt-search {command}" in result.output.partition("Example:")[2]


def test_help_opens_at_once() -> None:
    """Processor time of the best of a few tries: what the command needs, not what else the machine is doing."""
    assert min(_seconds_of_help() for _ in range(5)) < 0.3


def _seconds_of_help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "ulpt_search.search.cli", "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_commands_and_files_agree() -> None:
    found = {path.stem for path in (ROOT / "search" / "cli" / "commands").glob("*.py")} - {"__init__"}
    assert found == set(COMMANDS)


def _readme_commands() -> list[str]:
    blocks = [text for language, text in re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL) if language == "sh"]
    return [line for line in "\n".join(blocks).splitlines() if line.startswith("ulpt-search ")]


@pytest.mark.parametrize("line", _readme_commands())
def test_readme_commands_exist(line: str) -> None:
    _, command, *words = line.partition("#")[0].split()
    assert command in COMMANDS
    output = CliRunner().invoke(main, [command, "--help"]).output
    assert [word for word in words if word.startswith("--") and word.partition("=")[0] not in output] == []


def test_readme_names_every_command() -> None:
    assert {line.split()[1] for line in _readme_commands()} == set(COMMANDS)


def test_readme_commands_work_as_they_stand_behind_each_other() -> None:
    """The default encoder writes no answers, and a home takes no study that it has."""
    options = {line.split()[1]: line.partition("#")[0].split() for line in _readme_commands()}
    assert "--model" in options["tasks"]
    assert "--home" in options["restore"]


def test_readme_is_short() -> None:
    assert len(README.split()) <= 800


@pytest.mark.parametrize("target", ["demo", "test", "check", "slow", "audit"])
def test_makefile_has_its_targets(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf8"), flags=re.MULTILINE)


def test_ci_calls_the_command_of_the_readme() -> None:
    assert "make test" in README
    assert (ROOT / ".ci" / "run").read_text(encoding="utf8").splitlines()[-1] == "exec make test"


def test_the_command_of_ci_checks_everything_and_a_few_slow_tests() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    assert re.search(r"^test: check$", makefile, flags=re.MULTILINE)
    selected = re.search(r"^SELECTED := (.+)$", makefile, flags=re.MULTILINE)
    assert selected is not None
    assert "-m slow $(SELECTED)" in makefile
    assert all("mark.slow" in (ROOT / path).read_text(encoding="utf8") for path in selected[1].split())


def test_readme_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!http|#)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_nothing_is_imported_twice() -> None:
    """The repository root is a package: pytest must not import it again under its folder's name."""
    importlib.import_module("ulpt_search.spaces.records")
    copies = [module for module in sys.modules if module.endswith(".spaces.records")]
    assert copies == ["ulpt_search.spaces.records"]
