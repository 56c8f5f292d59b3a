"""How right one written answer is beside the wanted one, from 0 to 1: pure functions of two texts.

What comes before and after an answer's visible text never counts: both are stripped first.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
MARK = "####"
"""GSM8K's sign in front of the final number."""
SIGN = r"(?:(?<![\w.,)])[-\u2212])?"
"""A minus that is no hyphen and no subtraction."""
NUMBER = re.compile(rf"{SIGN}(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)(?:\.\d+)?|{SIGN}(?<!\d)\.\d+")
ALONE = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana and Chinese characters."""
WORD = re.compile(rf"[{ALONE}]|(?:(?![{ALONE}])(?:[^\W_]|[\u0300-\u036f\u0900-\u0dff]))+")


def exact_match(answer: str, wanted: str) -> float:
    """1 where both are the same text, capitals included; an empty answer is right where nothing is wanted."""
    return float(answer.strip() == wanted.strip())


def token_f1(answer: str, wanted: str) -> float:
    """F1 of the words that both have, as SQuAD counts them (see `squad_words`); 1 where neither has any."""
    mine, others = squad_words(answer), squad_words(wanted)
    if not mine or not others:
        return float(mine == others)
    shared = sum((Counter(mine) & Counter(others)).values())
    return 2 * shared / (len(mine) + len(others))


def squad_words(text: str) -> list[str]:
    """Words in small letters without ASCII punctuation and English articles (SQuAD's evaluation script, v1.1).

    Unlike there, articles stay where there is nothing else: the answer `A` is no empty one.
    """
    plain = "".join(sign for sign in text.lower() if sign not in string.punctuation)
    return ARTICLES.sub(" ", plain).split() or plain.split()


def rouge_l(answer: str, wanted: str) -> float:
    """ROUGE-L's F1 over the whole text as one sentence (Lin 2004): words in small letters, unstemmed; 1 where neither has any.

    A word is a run of letters and digits of any script, or one letter of a script without spaces.
    """
    mine, others = WORD.findall(answer.lower()), WORD.findall(wanted.lower())
    if not mine or not others:
        return float(mine == others)
    return 2 * longest_common(mine, others) / (len(mine) + len(others))


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bits: one whole number of `len(one)` bits stands for a row of the table.

    Hyyrö 2004, "Bit-parallel LCS-length computation revisited": a bit that is 0 is a place at which the length grows.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        both = row & places.get(word, 0)
        row = ((row + both) | (row - both)) & every
    return len(one) - row.bit_count()


def last_number(answer: str, wanted: str) -> float:
    """1 where both end in the same number (see `final_number`); 0 where one has none."""
    mine, theirs = final_number(answer), final_number(wanted)
    return float(mine is not None and mine == theirs)


def final_number(text: str) -> Decimal | None:
    """The number behind the first `####` where there is one, else the last of the text; None where there is none.

    Thousands' commas, also LaTeX's `{,}`, currencies and percent signs do not count, nor do zeros behind the point.
    """
    before, mark, behind = text.replace("{,}", ",").replace("$", "").partition(MARK)
    found = NUMBER.findall(behind.strip().partition("\n")[0])[:1] if mark else NUMBER.findall(before)
    return Decimal(found[-1].replace(",", "").replace("\u2212", "-")) if found else None
