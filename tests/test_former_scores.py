"""A study from before the model was read as it reads itself goes on only where that changed nothing."""

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from ulpt_search.search.cli.listings import read_task
from ulpt_search.search.ledger.ledger import Ledger
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.exports import Card, export, load_export
from ulpt_search.workers.model import frozen_scores
from ulpt_search.workers.model.former_scores import former_scores, moved, refuse_moved
from ulpt_search.workers.model.identity import former_fingerprint
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.tasks import Task, load_task

from . import families, pairs, toy
from .door import call, drive, inside
from .exporting import trained
from .test_families import rows
from .test_older_homes import HOMES, options

LENGTH = 48
SAME = ("bert", "distilbert", "roberta", "gpt2", "llama", "mistral", "t5", "bart")
"""Single texts, no prefix: read then as now."""
OTHERWISE = {
    "cohere": "its logits are scaled",
    "granite": "its logits are divided",
    "gemma2": "its attention and logits are capped",
    "gpt_oss": "its attention has sinks",
    "marian": "its embeddings are scaled",
    "falcon_h1": "its embeddings are scaled, its logits multiplied",
}


def task(*, paired: bool) -> Task:
    both = rows()
    split = both if paired else replace(both, texts_b=(None,) * len(both))
    return replace(toy.task(), train=split, validation=split, test=split)


def far(name: str, *, paired: bool = False, prefixes: bool = False) -> float:
    return moved(families.backbone(name), task(paired=paired), max_tokens=LENGTH, prefixes=prefixes)


@pytest.mark.parametrize("name", SAME)
def test_what_is_read_as_then_goes_on(name: str) -> None:
    assert far(name) == 0.0
    refuse_moved("study", families.backbone(name), task(paired=False), max_tokens=LENGTH, prefixes=False)


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_read_otherwise_does_not(name: str) -> None:
    assert far(name) > 0.01
    with pytest.raises(WrongInput, match=rf"^study: an earlier version read this {name} otherwise .* under another --study name$"):
        refuse_moved("study", families.backbone(name), task(paired=False), max_tokens=LENGTH, prefixes=False)


def test_token_types_and_positions_count_where_they_are_used() -> None:
    assert far("bert", paired=True) > 0.01
    assert far("gpt2", paired=True) == 0.0
    assert far("roberta", prefixes=True) > 0.01
    assert far("bert", prefixes=True) == 0.0


@torch.no_grad()
def test_it_is_what_that_version_computed() -> None:
    """Worked out with transformers alone for one text, as its code did it: a BERT without types, a Cohere without its logits' scale."""
    for name in ("bert", "cohere"):
        backbone, one = families.backbone(name), task(paired=True)
        data = encode(backbone, one.validation, max_tokens=LENGTH)
        row = next(number for number, second in enumerate(one.validation.texts_b) if second is not None)
        found = former_scores(backbone, one, data, [row])[0]
        ids = torch.tensor(data.ids[row].tolist())[None]
        assert frozen_scores.relative(found, _then(backbone.model, backbone, ids)) < 1e-5


def _then(model: Any, backbone: Any, ids: torch.Tensor) -> torch.Tensor:
    if backbone.family == "decoder":
        words = [backbone.tokenizer(f" {label}", add_special_tokens=False)["input_ids"][0] for label in toy.LABELS]
        return model(input_ids=ids).logits[0, -1, words] / model.logit_scale  # type: ignore[no-any-return]
    text = model(input_ids=ids).last_hidden_state[0].mean(0)
    labels = torch.stack(
        [model(input_ids=torch.tensor([backbone.tokenizer(label)["input_ids"]])).last_hidden_state[0].mean(0) for label in toy.LABELS]
    )
    return torch.nn.functional.cosine_similarity(labels, text[None]) / 0.05


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_a_home_of_then_is_refused_in_one_line_where_the_reading_changed(home: Path, tmp_path: Path) -> None:
    """The old home, had its task been pairs and its tokenizer one that tells them apart: that version dropped the token types."""
    folder = tmp_path / "folder"
    shutil.copytree(home, folder)
    tell_pairs_apart(folder / "encoder")
    lines = [json.loads(line) for line in (folder / "colours.jsonl").read_text(encoding="utf8").splitlines()]
    (folder / "colours.jsonl").write_text("".join(json.dumps({**line, "text_b": "w3 w4 w5"}) + "\n" for line in lines), encoding="utf8")
    with inside(folder):
        restore(folder, digest=load_task(read_task("colours.jsonl")).digest)
        ended = drive(options("half"))
        told = call("export", "whole", "--out", "out", "--home", "home")
    assert ended.code == 2, ended.err
    (line,) = [line for line in ended.err.splitlines() if "--study half" in line]
    assert "--study half: an earlier version read this bert otherwise than it reads itself: without an adapter, scores differ by " in line
    assert Ledger.open(f"sqlite:///{folder / 'home' / 'ledger.sqlite'}").study("half").known is None
    assert told.exit_code == 2
    assert "an earlier version read this bert otherwise" in told.stderr
    assert not (folder / "out").exists()


def tell_pairs_apart(encoder: Path) -> None:
    """Give a tokenizer token types; weights, and with them the model's former fingerprint, stay."""
    core = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    core.post_processor = TemplateProcessing(single="$A", pair="$A $B:1", special_tokens=[])  # type: ignore[assignment, unused-ignore]
    core.save(str(encoder / "tokenizer.json"))
    config = json.loads((encoder / "tokenizer_config.json").read_text(encoding="utf8"))
    config["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (encoder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf8")


def restore(folder: Path, *, digest: str) -> None:
    """Bring the old ledger back, its studies having been begun on the task as it lies there now."""
    database = sqlite3.connect(folder / "home" / "ledger.sqlite")
    database.executescript((folder / "home" / "ledger.sql").read_text(encoding="utf8").replace("{folder}", str(folder)))
    database.execute("UPDATE ulpt_studies SET task_digest = ?", (digest,))
    database.commit()
    database.close()


def test_an_export_of_then_answers_only_where_it_means_what_it_did(tmp_path: Path) -> None:
    """A card without an identity is that version's: it read single texts as today, and dropped what tells a pair's texts apart."""
    study, config = pairs.setup(tmp_path), pairs.trial("prompt")
    export(study, config, trained(study, config), style="native", out=tmp_path / "out")
    card = Card.read(tmp_path / "out")
    assert len(load_export(tmp_path / "out")([("w1 w2", "w3 w4")])) == 1
    replace(card, identity=None, backbone_fingerprint=former_fingerprint(families.backbone("bert").model)).write(tmp_path / "out")
    predict = load_export(tmp_path / "out")
    assert len(predict(["w1 w2"])) == 1
    with pytest.raises(WrongInput, match=r"out: an earlier version read this bert otherwise than it reads itself"):
        predict([("w1 w2", "w3 w4")])
