"""How right an answer is: numbers, words and longest common subsequences worked by hand, and what peers have got wrong in them."""

import importlib
import importlib.util
import math
from decimal import Decimal

import numpy as np
import pytest

from ulpt_search.spaces.answer_metrics import exact_match, final_number, last_number, longest_common, rouge_l, squad_words, token_f1
from ulpt_search.spaces.metrics import METRICS, metrics_of
from ulpt_search.workers.training.scoring import score


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("is 72, in total.", "72"),
        ("at 7:30", "30"),
        ("2x3", "3"),
        ("3 4", "4"),
        (".", None),
        (",", None),
        ("", None),
        ("8,000", "8000"),
        ("100,000", "100000"),
        ("1,2,3", "3"),
        ("$29.00", "29"),
        ("$1080.00.", "1080"),
        (".5", "0.5"),
        ("-3", "-3"),
        ("\u22123", "-3"),
        ("-$3.50", "-3.5"),
        ("10-3", "3"),
        ("1{,}080", "1080"),
        ("5%", "5"),
        ("so 2 + 3 = 5\n#### 5\nQuestion: 4 + 5?\n#### 9", "5"),
        ("#### $1,080", "1080"),
        ("####\n7", "7"),
        ("#### none of them\n7", None),
    ],
)
def test_the_number_that_an_answer_ends_in(text: str, number: str | None) -> None:
    assert final_number(text) == (None if number is None else Decimal(number))


def test_numbers_are_compared_as_numbers() -> None:
    assert last_number("They sold $1080.00.", "#### 1,080") == 1
    assert last_number("it is .5", "0.50") == 1
    assert last_number("it is 5", "6") == 0
    assert last_number("no number", "none here either") == 0


@pytest.mark.parametrize(
    ("answer", "wanted", "exact", "f1"),
    [
        ("", "x", 0, 0),
        ("x", "", 0, 0),
        ("", "", 1, 1),
        (" m3\n", "m3", 1, 1),
        ("A", "A", 1, 1),
        ("B", "A", 0, 0),
        ("the cat", "Cat!", 0, 1),
        ("a big black cat", "black cat", 0, 0.8),
        ("cat cat", "cat", 0, 2 / 3),
    ],
)
def test_exact_match_and_words_in_common(answer: str, wanted: str, exact: float, f1: float) -> None:
    assert exact_match(answer, wanted) == exact
    assert token_f1(answer, wanted) == pytest.approx(f1)


def test_articles_stay_where_there_is_nothing_else() -> None:
    assert squad_words("The end of an era.") == ["end", "of", "era"]
    assert squad_words("A.") == ["a"]


@pytest.mark.parametrize("text", ["नमस्ते दुनिया", "你好世界", "สวัสดี", "Ça va très bien", "привет мир", "3 + 4"])
def test_rouge_of_any_script_with_itself_is_1(text: str) -> None:
    assert rouge_l(text, text) == 1
    assert rouge_l(text, "something else") == 0


def test_rouge_is_of_the_whole_text_wherever_lines_break() -> None:
    one, other = "the cat sat. on the mat it lay", "on the mat it lay. the cat sat"
    assert rouge_l(one, other) == rouge_l(one.replace(". ", ".\n"), other) == pytest.approx(2 * 5 / 16)


def test_rouge_of_long_answers_needs_no_stack() -> None:
    assert rouge_l("a b c d e " * 1000, "b d a " * 1600) == pytest.approx(2 * longest_common("abcde" * 1000, "bda" * 1600) / 9800)


def test_the_longest_common_subsequence_is_that_of_the_table() -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        one, other = (draw.integers(4, size=draw.integers(1, 90)).astype(str).tolist() for _ in range(2))
        table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
        for i, a in enumerate(one):
            for j, b in enumerate(other):
                table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
        assert longest_common(one, other) == table[-1, -1]


@pytest.mark.skipif(importlib.util.find_spec("rouge_score") is None, reason="rouge-score is not installed")
def test_rouge_is_the_package_s_on_english() -> None:
    scorer, draw = importlib.import_module("rouge_score.rouge_scorer").RougeScorer(["rougeL"]), np.random.default_rng(1)
    words = ["a", "The", "cat", "sat", "don't", "3.5", "mat,", "end."]
    for _ in range(30):
        one, other = (" ".join(draw.choice(words, size=draw.integers(1, 30))) for _ in range(2))
        assert rouge_l(one, other) == pytest.approx(scorer.score(other, one)["rougeL"].fmeasure)


def test_every_metric_of_answers_is_a_mean_of_rows_from_0_to_1() -> None:
    names = metrics_of("generation")
    assert names[0] == "perplexity"
    for name in names[1:]:
        own = METRICS[name]
        assert own.higher_is_better
        assert own.right is not None
        assert own.right("so it is 12", "so it is 12") == 1
        assert own.right("no", "so it is 12") == 0
        found = score(name, [1.0, 0.0, 1.0, 1.0], [0.0] * 4)
        assert found.value == 0.75
        assert found.variance == pytest.approx(0.75 * 0.25 / 4)
        assert found.rows.tolist() == [1, 0, 1, 1]


def test_half_right_rows_have_the_variance_of_their_mean() -> None:
    rows = [0.2, 0.9, 0.4, 1.0, 0.0]
    assert score("token_f1", rows, [0.0] * 5).variance == pytest.approx(np.var(rows, ddof=1) / 5)
    assert score("token_f1", [0.5] * 5, [0.0] * 5).variance > 0
    assert math.isclose(score("token_f1", rows, [0.0] * 5, groups=list("aabbc")).value, 0.5)
