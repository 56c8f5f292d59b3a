"""An adapter of a masked language model leaves as one: reloaded scores are the search's, a README's lines and `fill-mask` agree."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import pipeline

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import Setup
from ulpt_search.workers.exports import export, load_export, verify
from ulpt_search.workers.exports.card import Card
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.training import worker

from . import masked, toy
from .exporting import searched_scores, setup, task_folder, trained, trial
from .test_proof import edited, run, snippets

CASES = [
    ("ulpt", "native"),
    ("ulpt", "peft"),
    pytest.param("lora", "peft", marks=pytest.mark.slow),
    ("lora", "merged"),
    pytest.param("bitfit", "merged", marks=pytest.mark.slow),
    ("dept", "native"),
    ("head", "native"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_folder(tmp_path_factory.mktemp("masks"))


def study(folder: Path) -> Setup:
    """A study of a masked language model."""
    plain = setup("encoder", folder)
    return replace(plain, model=masked.spec("bert"), task=replace(plain.task, calibration="without_text"))


@pytest.mark.parametrize(("name", "style"), CASES)
def test_reloaded_scores_are_those_of_the_search(name: str, style: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    here, config, out = study(folder), trial("encoder", name), tmp_path / "out"
    digest = trained(here, config)
    export(here, config, digest, style=style, out=out, fresh=fresh)
    assert verify(out, fresh=fresh).fine
    session = worker.session(here)
    wanted = searched_scores(here, config, digest)
    torch.testing.assert_close(load_export(out).scores(session.task.validation), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("style", ["peft", "merged"])
def test_a_head_beside_a_mask_leaves_as_it_is(style: str, folder: Path, tmp_path: Path) -> None:
    here, config = study(folder), trial("encoder", "head")
    with pytest.raises(WrongInput, match=rf"^export: this head has no exact {style} form: .*; take native$"):
        export(here, config, "0" * 64, style=style, out=tmp_path / "out")


@pytest.mark.slow
def test_a_readme_s_lines_and_fill_mask_come_to_the_same_answer(folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    here, config = replace(study(folder), task=setup("encoder", folder).task), trial("encoder", "lora")
    jobs, wanted = [], []
    for style in ("peft", "merged"):
        out = tmp_path / style
        export(here, config, trained(here, config), style=style, out=out, fresh=fresh)
        evidence = Card.read(out).evidence
        assert evidence is not None
        (answer,) = load_export(out)([evidence.texts[-1][0]])
        (lines,) = snippets(out)
        jobs.append((tmp_path, edited(lines, out, str(masked.folder("bert")))))
        wanted.append(answer)
    for printed, answer in zip(run(jobs), wanted, strict=True):
        label, chance = printed.split()
        assert label == answer["label"]
        assert float(chance) == pytest.approx(answer["probability"], abs=2e-4)
    fill = pipeline("fill-mask", model=str(tmp_path / "merged"), targets=list(toy.LABELS))
    assert evidence is not None
    best, *_ = fill(evidence.texts[-1][0] + masked.ENDING.replace("{mask}", "<mask>"))
    assert best["token_str"] == wanted[1]["label"]
