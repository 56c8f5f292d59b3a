"""A number, any number of labels, pairs read apart: exported, reloaded and used; what no stock class computes is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports import Predictor, evaluate, export, load_export, verify
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.scoring import value

from . import asked, zoo
from .door import call, values
from .exporting import STEPS, trained
from .test_proof import edited, run, snippets

POOLER: Hyperparameters = {"pooling": "pooler"}
CASES: list[tuple[str, str, bool, str, Hyperparameters, str]] = [
    ("encoder", "regression", False, "head", POOLER, "merged"),
    ("encoder", "regression", False, "lora+head", {"head.pooling": "pooler", "lora.lr": 0.03}, "peft"),
    ("encoder", "regression", True, "lora", {"lr": 0.03}, "peft"),
    ("encoder", "regression", True, "lora", {"lr": 0.03}, "merged"),
    ("encoder", "regression", True, "ulpt+head", {"head.features": "both,difference"}, "native"),
    ("decoder", "multi_label", False, "lora+head", {"head.bias": False, "lora.lr": 0.03}, "peft"),
    ("encoder", "multi_label", False, "head", {"rank": 2}, "merged"),
    ("encoder-decoder", "multi_label", True, "head", {}, "native"),
]
SLOW, LINES = (0, 3, 4, 5, 6), (0, 3, 5)
"""Cases before a release only, and those whose README is run as it stands."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds")


def setup(family: str, kind: str, pairs: bool, folders: Path) -> Setup:
    path = folders / f"{kind}-{pairs}"
    if not path.exists():
        asked.folder(path, kind, pairs=pairs)
    task = asked.spec(path / kind, pairs="apart" if pairs else "auto")
    model = ModelSpec(zoo.saved(family), dtype="float32", device="cpu")
    return Setup(model, task, Training(steps=STEPS, rungs=(STEPS,), batch=8), store=str(folders / "store"))


def trial(study: Setup, name: str, changes: Hyperparameters) -> Trial:
    return Trial(0, name, changes, seed=3, parameters=count(name, changes, worker.session(study).backbone.shape))


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.slow] if number in SLOW else []) for number, case in enumerate(CASES)],
    ids=lambda case: "-".join((case[0], case[1], "pairs" if case[2] else "texts", case[3], case[5])),
)
def test_reloads_and_is_used_as_it_was_trained(
    case: tuple[str, str, bool, str, Hyperparameters, str], folders: Path, tmp_path: Path, fresh: Fresh
) -> None:
    family, kind, pairs, name, changes, style = case
    study = setup(family, kind, pairs, folders)
    config, out, empty = trial(study, name, changes), tmp_path / "out", tmp_path / "empty"
    digest = trained(study, config)
    export(study, config, digest, style=style, out=out, fresh=fresh)
    assert verify(out, fresh=fresh).fine
    session, predictor = worker.session(study), load_export(out)
    pack, _, _ = worker.restore_from(session.backbone, session.store, [Assignment(config, 0, digest)])
    wanted, test = session.trainer.predict(pack, session.splits["test"])[0], session.task.test
    torch.testing.assert_close(predictor.scores(test), wanted, rtol=1e-3, atol=1e-3)
    targets = test.targets(session.task.kind, len(session.task.labels))
    found = evaluate(out, study.task)
    assert found["score"] == pytest.approx(value(session.task.metric, wanted.numpy(), targets, classes=len(session.task.labels)), abs=1e-4)
    texts: list[Any] = [(test.texts_a[0], str(test.texts_b[0]))] if pairs else [test.texts_a[0]]
    (answer,) = predictor(texts)
    _agrees(answer, wanted[0], session.task.labels)
    if case in [CASES[number] for number in LINES]:
        _readme_runs(out, empty, family, predictor)


def _readme_runs(out: Path, empty: Path, family: str, predictor: Predictor) -> None:
    assert predictor.card.evidence is not None
    first, second = predictor.card.evidence.texts[-1]
    (answer,) = predictor([first if second is None else (first, second)])
    empty.mkdir()
    several = predictor.card.answers.kind == "multi_label"
    shown = answer["labels"] if several else answer["number"]
    for printed in run([(out, snippets(out)[0]), *((empty, edited(lines, out, zoo.saved(family))) for lines in snippets(out))]):
        assert printed.strip() == str(shown) if several else float(printed) == pytest.approx(shown, abs=2e-3)


