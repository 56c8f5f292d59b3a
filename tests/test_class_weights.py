"""What a training row's loss counts by its label."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import Training
from ulpt_search.workers.catalogue import rule
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.tasks import Rows, Task
from ulpt_search.workers.training.class_weights import class_weights

from . import toy, zoo


def uneven() -> Task:
    labels = [0] * 12 + [1] * 6 + [2] * 2
    data = Rows(tuple(f"w{n}" for n in range(20)), (None,) * 20, tuple(labels))
    return replace(toy.task(), train=data)


def test_balanced_is_scikit_learns() -> None:
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=[int(label) for label in uneven().train.labels])
    found = class_weights(Training(class_weights="balanced"), uneven())
    assert found is not None
    assert found.tolist() == pytest.approx(wanted.tolist())


def test_named_weights_leave_the_others_at_one() -> None:
    found = class_weights(Training(class_weights={"blue": 4.0}), uneven())
    assert found is not None
    assert found.tolist() == [1.0, 1.0, 4.0]
    assert class_weights(Training(), uneven()) is None


def test_what_cannot_be_weighed_is_refused_with_the_nearest() -> None:
    with pytest.raises(WrongInput, match=r"class_weights\.bleu: unknown label; toy has red, green, blue\. Did you mean blue\?"):
        class_weights(Training(class_weights={"bleu": 2.0}), uneven())
    with pytest.raises(WrongInput, match=r"class_weights: toy is a regression task"):
        class_weights(Training(class_weights="balanced"), replace(uneven(), kind="regression"))


def test_a_rows_loss_counts_as_its_label_does_in_passes_and_on_kept_states() -> None:
    trainer = toy.trainer(zoo.backbone("encoder"))
    scores, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 0])
    plain = trainer.readout.weighted_loss(scores, targets)
    trainer.readout.weights = torch.tensor([0.5, 1.0, 3.0])
    assert torch.allclose(trainer.readout.weighted_loss(scores, targets), plain * torch.tensor([0.5, 1.0, 3.0, 3.0, 0.5]))


@pytest.mark.parametrize(("method", "rate"), [("head", 0.05), ("prompt", 0.3)])
def test_training_follows_the_weights(method: str, rate: float) -> None:
    """A label that weighs nothing is not learned, by passes nor on kept states: the trained model names it less often."""
    assert named(method, rate, torch.tensor([1.0, 1.0, 0.0])) < named(method, rate, None)


def named(method: str, rate: float, weights: torch.Tensor | None) -> int:
    """How many rows a trained model gives the last label."""
    backbone = zoo.backbone("encoder")
    run, values, data = toy.trainer(backbone, steps=30), {"lr": rate}, encode(backbone, toy.rows(), max_tokens=32)
    run.readout.weights = weights
    fresh, follow = toy.pack(backbone, [(method, values, 0)]), rule(method, values)
    run.train(fresh, follow, follow.start(fresh), [0], data, start=0, stop=30)
    return int((run.predict(fresh, data)[0].argmax(-1) == 2).sum())
