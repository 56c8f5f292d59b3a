"""Numbers in words leave with an adapter: reloaded numbers are the search's, and a README's lines come to the same."""

from pathlib import Path

import pytest
import torch

from ulpt_search.spaces.records import Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports import evaluate, export, load_export, verify
from ulpt_search.workers.exports.card import Card
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.training import worker

from . import exporting, numbered
from .exporting import searched_scores, trained
from .test_proof import edited, run, snippets

CASES = [
    ("decoder", "lora", "peft"),
    pytest.param("decoder", "ulpt", "native", marks=pytest.mark.slow),
    pytest.param("encoder-decoder", "ulpt", "peft", marks=pytest.mark.slow),
    pytest.param("encoder-decoder", "lora", "merged", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered.folder(tmp_path_factory.mktemp("numbers"))


def study(family: str, folder: Path) -> Setup:
    calibration = "without_text" if family == "decoder" else "none"
    task = TaskSpec("numbered", path=str(folder), max_tokens=24, readout="numbers", calibration=calibration)  # type: ignore[arg-type]
    model = ModelSpec(numbered.saved(family), dtype="float32", device="cpu")
    recipe = Training(exporting.STEPS, (exporting.STEPS,), batch=8)
    return Setup(model, task, recipe, store=str(folder.parent / "store"))


@pytest.mark.parametrize(("family", "name", "style"), CASES)
def test_a_number_is_the_searchs_wherever_it_is_read(
    family: str, name: str, style: str, folder: Path, tmp_path: Path, fresh: Fresh
) -> None:
    here, out, values = study(family, folder), tmp_path / "out", exporting.bold(name)
    session = worker.session(here)
    config = Trial(0, name, values, seed=3, parameters=count(name, values, session.backbone.shape))
    digest = trained(here, config)
    export(here, config, digest, style=style, out=out, fresh=fresh)
    assert verify(out, fresh=fresh).fine
    wanted, predictor, card = searched_scores(here, config, digest), load_export(out), Card.read(out)
    torch.testing.assert_close(predictor.scores(session.task.validation), wanted, rtol=1e-3, atol=1e-3)
    assert card.numbers is not None
    assert (card.numbers[0], card.numbers[-1], card.scoring) == (-0.4, 1.1, "sum")
    assert evaluate(out, here.task, split="validation")["metric"] == "pearson"
    if style != "native":
        assert card.evidence is not None
        (answer,) = predictor([card.evidence.texts[-1][0]])
        (lines,) = snippets(out)
        (printed,) = run([(tmp_path, edited(lines, out, numbered.saved(family)))])
        assert float(printed) == pytest.approx(answer["number"], abs=2e-3)
