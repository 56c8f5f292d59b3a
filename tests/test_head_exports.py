"""A trained head in stock libraries' own forms: each reloads elsewhere to the trained scores, or is refused on paper with its reason."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.exports import export, load_export, verify
from ulpt_search.workers.exports.card import Card
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.training import worker

from . import toy, zoo
from .exporting import searched_scores, setup, task_folder, trained, trial
from .test_proof import edited, run, snippets

LAST: Hyperparameters = {"bias": False}
POOLER: Hyperparameters = {"pooling": "pooler"}


def joined(values: Hyperparameters) -> Hyperparameters:
    return {f"head.{key}": value for key, value in values.items()}


CASES: list[tuple[str, str, Hyperparameters, str]] = [
    ("encoder", "head", {}, "merged"),
    ("encoder", "head", {"pooling": "first", "rank": 2}, "merged"),
    ("encoder", "head", {"pooling": "last", "bias": False}, "merged"),
    ("encoder", "head", POOLER, "merged"),
    ("encoder", "lora+head", joined(POOLER), "peft"),
    ("encoder", "bitfit+head", joined({**POOLER, "rank": 1}), "peft"),
    ("encoder", "ln_tuning+head", joined(POOLER), "merged"),
    ("decoder", "head", LAST, "merged"),
    ("decoder", "ia3+head", joined(LAST), "peft"),
    ("decoder", "lora+head", joined({**LAST, "rank": 2}), "peft"),
    ("decoder", "lora+head", joined(LAST), "merged"),
    ("gpt2", "ln_tuning+head", joined(LAST), "peft"),
    ("gpt2", "head", LAST, "merged"),
    ("encoder-decoder", "head", {}, "native"),
    ("decoder", "prefix+head", {}, "native"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_folder(tmp_path_factory.mktemp("heads"))


def made(folder: Path, case: tuple[str, str, Hyperparameters, str], out: Path, fresh: Fresh) -> Tensor:
    """An export of a trained trial; returns the search's own scores of the validation split."""
    family, name, changes, style = case
    study, config = setup(family, folder), trial(family, name, changes)
    digest = trained(study, config)
    export(study, config, digest, style=style, out=out, fresh=fresh)
    return searched_scores(study, config, digest)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join((case[0], case[1], str(case[2].get("pooling", "")), case[3])))
