"""What a search would cost, on paper."""

import dataclasses

import pytest

from ulpt_search.search.running.cost_estimate import cost
from ulpt_search.search.running.speed import Pace
from ulpt_search.spaces.shape import Linear, Shape
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training

SHAPE = Shape("encoder", 4, 1, 100, 0.05, (Linear("q", 0, "q", 4, 4, True), Linear("up", 0, "up", 4, 16, True)), (), ())
SPACE = Space("x", ModelSpec(), TaskSpec(max_tokens=32), Training(steps=40, rungs=(10, 20, 40), batch=2), {}, trials=16, finalists=3)


def test_one_in_eta_goes_on() -> None:
    assert cost(SPACE, SHAPE).rungs == {10: 16, 20: 8, 40: 4}


def test_trial_steps_are_added_up_by_hand() -> None:
    estimate = cost(SPACE, SHAPE)
    assert estimate.finals == 3 * 2  # ln 4 + 1 = 2.4
    assert estimate.trial_steps == 16 * 10 + 8 * 10 + 4 * 20 + 6 * 40


def test_operations_follow_weights_and_tokens() -> None:
    estimate = cost(SPACE, SHAPE)
    assert estimate.operations == 4 * (16 + 64) * estimate.trial_steps * 2 * 32


@pytest.mark.parametrize("trials", [1, 2, 3, 1000])
def test_somebody_always_arrives(trials: int) -> None:
    estimate = cost(dataclasses.replace(SPACE, trials=trials), SHAPE)
    assert estimate.rungs[40] >= 1
    assert estimate.finals >= 3


def test_without_rungs_everybody_goes_all_the_way() -> None:
    estimate = cost(dataclasses.replace(SPACE, training=Training(steps=40, rungs=(40,))), SHAPE)
    assert estimate.rungs == {40: 16}


def test_seconds_are_added_up_by_hand() -> None:
    estimate = cost(SPACE, SHAPE)
    scored = (16 + 8 + 4 + 6) * 100 + 6 * 50  # validation at every rung and of the finals, whose test rows are read, too
    steps = estimate.trial_steps + scored / 2 / SPACE.training.batch  # half of what training on them would take
    assert estimate.seconds(Pace(5.0, {"validation": 100, "test": 50}), batch=2, workers=2) == pytest.approx(steps / 10)
