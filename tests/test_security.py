"""What SECURITY.md says of our own code and of what we print. What is read and written from elsewhere has its tests beside it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ulpt_search
from ulpt_search.search.cli.exits import exit_code
from ulpt_search.search.home import Home
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.secrecy import masked

ROOT = Path(ulpt_search.__file__).parent
FILES = sorted(path for room in ("spaces", "workers", "search", "dashboards") for path in (ROOT / room).rglob("*.py"))
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
READS_PICKLES = {
    "pickle.load",
    "pickle.loads",
    "torch.load",
    "joblib.load",
    "yaml.load",
    "numpy.load",
    "np.load",
    "dill.load",
    "marshal.load",
}


def called(node: ast.AST) -> str:
    """`torch.load` for `torch.load(...)`."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Call):
                yield path, node


def test_nothing_that_is_read_is_run() -> None:
    """Neither code nor pickles, and no shell: over all calls in the house."""
    found = [f"{path.name}:{node.lineno} {called(node)}" for path, node in calls() if called(node) in RUNS_CODE | READS_PICKLES]
    shells = [f"{path.name}:{node.lineno}" for path, node in calls() if called(node) == "os.system" or _given(node, "shell")]
    assert (found, shells) == ([], [])


def test_code_of_models_is_never_trusted() -> None:
    trusted = [f"{path.name}:{node.lineno}" for path, node in calls() if _given(node, "trust_remote_code")]
    assert trusted == []
    named = [node for _, node in calls() if any(keyword.arg == "trust_remote_code" for keyword in node.keywords)]
    assert named, "a rule about what nobody says would hold of anything"


def _given(node: ast.Call, name: str) -> bool:
    """Whether an option is given and is not plainly False."""
    return any(one.arg == name and not (isinstance(one.value, ast.Constant) and one.value.value is False) for one in node.keywords)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ada:s3cret@db/ulpt", "postgresql://ada:***@db/ulpt"),
        ("postgresql://ada@db/ulpt?password=s3cret&sslmode=require", "postgresql://ada@db/ulpt?password=***&sslmode=require"),
        (
            "--ledger 'postgresql://a:s3cret@h/d' --store s3://b?aws_secret=s3cret",
            "--ledger 'postgresql://a:***@h/d' --store s3://b?aws_secret=***",
        ),
        ("https://user:s3cret@mlflow:5000/x", "https://user:***@mlflow:5000/x"),
        ("sqlite:////home/ada/a:b@c/ledger.sqlite", "sqlite:////home/ada/a:b@c/ledger.sqlite"),
        ("token_ids=12 of http://host:5000/a", "token_ids=12 of http://host:5000/a"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_no_error_shows_a_password(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """From the database's own refusal, and whatever a library says, to the line on the screen."""

    def open_ledger() -> None:
        Ledger.open("postgresql://ada:s3cret@127.0.0.1:1/ulpt?password=s3cret&connect_timeout=1")

    assert exit_code(open_ledger) == 2
    for error in (Failure("at http://a:s3cret@h"), WrongInput("mysql://a:s3cret@h"), click.UsageError("no://a:s3cret@h")):

        def fail(error: Exception = error) -> None:
            raise error

        assert exit_code(fail) > 0
    told = capsys.readouterr().err
    assert told.count("***") >= 4
    assert "s3cret" not in told


def test_a_home_made_by_us_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    Home.at(tmp_path / "there").prepare()
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o755, "a folder that was there stays as it was"