def _agrees(answer: dict[str, Any], scores: Tensor, labels: tuple[str, ...]) -> None:
    if not labels:
        assert answer["number"] == pytest.approx(scores.item(), abs=2e-3)
        return
    assert answer["labels"] == [label for label, score in zip(labels, scores, strict=True) if score > 0]
    assert list(answer["probabilities"].values()) == pytest.approx(scores.sigmoid().tolist(), abs=2e-3)


@pytest.mark.parametrize(("kind", "problem"), [("regression", "regression"), ("multi_label", "multi_label_classification")])
def test_a_stock_class_knows_what_its_outputs_are(kind: str, problem: str, folders: Path, tmp_path: Path, fresh: Fresh) -> None:
    study = setup("encoder", kind, False, folders)
    config = trial(study, "head", POOLER)
    export(study, config, trained(study, config), style="merged", out=tmp_path / "out", fresh=fresh)
    model: Any = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    task = worker.session(study).task
    names = list(task.labels) or ["number"]
    assert (model.config.problem_type, list(model.config.id2label.values()), model.config.num_labels) == (problem, names, len(names))
    with torch.no_grad():
        batch = AutoTokenizer.from_pretrained(tmp_path / "out")(list(task.test.texts_a), return_tensors="pt", padding=True)
        found = model(**batch).logits
    torch.testing.assert_close(found, load_export(tmp_path / "out").scores(task.test), rtol=1e-4, atol=1e-3)


def test_sentence_transformers_compares_pairs(folders: Path, tmp_path: Path, fresh: Fresh) -> None:
    study = setup("encoder", "regression", True, folders)
    config = trial(study, "ln_tuning", {})
    export(study, config, trained(study, config), style="merged", out=tmp_path / "out", fresh=fresh)
    test, predictor = worker.session(study).task.test, load_export(tmp_path / "out")
    assert predictor.card.ends is not None
    low, high = predictor.card.ends
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    u, v = (model.encode([str(text) for text in texts], convert_to_tensor=True) for texts in (test.texts_a, test.texts_b))
    torch.testing.assert_close(low + (high - low) * (u * v).sum(-1), predictor.scores(test)[:, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "kind", "pairs", "name", "changes", "style", "why"),
    [
        ("encoder", "regression", True, "head", {}, "merged", "stock classes read a pair as one text, and this head each text by itself"),
        ("decoder", "regression", False, "head", {"bias": False}, "merged", "has no bias, and the mean of the numbers is one; take native"),
    ],
)
def test_what_no_stock_class_computes_is_refused(
    family: str, kind: str, pairs: bool, name: str, changes: Hyperparameters, style: str, why: str, folders: Path, tmp_path: Path
) -> None:
    study = setup(family, kind, pairs, folders)
    with pytest.raises(WrongInput, match=why):
        export(study, trial(study, name, changes), "0" * 64, style=style, out=tmp_path / "out")


def test_the_door_prints_numbers_and_lists(folders: Path, tmp_path: Path, fresh: Fresh) -> None:
    for kind, words in (("regression", ["w1 w2 w30", "w2 w31", "--pairs"]), ("multi_label", ["w1 w2 w30"])):
        study, out = setup("encoder", kind, kind == "regression", folders), tmp_path / kind
        config = trial(study, "head", {})
        export(study, config, trained(study, config), out=out, fresh=fresh)
        (answer,) = values("predict", str(out), *words)
        wanted = (
            f"{answer['number']:.3f}\tw1 w2 w30 | w2 w31" if kind == "regression" else f"{', '.join(answer['labels']) or '-'}\tw1 w2 w30"
        )
        assert call("predict", str(out), *words).stdout.strip() == wanted
        assert values("evaluate", str(out), "--task", str(study.task.path))["metric"] == worker.session(study).task.metric
    assert "compares two texts; give pairs, on the command line with --pairs" in call("predict", str(tmp_path / "regression"), "w1").stderr
    assert "got 1 texts; give an even number" in call("predict", str(tmp_path / "regression"), "w1", "--pairs").stderr
    with pytest.raises(WrongInput, match="is a multi-label task; the adapter is of a regression task"):
        evaluate(tmp_path / "regression", setup("encoder", "multi_label", False, folders).task)
