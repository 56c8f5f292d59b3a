"""Regression: read from files, in its own units whatever they are, by a head or off the cosine of a pair, packed as alone."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch.nn.functional import cosine_similarity

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import Reading
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.methods.maths import ridge as ridges
from ulpt_search.workers.methods.maths.pairs import FEATURES, features, kept_features
from ulpt_search.workers.methods.maths.ridge import ridge
from ulpt_search.workers.model.frozen_scores import own_scores, require_same_scores
from ulpt_search.workers.model.readouts.choice import about, for_task, template_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.readouts.pair_cosine import PairCosine
from ulpt_search.workers.tasks import Rows, Task, load_task
from ulpt_search.workers.training.class_weights import class_weights
from ulpt_search.workers.training.scoring import value

from . import asked, task_files, toy, zoo

HEADS: list[toy.Config] = [
    ("head", {"lr": 0.03}, 1),
    ("head", {"init": "zero", "lr": 0.1, "batch": 1}, 2),
    ("lora+head", {"lora.rank": 2, "lora.lr": 0.01, "head.init": "zero"}, 3),
    ("ulpt+head", {"ulpt.lr": 0.05}, 4),
]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return load_task(asked.spec(asked.folder(tmp_path_factory.mktemp("numbers"), "regression")))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return load_task(asked.spec(asked.folder(tmp_path_factory.mktemp("pairs"), "regression", pairs=True)))


def scaled(rows: Rows, *, factor: float, offset: float) -> Rows:
    return replace(rows, labels=tuple(factor * label + offset for label in rows.labels))


@pytest.mark.parametrize("family", ["encoder", "decoder", "encoder-decoder"])
def test_a_head_learns_numbers_in_a_pack_as_alone(single: Task, family: str) -> None:
    run = asked.trainer(family, single)
    _, together, scores = asked.train(run, single, HEADS, steps=6)
    for position, config in enumerate(HEADS):
        _, own, found = asked.train(run, single, [config], steps=6)
        torch.testing.assert_close(scores[position], found[0], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(together.losses[position], own.losses[0], rtol=1e-6, atol=1e-7)
    assert scores.shape == (len(HEADS), len(single.train), 1)
    assert value("rmse", scores[0].numpy(), single.train.labels, classes=0) < np.std(single.train.labels)


def test_the_units_of_the_numbers_change_nothing_but_the_units(single: Task) -> None:
    """A rate means the same for a score of 0 to 1 and for a price in millions."""
    moved = replace(single, train=scaled(single.train, factor=1e4, offset=-3e5))
    plain, other = (asked.train(asked.trainer("encoder", task), task, HEADS, steps=6) for task in (single, moved))
    torch.testing.assert_close(other[1].losses, plain[1].losses, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close((other[2] + 3e5) / 1e4, plain[2], rtol=1e-4, atol=1e-3)


def test_a_head_of_nothing_answers_with_the_mean(single: Task) -> None:
    run = asked.trainer("encoder", single)
    begun = toy.pack(run.backbone, [("head", {"init": "zero"}, 0)])
    found = run.predict(begun, encode(run.backbone, single.train, max_tokens=32))
    torch.testing.assert_close(found, torch.full_like(found, float(np.mean(single.train.labels))))


def test_a_start_in_closed_form_is_scikit_learns_ridge() -> None:
    draw = np.random.default_rng(0)
    h = draw.normal(size=(80, 12)) + 3
    z = h @ draw.normal(size=12) + draw.normal(size=80)
    w, c = ridge(torch.tensor(h), torch.tensor(z))
    alphas = [len(h) * penalty * np.cov(h.T, bias=True).diagonal().mean() for penalty in ridges.PENALTIES]
    fits = [Ridge(alpha=alpha).fit(h, z) for alpha in alphas]
    assert min(np.abs(w[0].numpy() - fit.coef_).max() + abs(c.item() - fit.intercept_) for fit in fits) < 1e-4
    through, nothing = ridge(torch.tensor(h), torch.tensor(z), bias=False)
    assert nothing.item() == 0
    assert np.mean((h @ through[0].numpy() - z) ** 2) < np.mean(z**2) / 10


def test_the_cosine_of_a_pair_is_that_of_two_plain_texts(pairs: Task) -> None:
    run = asked.trainer("encoder", pairs)
    assert isinstance(run.readout, PairCosine)
    data = encode(run.backbone, pairs.validation, max_tokens=32)
    require_same_scores(run.backbone, run.readout, data)
    found = own_scores(run.backbone, run.readout, data, [3, 0])
    low, high = min(pairs.train.labels), max(pairs.train.labels)
    for place, row in enumerate((3, 0)):
        u, v = (_mean(run.backbone.model, run.backbone.tokenizer, text) for text in _texts(pairs.validation, row))
        assert found[place].item() == pytest.approx(low + (high - low) * cosine_similarity(u, v, dim=0).item(), abs=1e-9)


def _texts(rows: Rows, row: int) -> tuple[str, str]:
    return rows.texts_a[row], str(rows.texts_b[row])


def _mean(model: torch.nn.Module, tokenizer: object, text: str) -> torch.Tensor:
    states: torch.Tensor = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)  # type: ignore[operator]
    return states


ALONE: list[toy.Config] = [
    ("lora", {"rank": 2, "lr": 0.02}, 1),
    ("prompt", {"prompt_length": 2}, 2),
    ("prefix", {"prefix_length": 2}, 3),
    ("head", {}, 4),
    ("ln_tuning+head", {"head.features": "both,difference,product"}, 5),
    ("lora+head", {"lora.rank": 2, "lora.layers": "last:1", "head.features": "cosine"}, 6),
]


def test_what_was_made_of_states_is_made_once_and_goes_with_them() -> None:
    states = torch.randn(3, 8)
    made = kept_features(states, FEATURES[0])
    assert kept_features(states, FEATURES[0]) is made
    left = weakref.ref(states), weakref.ref(made)
    del states, made
    gc.collect()
    assert [one() for one in left] == [None, None]


def test_pairs_read_apart_share_a_pack(pairs: Task) -> None:
    run = asked.trainer("encoder", pairs)
    _, together, scores = asked.train(run, pairs, ALONE, steps=4)
    for position, config in enumerate(ALONE):
        _, own, found = asked.train(run, pairs, [config], steps=4)
        torch.testing.assert_close(scores[position], found[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.losses[position], own.losses[0], rtol=1e-6, atol=1e-7)


def test_a_cosine_learns_what_is_alike(pairs: Task) -> None:
    run = asked.trainer("encoder", pairs, steps=40)
    data = encode(run.backbone, pairs.train, max_tokens=32)
    before = value("pearson", run.predict(toy.pack(run.backbone, ALONE[:1]), data)[0].numpy(), data.targets, classes=0)
    _, _, scores = asked.train(run, pairs, ALONE[:1], steps=40)
    assert value("pearson", scores[0].numpy(), data.targets, classes=0) > before + 0.1


@pytest.mark.parametrize(
    ("which", "wanted"),
    [
        ("difference,product", [2, 6, 3, -8]),
        ("both,difference", [1, 4, 3, -2, 2, 6]),
        ("both,difference,product", [1, 4, 3, -2, 2, 6, 3, -8]),
        ("cosine", [-5 / (17 * 13) ** 0.5]),
    ],
)
def test_features_of_a_pair_by_hand(which: str, wanted: list[float]) -> None:
    torch.testing.assert_close(features(torch.tensor([[1.0, 4.0, 3.0, -2.0]]), which)[0], torch.tensor(wanted, dtype=torch.float32))


def test_labels_of_pairs_read_apart_are_a_heads(tmp_path: Path) -> None:
    task = load_task(asked.spec(asked.folder(tmp_path, "classification", pairs=True), pairs="apart"))
    run = asked.trainer("encoder", task, steps=30)
    _, _, scores = asked.train(run, task, [("head", {"features": "cosine", "lr": 0.1}, 1), ("head", {}, 2)], steps=30)
    right = (scores.argmax(-1) == torch.tensor(task.train.labels).long()).double().mean(1)
    assert float(right.min()) > 0.65, "shared words bring two texts near each other"
    assert count("head", {"features": "cosine"}, run.backbone.shape) == 2 + 2
    with pytest.raises(WrongInput, match=r"^lora: of pairs read apart, labels are read by a head; use head or lora\+head$"):
        count("lora", {}, run.backbone.shape)
    with pytest.raises(WrongInput, match=r"^head.init: descriptions are of labels, and of pairs read apart nothing is compared with them"):
        count("head", {"init": "descriptions"}, run.backbone.shape)


def test_plan_says_how_a_number_is_read(single: Task, pairs: Task) -> None:
    tokenizer = zoo.tokenizer()
    assert about(tokenizer, "encoder", pairs).startswith("cosine of the two texts of a pair, each read by itself")
    ways = {"encoder": "by an encoder off the cosine of two texts read apart"}
    for family, task in (("encoder", single), ("decoder", pairs), ("encoder-decoder", single)):
        way = ways.get(family, "in words where task.readout is numbers")
        assert about(tokenizer, family, task) == f"by a head alone: a number is read by a head, or {way}"  # type: ignore[arg-type]
    joined = replace(pairs, reading=Reading(pairs="joined"))
    assert about(tokenizer, "encoder", joined).startswith("by a head alone")
    backbone = zoo.backbone("encoder")
    assert template_of(backbone, joined) != template_of(backbone, pairs)


def test_what_cannot_read_a_number_is_refused_on_paper(single: Task, pairs: Task) -> None:
    alone, apart = (for_task(zoo.backbone("encoder"), task).shape for task in (single, pairs))
    with pytest.raises(WrongInput, match=r"^lora: a number is read by a head, or by an encoder .* apart; use head or lora\+head$"):
        count("lora", {}, alone)
    with pytest.raises(WrongInput, match=r"^head.rank: 1 is no less than W with a single number; use 0 for W whole"):
        count("head", {"rank": 1}, alone)
    with pytest.raises(WrongInput, match=r"^head.init: descriptions are of labels, and a number has none; use ridge or zero"):
        count("head", {"init": "descriptions"}, alone)
    assert (count("head", {}, alone), count("head", {}, apart), count("lora", {}, apart) > 0) == (32 + 1, 2 * 32 + 1, True)
    assert [count("head", {"features": name}, apart) for name in FEATURES] == [2 * 32 + 1, 3 * 32 + 1, 4 * 32 + 1, 1 + 1]
    lone = replace(single, reading=Reading(pairs="apart"))
    with pytest.raises(WrongInput, match=r"^task.pairs: apart, but regression has 64 rows of one text; give every row two"):
        for_task(zoo.backbone("encoder"), lone)
    with pytest.raises(WrongInput, match=r"^class_weights: regression is a regression task, whose rows have no one label each"):
        class_weights(replace(asked.trainer("encoder", single).training, class_weights="balanced"), single)


@pytest.mark.parametrize(("metric", "kind"), [("pearson", "regression"), (None, "classification")])
def test_whole_numbers_are_numbers_where_the_metric_or_the_kind_says_so(tmp_path: Path, metric: str | None, kind: str) -> None:
    rows = [{"text_a": f"text {number}", "label": number % 5 + 1} for number in range(60)]
    path = task_files.write(tmp_path / "stars.jsonl", rows)
    assert load_task(asked.spec(path, metric=metric)).kind == kind
