"""What each row adds to a score goes to bytes and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.workers.training.row_scores import PREFIX, of_file, packed, unpacked


@given(st.lists(st.booleans(), max_size=70))
def test_right_and_wrong_take_a_bit_a_row(rows: list[bool]) -> None:
    scores = np.array(rows, dtype=np.float64)
    data = packed(scores)
    assert len(data) == 16 + -(-len(rows) // 8)
    assert (unpacked(data) == scores).all()


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40))
def test_other_numbers_come_back_as_float32(rows: list[float]) -> None:
    scores = np.array(rows, dtype=np.float64)
    assert (unpacked(packed(scores)) == scores).all()


@pytest.mark.parametrize("cut", [0, 15, 17])
def test_bytes_that_are_not_scores_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="need"):
        unpacked(packed(np.ones(100))[:cut])


def test_a_file_gives_its_splits_and_an_old_one_none() -> None:
    assert list(of_file({f"{PREFIX}test": packed(np.ones(3)), "value:lora": np.zeros(4, np.uint8)})) == ["test"]
    assert of_file({"value:lora": np.zeros(4, np.uint8)}) == {}
