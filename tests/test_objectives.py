"""Losses by the kind of task, against transformers' own classes for the three problem types, and by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from ulpt_search.spaces.shape import Answers
from ulpt_search.workers.model.readouts.objectives import BinaryCrossEntropy, CrossEntropy, Objective, SquaredError, objective_of

from . import zoo

MARKS = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("problem", "outputs", "targets", "objective"),
    [
        ("single_label_classification", 3, torch.tensor([2, 0, 1, 1]), CrossEntropy()),
        ("regression", 1, torch.tensor([0.0, 3.5, 1.0, -2.0]), SquaredError(1.0)),
        ("multi_label_classification", 3, MARKS, BinaryCrossEntropy()),
    ],
)
def test_each_is_the_loss_of_the_stock_class(problem: str, outputs: int, targets: Tensor, objective: Objective) -> None:
    options: dict[str, Any] = {"num_labels": outputs, "problem_type": problem}
    model = BertForSequenceClassification.from_pretrained(zoo.saved("encoder"), **options).eval()
    ids = torch.randint(5, 50, (4, 7), generator=torch.Generator().manual_seed(0))
    wide = targets.float() if problem == "multi_label_classification" else targets
    with torch.no_grad():
        found = model(input_ids=ids, labels=wide)
    torch.testing.assert_close(objective.loss(found.logits, targets).mean(), found.loss)


def test_a_number_is_not_multiplied_out_against_all_others() -> None:
    targets = torch.tensor([0.0, 1.0, 2.0])
    assert SquaredError(1.0).loss(targets[:, None], targets).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"one score a row: got \(3,\) for 3 rows"):
        SquaredError(1.0).loss(targets, targets)


def test_units_do_not_change_a_loss() -> None:
    scores, targets = torch.tensor([[1.0], [4.0]]), torch.tensor([2.0, 2.0])
    torch.testing.assert_close(SquaredError(2.0).loss(scores, targets), SquaredError(2000.0).loss(1000 * scores, 1000 * targets))
    assert objective_of(Answers("regression", units=(7.0, 2.0))) == SquaredError(2.0)


def test_two_passes_disagree_by_what_their_answers_differ() -> None:
    first, second = torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[2.0], [2.0]]])
    assert SquaredError(2.0).disagreement(first, second).tolist() == [0.125]  # a square of 1/4 in one row of two
    p, q = torch.tensor([0.5]), torch.tensor([0.8])
    wanted = (p - q) * (p / q).log() + (q - p) * ((1 - p) / (1 - q)).log()
    torch.testing.assert_close(BinaryCrossEntropy().disagreement(p.logit()[None, None], q.logit()[None, None]), wanted / 2)
    assert BinaryCrossEntropy().disagreement(torch.full((1, 2, 3), 200.0), torch.full((1, 2, 3), 200.0)).item() == 0
