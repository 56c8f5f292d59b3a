"""Pairs as rows: as many out as in, an empty member and two long ones, and the token types that tell them apart."""

import numpy as np
import pytest

from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.tasks import Rows

from . import families, masked, zoo

LONG = " ".join(f"w{n}" for n in range(40))
OTHER = " ".join(f"w{63 - n}" for n in range(40))
PAIRS: tuple[tuple[str, str | None], ...] = (("w1 w2", "w3"), ("", OTHER), (LONG, ""), (LONG, OTHER), ("w1", None))
LIMIT = 16
MODELS = {
    "bert": lambda: families.backbone("bert"),
    "roberta": lambda: families.backbone("roberta"),
    "masked": lambda: masked.backbone("bert"),
    "decoder": lambda: zoo.backbone("decoder"),
    "encoder-decoder": lambda: zoo.backbone("encoder-decoder"),
}


def rows() -> Rows:
    return Rows(tuple(first for first, _ in PAIRS), tuple(second for _, second in PAIRS), (0,) * len(PAIRS))


@pytest.mark.parametrize("name", MODELS)
def test_rows_out_are_rows_in_and_none_is_too_long(name: str) -> None:
    data = encode(MODELS[name](), rows(), max_tokens=LIMIT)
    assert len(data.lengths) == len(PAIRS)
    assert max(data.lengths) == LIMIT
    assert min(data.lengths) > 0


@pytest.mark.parametrize("name", ["bert", "roberta", "masked"])
def test_of_two_long_texts_both_keep_words(name: str) -> None:
    backbone = MODELS[name]()
    data = encode(backbone, rows(), max_tokens=LIMIT)
    words = [backbone.tokenizer.convert_ids_to_tokens(ids.tolist()) for ids in data.ids]
    assert ("w0" in words[3], "w63" in words[3]) == (True, True)
    assert ("w63" in words[1], "w0" in words[2]) == (True, True)


@pytest.mark.parametrize("name", ["bert", "masked"])
def test_token_types_tell_a_pair_s_texts_apart(name: str) -> None:
    """Both occur in every pair, also in one that was cut; transformers takes an empty second text for none, as who loads an export does."""
    backbone: Backbone = MODELS[name]()
    data = encode(backbone, rows(), max_tokens=LIMIT)
    assert data.types is not None
    kinds = [set(own.tolist()) for own in np.split(data.types, data.offsets[1:-1])]
    assert [kinds[place] for place in (0, 1, 3)] == [{0, 1}] * 3
    assert kinds[2] == kinds[4] == {0}
