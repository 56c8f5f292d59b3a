"""A head that starts as a linear probe says what scikit-learn's probe says, at a probe's size or less."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Answers
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.methods.maths.discriminant import discriminant
from ulpt_search.workers.methods.maths.logistic import PENALTIES, logistic

from .test_schema import MINILM


def drawn(labels: int, *, rows: int = 240, width: int = 12) -> tuple[Tensor, Tensor]:
    """States around a mean of each label, with spreads of a hundredth to one and a common offset."""
    chance = np.random.default_rng(labels)
    y = chance.integers(0, labels, rows)
    h = chance.normal(size=(labels, width))[y] + 1.5 * chance.normal(size=(rows, width)) + 3
    return torch.from_numpy(h * np.logspace(-2, 0, width)), torch.from_numpy(y)


def odds(rule: tuple[list[Tensor], Tensor], h: Tensor) -> Tensor:
    """Log-probabilities (rows, labels)."""
    weights, c = rule
    for factor in reversed(weights):
        h = h @ factor.to(h).T
    return (h + c.to(h)).log_softmax(-1)


@pytest.mark.parametrize("labels", [2, 3, 6])
def test_it_is_the_probe_of_one_of_the_penalties(labels: int) -> None:
    h, y = drawn(labels)
    found = odds(logistic(h, y, labels=labels), h).numpy()
    probes = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=500)).fit(h, y).predict_log_proba(h) for c in PENALTIES]
    apart = [float(np.abs(found - probe).max()) for probe in probes]
    assert min(apart) < 2e-2 < sorted(apart)[1]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("size", [0.0, 1e-32, 1e-9])
def test_a_number_that_hardly_varies_weighs_nothing(rank: int, size: float) -> None:
    """Standardised it would count as much as any other: of MiniLM's states there are three such."""
    h, y = drawn(2)
    h[:, 5] = size * torch.randn(len(h), generator=torch.Generator().manual_seed(0), dtype=h.dtype)
    for bias in (True, False):
        weights, c = logistic(h, y, labels=2, rank=rank, bias=bias)
        assert not bool(weights[-1][:, 5].any())
        assert all(float(factor.abs().max()) < 1e5 for factor in (*weights, c))


@pytest.mark.parametrize("labels", [2, 5])
def test_rank_labels_less_one_says_the_same_in_fewer_numbers(labels: int) -> None:
    h, y = drawn(labels)
    whole, low = logistic(h, y, labels=labels), logistic(h, y, labels=labels, rank=labels - 1)
    assert [tuple(factor.shape) for factor in low[0]] == [(labels, labels - 1), (labels - 1, 12)]
    assert torch.allclose(odds(whole, h), odds(low, h), atol=1e-4)


def test_of_a_lower_rank_it_is_the_probe_of_what_tells_the_classes_apart() -> None:
    h, y = drawn(6)
    (u, v), c = logistic(h, y, labels=6, rank=2)
    (_, directions), _ = discriminant(h, y, labels=6, rank=2)
    assert torch.equal(v, directions)
    projected = h @ directions.double().T
    found = odds(([u, v], c), h).numpy()
    probes = [
        make_pipeline(StandardScaler(), LogisticRegression(C=one)).fit(projected, y).predict_log_proba(projected) for one in PENALTIES
    ]
    assert min(float(np.abs(found - probe).max()) for probe in probes) < 2e-2


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_a_label_without_rows_is_unlikely_and_one_alone_certain(rank: int) -> None:
    h, y = drawn(3)
    found = odds(logistic(h, y, labels=4, rank=rank), h)
    assert bool(torch.isfinite(found).all())
    assert float(found[:, 3].max()) < -2.0
    alone = odds(logistic(h, torch.ones_like(y), labels=2), h)
    assert float(alone[:, 1].exp().min()) > 0.99


def test_a_label_without_rows_has_a_direction_in_which_it_can_be_learned() -> None:
    h, y = drawn(2)
    for seen in (y, torch.zeros_like(y)):
        (u, v), _ = logistic(h, seen, labels=3, rank=2)
        assert float((v / v.norm(dim=1).max()).norm(dim=1).min()) > 1e-3 or float(v.norm(dim=1).min()) > 1e-2
        assert bool(torch.isfinite(u).all())


def test_many_rows_of_many_labels_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    h, y = drawn(3)
    monkeypatch.setattr("ulpt_search.workers.methods.maths.logistic.LARGEST", h.numel() * 3 // 2)
    (half,), _ = logistic(h.clone(), y, labels=3)
    (other,), _ = logistic(h[::2].clone(), y[::2].clone(), labels=3)
    assert torch.allclose(half, other)


def test_without_a_bias_there_is_none() -> None:
    h, y = drawn(3)
    assert not bool(logistic(h, y, labels=3, bias=False)[1].any())
    assert float((odds(logistic(h, y, labels=3, bias=False), h).argmax(1) == y).float().mean()) > 0.5


@pytest.mark.parametrize("kind", ["regression", "multi_label"])
def test_tasks_without_one_label_a_row_have_none(kind: str) -> None:
    shape = replace(MINILM, labels=1 if kind == "regression" else 3, answers=Answers(kind=kind))  # type: ignore[arg-type]
    with pytest.raises(WrongInput, match=r"^head.init: logistic is of one label a row, .*; use ridge$"):
        count("head", {"init": "logistic"}, shape)