def test_reloads_to_the_trained_scores(case: tuple[str, str, Hyperparameters, str], folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    wanted = made(folder, case, tmp_path / "out", fresh)
    found = load_export(tmp_path / "out").scores(worker.session(setup(case[0], folder)).task.validation)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    assert wanted.std() > 0.05
    assert verify(tmp_path / "out", fresh=fresh).fine


LINES = [pytest.param(case, marks=[] if number in (0, 3) else pytest.mark.slow) for number, case in enumerate(CASES)]
"""A merged folder and one of PEFT's always, the others before a release."""


@pytest.mark.parametrize("case", LINES, ids=lambda case: "-".join((case[0], case[1], str(case[2].get("pooling", "")), case[3])))
def test_the_lines_of_its_readme_run_as_they_stand(
    case: tuple[str, str, Hyperparameters, str], folder: Path, tmp_path: Path, fresh: Fresh
) -> None:
    out, empty = tmp_path / "out", tmp_path / "empty"
    made(folder, case, out, fresh)
    empty.mkdir()
    evidence = Card.read(out).evidence
    assert evidence is not None
    (answer,) = load_export(out)([evidence.texts[-1][0]])
    for printed in run([(out, snippets(out)[0]), *((empty, edited(lines, out, zoo.saved(case[0]))) for lines in snippets(out))]):
        label, chance = printed.split()
        assert label == answer["label"]
        assert float(chance) == pytest.approx(answer["probability"], abs=2e-4)


@pytest.mark.parametrize(
    ("family", "name", "changes", "style", "why"),
    [
        ("decoder", "head", {}, "merged", "has no bias; with head.bias: false it holds the head; take native"),
        ("decoder", "lora+head", joined({"pooling": "mean", "bias": False}), "peft", "is not one linear map where this head reads"),
        ("encoder", "lora+head", {}, "peft", "is not one linear map where this head reads; take native or merged"),
        ("encoder", "head", POOLER, "peft", "head is nothing that PEFT computes"),
        ("encoder", "ulpt+head", joined(POOLER), "peft", "move the place that its classes for classification read"),
        ("encoder-decoder", "head", {}, "merged", "is not one linear map where this head reads; take native"),
    ],
)
def test_what_no_stock_class_computes_is_refused(
    family: str, name: str, changes: Hyperparameters, style: str, why: str, folder: Path, tmp_path: Path
) -> None:
    study, config = setup(family, folder), trial(family, name, changes)
    with pytest.raises(WrongInput, match=why):
        export(study, config, "0" * 64, style=style, out=tmp_path / "out")


def test_sentence_transformers_gives_the_scores_itself(folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    for pooling in ("mean", "first", "last"):
        out = tmp_path / pooling
        made(folder, ("encoder", "head", {"pooling": pooling}, "merged"), out, fresh)
        texts = list(toy.rows().texts_a[:12])
        chances = SentenceTransformer(str(out), device="cpu").encode(texts, convert_to_tensor=True).softmax(-1)
        for answer, row in zip(load_export(out)(texts), chances, strict=True):
            assert float(row.max()) == pytest.approx(answer["probability"], abs=2e-4)


def test_a_class_knows_its_labels_and_agrees_in_padded_batches(folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    """A pipeline finds the names; texts of other lengths beside a row change nothing."""
    wanted = made(folder, ("encoder", "head", POOLER, "merged"), tmp_path / "out", fresh)
    model: Any = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    task = worker.session(setup("encoder", folder)).task
    assert (model.config.id2label, model.config.problem_type) == (dict(enumerate(task.labels)), "single_label_classification")
    texts = list(task.validation.texts_a)
    with torch.no_grad():
        found = model(**tokenizer(texts, return_tensors="pt", padding=True)).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_peft_folder_holds_adapter_and_head_once(folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    out = tmp_path / "out"
    made(folder, ("decoder", "lora+head", joined(LAST), "peft"), out, fresh)
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["task_type"], config["modules_to_save"]) == ("SEQ_CLS", ["score"])
    held = safetensors.torch.load_file(out / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in held.values()) == Card.read(out).trainable_parameters
    assert [name for name in held if "score" in name] == ["base_model.model.score.weight"]


def zeroed(out: Path, file: str, part: str) -> None:
    """Let the card agree with a folder one of whose tensors was lost."""
    from .test_proof import agree

    held = safetensors.torch.load_file(out / file)
    changed = {name: torch.zeros_like(tensor) if part in name else tensor for name, tensor in held.items()}
    assert any(not torch.equal(changed[name], held[name]) for name in held)
    safetensors.torch.save_file(changed, out / file, metadata={"format": "pt"})
    agree(out)


@pytest.mark.parametrize(
    ("case", "file", "part"),
    [
        (("decoder", "lora+head", joined(LAST), "peft"), "adapter_model.safetensors", "score"),
        (("decoder", "lora+head", joined(LAST), "peft"), "adapter_model.safetensors", "lora_B"),
        (("encoder", "head", {}, "merged"), "2_Dense/model.safetensors", "weight"),
        (("encoder", "head", POOLER, "merged"), "model.safetensors", "classifier.weight"),
        (("encoder", "ulpt+head", {}, "native"), "adapter.safetensors", "ulpt.Z"),
        (("encoder", "ulpt+head", {}, "native"), "adapter.safetensors", "head.W"),
    ],
    ids=str,
)
def test_a_lost_head_or_a_lost_adapter_beside_it_is_refused(
    case: tuple[str, str, Hyperparameters, str], file: str, part: str, folder: Path, tmp_path: Path, fresh: Fresh
) -> None:
    out = tmp_path / "out"
    made(folder, case, out, fresh)
    zeroed(out, file, part)
    failed = verify(out, fresh=fresh).failed
    assert failed is not None
    assert failed.name == "outputs"
