"""A whole search on numbers of pairs, and one on any number of labels: from a space file to what the best adapter's folder answers."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ulpt_search.search.ledger.ledger import Ledger

from . import asked, zoo
from .door import inside, values
from .processes import Program

SPACE = """
model: ./encoder
task: {name: toy, path: ./KIND}
methods:
  lora: {rank: 1, layers: "last:1", init: kaiming, dora: false}
  head: {rank: 0, init: {choice: [zero, ridge]}}
  ia3+head: {ia3.layers: "last:1", head.rank: 0, head.init: ridge}
steps: 8
rungs: [4, 8]
batch: 4
trials: 5
finalists: 2
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "best"), [("regression", "number"), ("multi_label", "labels")])
def test_a_search_from_end_to_end(kind: str, best: str, tmp_path: Path) -> None:
    asked.folder(tmp_path, kind, pairs=kind == "regression")
    zoo.save("encoder", tmp_path / "encoder")
    (tmp_path / "space.yaml").write_text(SPACE.replace("KIND", kind), encoding="utf8")
    words = ["run", "--space", "space.yaml", "--budget", "400", "--study", "toy", "--home", "home"]
    with TemporaryDirectory(prefix="t-", dir="/tmp") as temporary:  # Ray's socket paths must be short
        program = Program(["-W", "default", "-m", "ulpt_search.search.cli", *words], folder=tmp_path, temporary=Path(temporary))
        status, _, err = program.end(seconds=280)
    assert status == 0, err
    assert ("lora is left out: no configuration fits this model: lora: any number of labels a row is read by a head" in err) == (
        kind == "multi_label"
    )
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite'}")
    assert {result.split for result in ledger.results("toy")} == {"validation", "test"}
    with inside(tmp_path):
        curve = values("frontier", "toy", "--home", "home")
        folders = list(Path("home/curves/toy").glob("trial-*"))
        assert len(folders) == 1
        (answer,) = values("predict", str(folders[0]), "w1 w2 w30", *(["w2 w31", "--pairs"] if kind == "regression" else []))
    assert curve
    assert best in answer
