"""Numbers and durations as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.search.values import read_count, read_duration, short_count
from ulpt_search.spaces.errors import WrongInput


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1e4", 10_000),
        ("10000", 10_000),
        ("10k", 10_000),
        ("10K", 10_000),
        ("10_000", 10_000),
        ("10,000", 10_000),
        ("1.5k", 1500),
        ("1", 1),
    ],
)
def test_counts(text: str, count: int) -> None:
    assert read_count(text, name="--budget") == count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "--budget 0: must be at least 1"),
        ("1e30", "--budget 1e30: must be at least 1 and at most 1e15"),
        ("-5", "--budget -5: wanted a whole number such as 10000, 1e4 or 10k"),
        ("1.5", "--budget 1.5: wanted a whole number such as 10000, 1e4 or 10k"),
        ("ten", "--budget ten: wanted a whole number such as 10000, 1e4 or 10k"),
        ("1e999", "--budget 1e999: wanted a whole number such as 10000, 1e4 or 10k"),
        ("nan", "--budget nan: wanted a whole number such as 10000, 1e4 or 10k"),
        ("", "--budget : wanted a whole number such as 10000, 1e4 or 10k"),
    ],
)
def test_bad_counts(text: str, message: str) -> None:
    with pytest.raises(WrongInput) as raised:
        read_count(text, name="--budget")
    assert str(raised.value) == message


@given(st.integers(min_value=1, max_value=10**15))
def test_short_counts_read_back(count: int) -> None:
    assert read_count(short_count(count), name="it") == count


@pytest.mark.parametrize(("count", "text"), [(10_000, "1e4"), (1000, "1e3"), (12_500, "12500"), (130_000, "13e4"), (100, "100")])
def test_short_counts(count: int, text: str) -> None:
    assert short_count(count) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("90", 90), ("2h", 7200), ("0.5h", 1800), ("1h1m1s", 3661)]
)
def test_durations(text: str, seconds: float) -> None:
    assert read_duration(text, name="--time") == seconds


@pytest.mark.parametrize("text", ["", "0", "0m", "-3m", "soon", "3 weeks", "1m1h"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(WrongInput, match=r"^--time .*: wanted a duration such as 30m, 1h30m or 90s$"):
        read_duration(text, name="--time")
