"""A study goes on as it was begun, also one from before there were identities; its best adapter is the one that its ledger names."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from ulpt_search.search.home import Home
from ulpt_search.search.ledger import migrations
from ulpt_search.search.ledger.ledger import Ledger, StudyRecord
from ulpt_search.search.ledger.migrations.tables import VERSION_TABLE, metadata
from ulpt_search.search.running.deliverables import holds
from ulpt_search.search.running.former_studies import recognise
from ulpt_search.search.running.inspection import Inspection
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Outcome, Result
from ulpt_search.spaces.space import ModelSpec, Setup, Space, TaskSpec, Training
from ulpt_search.spaces.space_json import space_to_json
from ulpt_search.workers.exports import Card
from ulpt_search.workers.model.identity import former_fingerprint

from . import zoo
from .door import call, values
from .identities import IDENTITY, NUMERICS, with_weights
from .ledgers import result, trial

SPACE = Space("s", ModelSpec(zoo.saved("encoder")), TaskSpec(name="colours", max_tokens=32), Training(), {"prompt": {}})


def old_ledger(path: Path, *, fingerprint: str) -> Ledger:
    """A ledger as version 0.1.0 left it: the first step's schema, with a study, a trial and a result in it."""
    engine = sa.create_engine(f"sqlite:///{path}")
    config = Config(attributes={"metadata": metadata, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        study = {"name": "old", "space": json.dumps(space_to_json(SPACE)), "fingerprint": fingerprint, "digest": "d" * 64}
        connection.execute(sa.text("INSERT INTO ulpt_studies VALUES (1, :name, :space, 500, 0, :fingerprint, :digest, '2026')"), study)
        connection.execute(sa.text("INSERT INTO ulpt_trials VALUES (1, 0, 'prompt', '{}', 0, 32, 'search', NULL)"))
        row = "(1, 1, 0, 25, 'validation', 0.5, 0.01, 1.0, 2.0, 'ab', 128)"
        connection.execute(sa.text(f"INSERT INTO ulpt_results VALUES {row}"))
    engine.dispose()
    return Ledger.open(str(path))


def inspection(*, digest: str = "d" * 64) -> Inspection:
    backbone = zoo.backbone("encoder")
    identity = replace(IDENTITY, frozen=backbone.frozen)
    return Inspection(backbone.shape, identity, digest, "accuracy", (), {}, {})


def former() -> str:
    """What version 0.1.0 called the zoo's encoder."""
    from ulpt_search.workers.model.backbone import load

    return former_fingerprint(load(ModelSpec(zoo.saved("encoder"), dtype="float32", device="cpu")).model)


def go_on(ledger: Ledger, space: Space, found: Inspection) -> StudyRecord:
    return ledger.create(
        "old", space=space_to_json(space), budget=500, seed=0, identity=found.identity, recognise=lambda r: recognise(r, space, found)
    )


def test_a_study_from_before_identities_goes_on_and_has_one_from_then_on(tmp_path: Path) -> None:
    ledger = old_ledger(tmp_path / "l", fingerprint=former())
    assert ledger.study("old").known is None
    assert [(one.trial, one.step, one.numerics) for one in ledger.results("old")] == [(0, 25, None)]
    record, found = go_on(ledger, SPACE, inspection()), inspection()
    assert record.known is not None
    assert record.known.differences(found.identity) == ()
    assert record.known.frozen.former == record.fingerprint == former()
    assert ledger.study("old") == record
    with pytest.raises(WrongInput, match=r"model .* \(weights \w+, not eeeeeeeeeeee; .*\)\. Go on as it was begun"):
        ledger.create("old", space=space_to_json(SPACE), budget=500, seed=0, identity=with_weights("e" * 64))


@pytest.mark.parametrize(
    ("fingerprint", "digest", "max_tokens", "told"),
    [
        ("ab" * 32, "d" * 64, 32, r"\(weights abababababab, not \w{12}\)"),
        (None, "e" * 64, 32, r"task colours \(rows, labels or metric dddddddddddd, not eeeeeeeeeeee\)"),
        (None, "d" * 64, 64, r"task colours \(max_tokens 32, not 64\)"),
    ],
    ids=["weights", "rows", "max_tokens"],
)
def test_it_does_not_go_on_as_another(tmp_path: Path, fingerprint: str | None, digest: str, max_tokens: int, told: str) -> None:
    ledger = old_ledger(tmp_path / "l", fingerprint=fingerprint or former())
    with pytest.raises(WrongInput, match=rf"^--study old: was begun with .*{told}\. Go on as it was begun, or give another --study name$"):
        go_on(ledger, replace(SPACE, task=replace(SPACE.task, max_tokens=max_tokens)), inspection(digest=digest))
    assert ledger.study("old").known is None


def test_who_cannot_recognise_such_a_study_leaves_it_alone(tmp_path: Path) -> None:
    ledger = old_ledger(tmp_path / "l", fingerprint="ab" * 32)
    with pytest.raises(WrongInput, match=r"^--study old: was begun by an earlier version; continue it once with ulpt-search run$"):
        ledger.create("old", space=space_to_json(SPACE), budget=500, seed=0, identity=IDENTITY)


def test_other_numerics_are_shown_with_the_trials_that_have_them(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.prepare()
    ledger = Ledger.open(home.ledger_url)
    ledger.create("demo", space=space_to_json(SPACE), budget=500, seed=0, identity=IDENTITY)
    ledger.add_trials("demo", [trial(number) for number in range(4)])
    low = str(replace(NUMERICS, dtype="bfloat16", torch="2.11.0"))
    computed = [str(NUMERICS), low, None, low]
    ledger.record("demo", Outcome(0, tuple(replace(result(number), numerics=each) for number, each in enumerate(computed))))
    assert [one.numerics for one in ledger.results("demo")] == computed
    shown = " ".join(call("show", "demo", "--home", str(tmp_path)).output.split())
    assert "trials 1, 3: computed with bfloat16, not float32, torch 2.11.0, not torch 2.13.0" in shown
    trials = values("show", "demo", "--home", str(tmp_path))["trials"]
    assert [one["results"][0]["numerics"] for one in trials] == computed


BEST = Result(3, 200, "validation", 0.9, 0.0, 0.0, 0.0, "a" * 64, 128)
PLAIN = Card("peft", 3, "prompt", {}, 0, 32, "f" * 64, "m", "w" * 64, "encoder", "t", ("a", "b"), ("a", "b"), "accuracy", 32)
CARD = replace(PLAIN, adapter=BEST.adapter, step=BEST.step, identity=IDENTITY)
STUDY = Setup(SPACE.model, SPACE.task, SPACE.training, "store", identity=IDENTITY)


def test_the_best_adapter_s_folder_is_kept_only_while_it_is_of_that_result(tmp_path: Path) -> None:
    """By its name alone it may be of an earlier step, or of a study of the same name in another ledger."""
    out = tmp_path / "trial-3-peft"
    assert not holds(out, BEST, STUDY)
    out.mkdir()
    CARD.write(out)
    assert holds(out, BEST, STUDY)
    earlier, another = replace(CARD, step=50), replace(CARD, adapter="b" * 64)
    for other in (earlier, another, replace(CARD, identity=with_weights("e" * 64)), PLAIN):
        other.write(out)
        assert not holds(out, BEST, STUDY), other
    (out / "ulpt.json").write_text("{")
    assert not holds(out, BEST, STUDY)
