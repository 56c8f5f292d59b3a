"""Which rows a trial sees: its own draw from buckets of similar length that all trials visit in the same order."""

import numpy as np
import pytest

from ulpt_search.workers.training.batches import Batches

LENGTHS = np.random.default_rng(0).lognormal(2.8, 0.5, 1200).astype(int).clip(3, 128).tolist()


def test_an_epoch_shows_no_row_twice_and_nearly_all() -> None:
    batches = Batches(LENGTHS, batch=16)
    seen = [row for step in range(batches.steps_per_epoch) for row in batches.rows(seed=1, step=step)]
    assert len(seen) == len(set(seen)) > 0.85 * len(LENGTHS)


def test_rows_are_a_function_of_seed_and_step() -> None:
    one, other = Batches(LENGTHS, batch=16), Batches(LENGTHS, batch=16)
    assert all(np.array_equal(one.rows(seed=3, step=step), other.rows(seed=3, step=step)) for step in (90, 5, 40))
    assert not np.array_equal(one.rows(seed=3, step=5), one.rows(seed=4, step=5))


@pytest.mark.parametrize("trials", [1, 16])
def test_padding_stays_under_a_tenth(trials: int) -> None:
    """Each trial of a pack draws its own rows, and all are padded to the longest of them, ten virtual tokens in front."""
    batches, real, padded = Batches(LENGTHS, batch=16), 0, 0
    for step in range(batches.steps_per_epoch):
        rows = [LENGTHS[row] + 10 for seed in range(trials) for row in batches.rows(seed=seed, step=step)]
        real, padded = real + sum(rows), padded + len(rows) * max(rows)
    assert 1 - real / padded < 0.1


@pytest.mark.parametrize("count", [1, 5, 16, 17, 40])
def test_a_batch_is_full_however_few_rows_there_are(count: int) -> None:
    batches = Batches(LENGTHS[:count], batch=16)
    rows = batches.rows(seed=0, step=0)
    assert len(rows) == 16
    assert set(rows) <= set(range(count))
