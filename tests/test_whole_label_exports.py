"""Labels of several tokens leave with an adapter: reloaded scores are the search's, and a README's lines come to the same answer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ulpt_search.spaces.space import Setup
from ulpt_search.workers.exports import export, load_export, verify
from ulpt_search.workers.exports.card import Card
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.training import worker

from . import toy, zoo
from .exporting import searched_scores, setup, task_folder, trained, trial
from .test_proof import edited, run, snippets

TEXTS = dict(zip(toy.LABELS, ("red green", "red blue", "red"), strict=True))
READINGS = {"decoder": {"calibration": "without_text"}, "encoder-decoder": {"scoring": "mean"}}
CASES = [
    pytest.param("decoder", "ulpt", "native", marks=pytest.mark.slow),
    ("decoder", "ulpt", "peft"),
    ("decoder", "dept", "native"),
    pytest.param("decoder", "prefix", "peft", marks=pytest.mark.slow),
    ("decoder", "lora", "merged"),
    ("encoder-decoder", "ulpt", "peft"),
    pytest.param("encoder-decoder", "lora", "peft", marks=pytest.mark.slow),
    ("encoder-decoder", "lora", "merged"),
    pytest.param("encoder-decoder", "dept", "native", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_folder(tmp_path_factory.mktemp("labels"))


def tied(family: str, folder: Path) -> Setup:
    """A study of labels that begin alike."""
    plain = setup(family, folder)
    return replace(plain, task=replace(plain.task, labels=TEXTS, **READINGS[family]))  # type: ignore[arg-type]


@pytest.mark.parametrize(("family", "name", "style"), CASES)
def test_reloaded_scores_are_those_of_the_search(family: str, name: str, style: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    here, config, out = tied(family, folder), trial(family, name), tmp_path / "out"
    digest = trained(here, config)
    export(here, config, digest, style=style, out=out, fresh=fresh)
    assert verify(out, fresh=fresh).fine
    card, session = Card.read(out), worker.session(here)
    assert card.label_sequences is not None
    assert len(card.label_sequences) == 3
    wanted = searched_scores(here, config, digest)
    torch.testing.assert_close(load_export(out).scores(session.task.validation), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("family", READINGS)
def test_a_readme_s_lines_score_whole_labels(family: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    here, config = tied(family, folder), trial(family, "ulpt")
    jobs, wanted = [], []
    for style in ("native", "peft"):
        out = tmp_path / style
        export(here, config, trained(here, config), style=style, out=out, fresh=fresh)
        evidence = Card.read(out).evidence
        assert evidence is not None
        (answer,) = load_export(out)([evidence.texts[-1][0]])
        (lines,) = snippets(out)
        jobs.append((tmp_path, edited(lines, out, zoo.saved(family))))
        wanted.append(answer)
    for printed, answer in zip(run(jobs), wanted, strict=True):
        label, chance = printed.split()
        assert label == answer["label"]
        assert float(chance) == pytest.approx(answer["probability"], abs=2e-4)
