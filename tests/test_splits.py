"""Splits: disjoint, carved as the papers do, chosen by what a row says and not by where it stands."""

import random
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.tasks import Rows
from ulpt_search.workers.tasks.splits import CARVED, LARGE, arrange, quotas


def rows(count: int, *, start: int = 0, labels: int = 2) -> Rows:
    numbers = range(start, start + count)
    return Rows(tuple(f"text {n}" for n in numbers), (None,) * count, tuple(n % labels for n in numbers))


@pytest.mark.parametrize(
    ("train", "validation", "test", "sizes"),
    [
        (50, 20, 30, (50, 20, 30)),
        (LARGE - 1, 400, None, (LARGE - 1, 200, 200)),
        (LARGE, 400, None, (LARGE - CARVED, CARVED, 400)),
        (50, 21, None, (50, 11, 10)),
        (100, None, 30, (80, 20, 30)),
        (100, None, None, (60, 20, 20)),
        (LARGE, None, None, (LARGE - 2 * CARVED, CARVED, CARVED)),
        (LARGE, None, 30, (LARGE - CARVED, CARVED, 30)),
    ],
)
def test_missing_splits_are_carved(train: int, validation: int | None, test: int | None, sizes: tuple[int, int, int]) -> None:
    given_rows = (rows(count, start=start) if count else None for count, start in ((validation, 20_000), (test, 30_000)))
    splits = arrange("t", rows(train), *given_rows, stratified=True)
    assert tuple(map(len, (splits.train, splits.validation, splits.test))) == sizes
    every = [text for split in (splits.train, splits.validation, splits.test) for text in split.texts_a]
    assert len(set(every)) == len(every)
    assert bool(splits.notes) == (validation is None or test is None)


def test_a_row_goes_where_its_text_says_whatever_the_order_of_the_file() -> None:
    whole = rows(200)
    order = list(range(200))
    random.Random(5).shuffle(order)
    one, other = (arrange("t", given_rows, None, None, stratified=True, limit=40) for given_rows in (whole, whole.take(order)))
    for split in ("train", "validation", "test"):
        assert set(getattr(one, split).texts_a) == set(getattr(other, split).texts_a)


def test_rows_keep_their_columns_together() -> None:
    pairs = Rows(tuple(f"a {n}" for n in range(99)), tuple(f"b {n}" for n in range(99)), tuple(n % 3 for n in range(99)))
    splits = arrange("t", pairs, None, None, stratified=True, limit=30)
    for split in (splits.train, splits.validation, splits.test):
        for a, b, label in zip(split.texts_a, split.texts_b, split.labels, strict=True):
            assert (b, label) == (f"b {a[2:]}", int(a[2:]) % 3)


def test_a_shared_text_stays_in_test_then_in_validation() -> None:
    train = Rows(("x  y", "only train", "x y", "in v", "z"), ("b", None, None, None, None), (0, 1, 0, 1, 0))
    validation = Rows(("in v", "z", "only v"), (None,) * 3, (0, 1, 0))
    test = Rows(("z", "x y"), (None, "b"), (0, 1))
    splits = arrange("t", train, validation, test, stratified=True)
    assert splits.train.texts_a == ("only train", "x y")
    assert splits.validation.texts_a == ("in v", "only v")
    assert splits.test == test
    assert splits.notes == (
        "dropped from validation, since their text is in test: 1",
        "dropped from training, since their text is in validation or test: 3",
    )


def test_copies_of_a_text_never_end_in_two_splits() -> None:
    copies = Rows(tuple(f"text {n // 3}" for n in range(300)), (None,) * 300, tuple(n // 3 % 2 for n in range(300)))
    splits = arrange("t", copies, None, None, stratified=True)
    found = [set(split.texts_a) for split in (splits.train, splits.validation, splits.test)]
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]


def test_carving_and_limits_keep_rare_labels() -> None:
    rare = Rows(tuple(f"text {n}" for n in range(1000)), (None,) * 1000, tuple(2 if n < 10 else n % 2 for n in range(1000)))
    splits = arrange("t", rare, None, None, stratified=True, limit=50)
    assert [Counter(split.labels)[2] for split in (splits.validation, splits.test, splits.train)] == [2, 2, 1]
    assert len(splits.train) == 50


@pytest.mark.parametrize(
    ("train", "validation", "test", "message"),
    [
        (rows(4), None, None, r"t: 4 rows are too few to split; give a validation file, or 5 rows or more"),
        (rows(9), rows(1, start=90), None, r"t: 1 validation row cannot be halved into validation and test; give a test file"),
        (rows(9), rows(9), rows(9, start=90), r"t: no training rows are left that no other split has too"),
        (rows(9), rows(5, start=90), rows(9, start=90), r"t: no validation rows are left that no other split has too"),
    ],
)
def test_too_few_rows_are_said_to_be_too_few(train: Rows, validation: Rows | None, test: Rows | None, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        arrange("t", train, validation, test, stratified=True)


def test_a_regression_is_cut_without_strata() -> None:
    numbers = Rows(tuple(f"text {n}" for n in range(50)), (None,) * 50, tuple(n / 7 for n in range(50)))
    assert len(arrange("t", numbers, None, None, stratified=False, limit=3).train) == 3


@st.composite
def divisions(draw: st.DrawFn) -> tuple[dict[float, int], int]:
    """Sizes of strata, and a count to divide over them."""
    sizes = draw(st.dictionaries(st.integers(0, 9).map(float), st.integers(1, 60), min_size=1))
    return sizes, draw(st.integers(1, sum(sizes.values())))


@example(({0: 1, 1: 1, 2: 1, 3: 9}, 4))
@given(divisions())
def test_quotas_add_up_fit_and_follow_the_shares(division: tuple[dict[float, int], int]) -> None:
    sizes, count = division
    result = quotas(sizes, count)
    assert sum(result.values()) == count
    assert all(0 <= result[label] <= size for label, size in sizes.items())
    if count >= len(sizes):
        assert min(result.values()) >= 1
    exact = {label: count * size / sum(sizes.values()) for label, size in sizes.items()}
    if min(exact.values()) >= 1:
        assert all(abs(result[label] - exact[label]) < 1 for label in sizes)
