"""Axes hold what they say, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.spaces.axes import Axis, Choice, Float, Int, Value

AXES = [Int(1, 16, log=True), Float(0.0, 1.0), Choice(("all", "last:1")), Choice((True, False)), Choice((1, 2.5))]


@pytest.mark.parametrize("axis", AXES)
def test_an_axis_contains_its_corners(axis: Axis) -> None:
    assert all(axis.contains(corner) for corner in axis.corners())


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        (Int(0, 4), 5),
        (Int(0, 4), -1),
        (Int(0, 4), 2.0),
        (Int(0, 4), True),
        (Int(0, 4), "2"),
        (Float(0.0, 1.0), 1.0000001),
        (Float(0.0, 1.0), float("nan")),
        (Float(0.0, 1.0), False),
        (Float(0.0, 1.0), "0.5"),
        (Choice((1, 2)), True),
        (Choice((True, False)), 1),
        (Choice(("q,v",)), "q"),
    ],
)
def test_an_axis_refuses_what_is_outside(axis: Axis, value: Value) -> None:
    assert not axis.contains(value)


def test_a_float_axis_takes_whole_numbers() -> None:
    assert Float(1.0, 64.0).contains(16)


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_a_range_contains_exactly_what_lies_between_its_ends(low: int, high: int, value: int) -> None:
    if low > high:
        with pytest.raises(ValueError, match="write the smaller number first"):
            Int(low, high)
        return
    assert Int(low, high).contains(value) == Float(low, high).contains(value) == (low <= value <= high)


@pytest.mark.parametrize(("make", "low"), [(Int, 0), (Float, 0.0), (Float, -1.0)])
def test_a_logarithmic_range_starts_above_zero(make: type[Int] | type[Float], low: int) -> None:
    with pytest.raises(ValueError, match=rf"must start above 0, got \[{low}, 2\]"):
        make(low, 2, log=True)


def test_a_choice_needs_an_option() -> None:
    with pytest.raises(ValueError, match=r"at least one option, got \(\)"):
        Choice(())


def test_nan_is_no_end_of_a_range() -> None:
    with pytest.raises(ValueError, match="is empty"):
        Float(float("nan"), 1.0)
