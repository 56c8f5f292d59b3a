"""Label texts as tokens, and tokens as a tree: as they stand in context, told apart, each token given what stands before it."""

import math

import pytest
import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import Prepend, Replace, Sequence
from transformers import PreTrainedTokenizerFast

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.model.readouts.encoding import SUFFIX, encode
from ulpt_search.workers.model.readouts.in_context import behind
from ulpt_search.workers.model.readouts.label_tokens import ended, label_tokens
from ulpt_search.workers.model.readouts.label_tree import LabelTree

from . import families, toy


def greedy(merges: list[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """A tokenizer of bytes and of these merges, which may cross from one word to the next."""
    letters = sorted({*"\nAnswer: yesno", *(letter for pair in merges for letter in "".join(pair))})
    words = [*letters, *("".join(pair) for pair in merges)]
    core = Tokenizer(BPE(vocab={word: index for index, word in enumerate(dict.fromkeys(words))}, merges=merges))
    core.add_special_tokens([AddedToken("</s>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")


def test_a_label_has_the_tokens_of_natural_text() -> None:
    """Trap: a space too many or too few. This tokenizer begins every text with a token of its own, which follows no text."""
    words = greedy([("▁", "y"), ("e", "s"), ("▁y", "es")])
    words.backend_tokenizer.normalizer = Sequence([Prepend("▁"), Replace(" ", "▁")])  # as LLaMA's
    (yes,) = label_tokens(words, "decoder", ["yes"])
    whole = words(f"{SUFFIX} yes", add_special_tokens=False)["input_ids"]
    assert list(yes) == whole[len(whole) - len(yes) :]
    assert words(" yes", add_special_tokens=False)["input_ids"][0] != yes[0], "this is the case that the test is about"


def test_a_token_across_the_border_stays_with_nobody() -> None:
    """Trap: cutting tokens(context + label) at len(tokens(context)), where a token spans the join."""
    tokenizer = greedy([(":", " "), ("y", "e"), ("ye", "s")])
    joint = tokenizer(f"{SUFFIX} yes", add_special_tokens=False)["input_ids"]
    alone = tokenizer(SUFFIX, add_special_tokens=False)["input_ids"]
    assert joint[: len(alone)] != alone
    assert "".join(tokenizer.convert_ids_to_tokens(behind(tokenizer, SUFFIX, "yes"))) == " yes"


def test_an_encoder_decoder_s_answer_is_what_its_tokenizer_makes_of_it() -> None:
    """Trap: a delimiting space in front, or the end token on one side only."""
    tokenizer = families.tokenizer(families.FAMILIES["t5"])
    assert label_tokens(tokenizer, "encoder-decoder", ["red"]) == (tuple(tokenizer("red")["input_ids"]),)


def test_a_label_that_begins_another_gets_an_end_as_all_do() -> None:
    """Trap: `no` beside `not sure`."""
    tokenizer = greedy([])
    assert ended(tokenizer, ((1, 2), (3,)), ("a", "b")) == ((1, 2), (3,))
    end = tokenizer.eos_token_id
    assert ended(tokenizer, ((1, 2), (1,), (4,)), ("a b", "a", "c")) == ((1, 2, end), (1, end), (4, end))
    with pytest.raises(WrongInput, match=r"^task.labels: 'a' and 'b' are the same tokens to this model; give them other words$"):
        ended(tokenizer, ((1,), (1,)), ("a", "b"))
    tokenizer.eos_token = None
    with pytest.raises(WrongInput, match=r"^task.labels: 'a b' begins with 'a' and this tokenizer has no end token; give other words$"):
        ended(tokenizer, ((1,), (1, 2)), ("a", "a b"))


def test_a_text_of_no_tokens_is_refused() -> None:
    with pytest.raises(WrongInput, match=r"^task.labels: the tokenizer makes nothing of '§'; write it with other words$"):
        label_tokens(greedy([]), "encoder-decoder", ["yes", "§"])


def test_labels_that_begin_alike_share_what_is_read() -> None:
    tree = LabelTree(((1, 2), (1, 3), (4,), (5, 6, 7)))
    assert tree.nodes == ((1,), (5,), (5, 6))
    assert tree.paths == ((1,), (5, 6))
    assert LabelTree(((1,), (2,))).paths == ((),)
    assert tree.ancestry().tolist() == [[True, False, False], [False, True, False], [False, True, True]]


def test_many_labels_are_read_in_bundles_of_few_nodes() -> None:
    """Every label once, in trees within the limit unless one label alone is longer."""
    tree = LabelTree((tuple(range(30)), *((a, b, c) for a in range(5) for b in range(5) for c in (7, 8))))
    for limit in (3, 10, 1000):
        bundles = list(tree.bundles(limit))
        assert sorted(number for numbers, _ in bundles for number in numbers) == list(range(len(tree.labels)))
        assert all(part.labels == tuple(tree.labels[number] for number in numbers) for numbers, part in bundles)
        assert all(len(part.nodes) <= limit or len(part.labels) == 1 for _, part in bundles)
    assert len(list(tree.bundles(1000))) == 1


@pytest.mark.parametrize("reads", ["in_tree", "in_paths"])
def test_a_label_s_tokens_are_each_told_by_the_place_before_them(reads: str) -> None:
    """Trap: which logit predicts which token. Four words, P(1 | text) = 0.7, P(2 | 1) = 0.6, P(3 | 1) = 0.3."""
    tree = LabelTree(((1, 2), (1, 3), (3,)))
    text, one = [0.1, 0.7, 0.1, 0.1], [0.05, 0.05, 0.6, 0.3]
    places = torch.tensor([[text, one]]).log() + torch.tensor([3.0, -2.0])[:, None]  # logits are free up to a constant a place
    told = getattr(tree, reads)().of(places).sum(-1)[0]
    assert told.tolist() == pytest.approx([math.log(0.42), math.log(0.21), math.log(0.1)], abs=1e-6)


def test_the_best_label_is_the_best_of_the_labels() -> None:
    """Trap: a shortcut that wants the label to be the best word of all."""
    tree = LabelTree(((1,), (2,)))
    told = tree.in_tree().of(torch.tensor([[[9.0, 1.0, 0.5, 8.0]]])).sum(-1)
    assert told.argmax(-1).tolist() == [0]


def test_the_template_of_texts_begins_once() -> None:
    """Trap: a first token that is missing or double."""
    tokenizer = families.tokenizer(families.FAMILIES["llama"])
    backbone = families.backbone("llama")
    for ids in encode(backbone, toy.rows(4), max_tokens=32).ids:
        assert [int(token) for token in ids].count(tokenizer.bos_token_id) == 1
