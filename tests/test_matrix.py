"""Kinds of models × kinds of tasks × sites: a cell trains, measures, leaves in its best form, reloads to the same scores, or is refused.

What is refused is said by `plan`, with the reason. Where nothing but a head reads a task, a site has one beside it; without, it is refused.
A fifth of the cells is run by default: every kind of model with every kind of task, and with every site.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from ulpt_search.search.request import Request
from ulpt_search.search.running.cost_estimate import SearchPlan, make_plan
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import Setup, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.exports import export as leave
from ulpt_search.workers.exports import load_export
from ulpt_search.workers.exports.forms import STYLES
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.training import worker
from ulpt_search.workers.training.scoring import measured

from . import asked, exporting, masked, multiple_choice, task_files, toy, zoo
from .exporting import searched_scores

STEPS = 2
SITES = {"prompt": "ulpt", "linear": "lora", "activation": "ia3", "keys and values": "prefix", "head": "head"}
HEADED = {site: method if method == "head" else f"{method}+head" for site, method in SITES.items()}
SPACE = f"methods: {{{', '.join(f'{method}: ' for method in {*SITES.values(), *HEADED.values()})}}}\nsteps: {STEPS}\nbatch: 8\n"


def model_of(name: str) -> tuple[str, tuple[str, ...]]:
    """A model's folder, and how a space asks for it."""
    return (str(masked.folder("bert")), ("task.readout=mask",)) if name == "masked" else (zoo.saved(name), ())


def pairs(folder: Path) -> Path:
    texts, labels = toy.rows().texts_a, toy.rows().labels
    rows = [{"text_a": a, "text_b": b, "label": toy.LABELS[int(c)]} for a, b, c in zip(texts, texts[::-1], labels, strict=True)]
    return task_files.folder(folder / "pairs", train=rows[:64], validation=rows[64:80], test=rows[80:])


TASKS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "classification": (exporting.task_folder, ()),
    "pair": (pairs, ()),
    "choice": (multiple_choice.folder, ("task.choices=choices",)),
    "regression": (lambda place: asked.folder(place, "regression"), ()),
    "several": (lambda place: asked.folder(place, "multi_label"), ()),
}
BY_HEADS = {"regression": "a number is read by a head, or ", "several": "any number of labels a row is read by a head"}
"""Tasks that nothing else reads, and how that is said."""
MODELS = ("encoder", "decoder", "encoder-decoder", "masked")
REFUSED: dict[tuple[str, str, str], str] = {
    **{("encoder", "choice", site): "task.choices: an encoder has no likelihood of a choice" for site in SITES},
    **{("masked", "choice", site): "task.choices: an encoder has no likelihood of a choice" for site in SITES},
    **{(model, "choice", "head"): "head: needs a task of two labels or more, got 0" for model in ("decoder", "encoder-decoder")},
}
"""Cell -> how the line begins that refuses it."""


def cells() -> list[object]:
    """Every cell, those of one task on one model together; four in five are slow."""
    found: list[object] = []
    for m, model in enumerate(MODELS):
        for k, kind in enumerate(TASKS):
            for s, site in enumerate(SITES):
                marks = () if (m + k + s) % 5 == 0 else (pytest.mark.slow,)
                found.append(pytest.param(model, kind, site, marks=marks, id=f"{model}-{kind}-{site}".replace(" ", "_")))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@cache
def planned(model: str, kind: str, place: Path) -> SearchPlan | str:
    """What `plan` says of all sites, or the line by which it refuses the task on the model."""
    (folder, words), (make, more) = model_of(model), TASKS[kind]
    (place / "space.yaml").write_text(SPACE, encoding="utf8")
    data = place / f"{kind}"
    task = make(data) if not data.exists() else next(data.iterdir())
    words = (*words, *more, "task.max_tokens=32", "model.dtype=float32", "model.device=cpu")
    request = Request(str(place / "space.yaml"), 10**6, str(place / "home"), model=folder, task=str(task), overrides=words)
    try:
        return make_plan(request)
    except WrongInput as error:
        return str(error)


@pytest.mark.parametrize(("model", "kind", "site"), cells())
def test_a_cell_does_all_of_it_or_is_refused(model: str, kind: str, site: str, place: Path, tmp_path: Path, fresh: Fresh) -> None:
    plan, method = planned(model, kind, place), (HEADED if kind in BY_HEADS else SITES)[site]
    if (model, kind, site) in REFUSED:
        line = plan if isinstance(plan, str) else plan.methods[method].why
        assert REFUSED[model, kind, site] in line
        return
    assert isinstance(plan, SearchPlan), plan
    if method != SITES[site]:
        why = plan.methods[SITES[site]].why
        assert f"{SITES[site]}: {BY_HEADS[kind]}" in why
        assert f"; use head or {method}" in why
    assert plan.methods[method].feasible, plan.methods[method].why
    setup = Setup(plan.space.model, plan.space.task, Training(STEPS, (STEPS,), batch=8), str(place / "store"))
    session = worker.session(setup)
    values: Hyperparameters = exporting.bold(method)
    trial = Trial(0, method, values, seed=3, parameters=count(method, values, session.backbone.shape))
    outcome = worker.run_job(setup, Job(0, (Assignment(trial),), STEPS, ("validation", "test")))
    assert not outcome.problems, outcome.problems
    score = {result.split: result.score for result in outcome.results}
    assert score.keys() == {"validation", "test"}
    done = leave(setup, trial, outcome.results[0].adapter, out=tmp_path / "out", fresh=fresh)  # reloaded there, and compared
    promise = plan.exports[method]
    assert done.format in (*promise.exact, *promise.some)
    assert STYLES.index(done.format) <= min(map(STYLES.index, promise.exact))
    task, wanted = session.task, searched_scores(setup, trial, outcome.results[0].adapter)
    predictor = load_export(tmp_path / "out")
    reloaded = predictor.scores(task.validation)
    torch.testing.assert_close(reloaded, wanted, rtol=1e-3, atol=1e-3)
    assert float((wanted - searched_scores(setup, trial, None)).abs().max()) > 1e-3, "two steps moved nothing"
    found = measured((task.metric,), reloaded.float().numpy(), session.splits["validation"].targets, classes=len(task.labels))
    assert found.value == pytest.approx(score["validation"], abs=1e-4)
    with pytest.raises(WrongInput, match=r"got one text, wanted a list of texts: predict\(\[text\]\)$"):
        predictor("w1 w2")  # which a loop would take for five texts


def test_the_cells_of_the_default_suite_meet_every_kind_of_model() -> None:
    chosen = [(m, k, s) for m in range(len(MODELS)) for k in range(len(TASKS)) for s in range(len(SITES)) if (m + k + s) % 5 == 0]
    assert len({(m, k) for m, k, _ in chosen}) == len(MODELS) * len(TASKS)
    assert len({(m, s) for m, _, s in chosen}) == len(MODELS) * len(SITES)
