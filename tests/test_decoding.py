"""Answers in writing: a pack's are, token for token, transformers' `generate` on one prompt at a time; stops, limits, texts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from ulpt_search.search.running.writing_cost import writing_room
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.space import Decoding
from ulpt_search.workers.model import decoding
from ulpt_search.workers.model.attention import attend_by
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.decoding import Decoder, Limits
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.written_text import limits_of, stop_tokens, text_of
from ulpt_search.workers.tasks import Conversation, Rows, Turn
from ulpt_search.workers.training.trainer import bound_values

from . import families, toy, written, zoo

PROMPTS = ((10, 12, 14, 16, 18, 20), (11, 13, 15), (17, 19, 30, 31, 32, 33, 34, 35, 36, 37), (40, 41, 42, 43, 44))
LIMITS = Limits(10, frozenset({2}))
SITES: list[toy.Config] = [
    ("prompt", {"prompt_length": 3}, 1),
    ("lora", {"rank": 2}, 2),
    ("prefix", {"prefix_length": 3}, 3),
    ("ia3", {}, 4),
    ("ln_tuning", {}, 5),
    ("prompt", {"prompt_length": 5}, 6),
]
Answers = list[list[int]]


def generated(backbone: Backbone, prompts: Sequence[Sequence[int]], limits: Limits, **more: Any) -> Answers:
    """What stock `generate` writes with the family's own attention, greedily, one prompt at a time."""
    start, kernel = getattr(backbone.model.config, "decoder_start_token_id", None), backbone.model.config._attn_implementation
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=limits.tokens,
        eos_token_id=sorted(limits.stops),
        pad_token_id=backbone.tokenizer.pad_token_id,
        decoder_start_token_id=start,
    )
    found, own = [], backbone.model.generation_config
    attend_by(backbone.model, "eager")
    backbone.model.generation_config = config
    for prompt in prompts:
        ids = torch.tensor([list(prompt)])
        write: Any = backbone.model.generate
        whole = write(ids, attention_mask=torch.ones_like(ids), generation_config=config, **more)[0].tolist()
        found.append(whole[1:] if backbone.family == "encoder-decoder" else whole[len(prompt) :])
    backbone.model.generation_config = own
    attend_by(backbone.model, kernel)
    return found


def frozen(backbone: Backbone) -> Pack:
    return Pack([[]], device=backbone.device)


def moved(backbone: Backbone, configs: Sequence[toy.Config]) -> Pack:
    """A pack whose trials all do something, each something else."""
    pack = toy.pack(backbone, configs)
    pack.flat += torch.randn(pack.flat.shape, generator=torch.Generator().manual_seed(1)) * 0.2
    return pack


def fitting(backbone: Backbone) -> list[toy.Config]:
    return [config for config in SITES if toy.fits(backbone, config)]


@pytest.mark.parametrize(
    ("name", "caches"),
    [(name, name != "mamba") for name in ("llama", "gpt2", "opt", "bloom", "gemma2", "mistral", "falcon_h1", "mamba", "t5", "bart")],
)
def test_the_frozen_model_writes_what_generate_does(name: str, caches: bool) -> None:
    """Prompts of unequal lengths together; windows of 4 tokens, which answers leave; positions in tables, by rotation, by distance."""
    backbone = families.backbone(name)
    decoder = Decoder(backbone)
    assert decoder.caches is caches
    assert decoder.write(frozen(backbone), (), PROMPTS, LIMITS)[0] == generated(backbone, PROMPTS, LIMITS)


@pytest.mark.parametrize("family", ["decoder", "gpt2", "encoder-decoder"])
def test_each_trial_of_a_pack_writes_as_if_alone_and_as_without_a_cache(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = zoo.backbone(family)
    configs = fitting(backbone)
    together = _written(backbone, moved(backbone, configs))
    assert len({str(own) for own in together}) == len(configs), "every adapter says something else"
    monkeypatch.setattr(decoding, "ROWS_AT_ONCE", {"cpu": 1})
    pack = moved(backbone, configs)
    for position, config in enumerate(configs):
        alone = toy.pack(backbone, [config])
        alone.set_trial(alone.flat, 0, pack.of_trial(pack.flat, position))
        assert _written(backbone, alone) == [together[position]]
    monkeypatch.setattr(Decoder, "caches", False)
    assert _written(backbone, pack) == together


def _written(backbone: Backbone, pack: Pack) -> list[Answers]:
    return Decoder(backbone).write(pack, bound_values(pack), PROMPTS, LIMITS)


def test_fewer_rows_are_written_at_once_the_longer_they_may_get(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = zoo.backbone("decoder")
    wanted, seen = Decoder(backbone).write(frozen(backbone), (), PROMPTS, LIMITS), list[int]()
    monkeypatch.setitem(decoding.TOKENS_AT_ONCE, "cpu", 2 * (max(map(len, PROMPTS)) + LIMITS.tokens))
    handle = backbone.model.register_forward_pre_hook(lambda _, args, given: seen.append(len(given["inputs_embeds"])), with_kwargs=True)
    try:
        decoder = Decoder(backbone)
        assert decoder.caches  # two probes at once
        assert decoder.write(frozen(backbone), (), PROMPTS, LIMITS) == wanted
    finally:
        handle.remove()
    assert max(seen) == 2 < len(PROMPTS)


def test_a_method_that_changes_texts_is_decoded_without_a_cache() -> None:
    backbone, asked = zoo.backbone("decoder"), list[bool]()
    pack = moved(backbone, [("dept", {"prompt_length": 2, "rank": 2}, 1)])
    handle = backbone.model.register_forward_pre_hook(lambda _, args, given: asked.append(given["use_cache"]), with_kwargs=True)
    decoder = Decoder(backbone)
    try:
        assert decoder.caches
        asked.clear()
        found = decoder.write(pack, bound_values(pack), PROMPTS, LIMITS)[0]
    finally:
        handle.remove()
    assert asked
    assert not any(asked)
    assert len({str(row) for row in found}) > 1


def test_rows_stop_each_by_itself() -> None:
    backbone = zoo.backbone("decoder")
    free = Decoder(backbone).write(frozen(backbone), (), PROMPTS, Limits(10, frozenset()))[0]
    stop = next(token for row in free for place, token in enumerate(row) if 0 < place < 9 and token not in row[:place])
    found = Decoder(backbone).write(frozen(backbone), (), PROMPTS, Limits(10, frozenset({stop})))[0]
    assert found == [row[: row.index(stop) + 1] if stop in row else row for row in free]
    assert len({len(row) for row in found}) > 1


def test_a_stop_text_ends_an_answer_and_is_no_part_of_it() -> None:
    backbone = zoo.backbone("decoder")
    free = Decoder(backbone).write(frozen(backbone), (), PROMPTS, Limits(10, frozenset()))[0]
    mark = str(backbone.tokenizer.decode(free[0][3:4]))
    limits = Limits(10, frozenset(), (mark,))
    found = Decoder(backbone).write(frozen(backbone), (), PROMPTS, limits)[0]
    assert len(found[0]) <= 4
    texts = [text_of(backbone.tokenizer, row, limits) for row in found]
    assert not any(mark in text for text in texts)
    assert texts[0] == str(backbone.tokenizer.decode(found[0])).partition(mark)[0].strip()


def test_the_limit_counts_new_tokens_only_and_never_cuts_a_prompt() -> None:
    backbone = zoo.backbone("decoder")
    pack = moved(backbone, [("prompt", {"prompt_length": 4}, 1), ("lora", {"rank": 2}, 2)])
    limits = Limits(3, frozenset())
    found = Decoder(backbone).write(pack, bound_values(pack), PROMPTS, limits)
    assert {len(row) for own in found for row in own} == {3}
    with pytest.raises(Failure, match=r"a prompt of 14 tokens, virtual ones included, and 60 new ones do not fit the model's 64 positions"):
        Decoder(backbone).write(pack, bound_values(pack), PROMPTS, replace(limits, tokens=60))


def test_settings_of_the_model_s_own_generation_are_left_alone() -> None:
    backbone = zoo.backbone("decoder")
    wanted = Decoder(backbone).write(frozen(backbone), (), PROMPTS, LIMITS)
    own = backbone.model.generation_config
    backbone.model.generation_config = GenerationConfig(repetition_penalty=1.3, min_length=20, num_beams=4, no_repeat_ngram_size=2)
    try:
        assert Decoder(backbone).write(frozen(backbone), (), PROMPTS, LIMITS) == wanted
    finally:
        backbone.model.generation_config = own


def test_answers_end_with_what_the_model_the_tokenizer_and_the_template_end_them_with() -> None:
    backbone = zoo.backbone("decoder")
    own = backbone.model.generation_config
    backbone.model.generation_config = GenerationConfig(eos_token_id=[60, 61])
    try:
        assert stop_tokens(backbone) == {2, 60, 61}
    finally:
        backbone.model.generation_config = own
    data = written.data(backbone)
    limits = limits_of(backbone, Decoding(), data)
    assert limits == Limits(5, frozenset({2}))  # four words and the end token
    assert limits_of(backbone, Decoding(max_new_tokens=7, stop=("blue",)), data) == Limits(7, frozenset({2}), ("blue",))


def test_an_answer_is_as_long_as_the_longest_last_one_of_a_conversation() -> None:
    backbone, words = zoo.backbone("decoder"), ("red green blue red", "red", "green blue")
    turns = [turn for word in words for turn in (Turn("user", f"w1 {word}"), Turn("assistant", word))]
    short = [Turn("user", "w2"), Turn("assistant", "red")]
    talks = (Conversation(tuple(turns)), Conversation(tuple(short)))
    data = encode(backbone, Rows(("", ""), (None, None), (0.0, 0.0), conversations=talks), max_tokens=64)
    assert data.answers is not None
    assert data.answers.counts.tolist() == [5 + 2 + 3, 2]
    assert data.answers.last.tolist() == [3, 2]  # two words and the end token
    assert limits_of(backbone, Decoding(), data).tokens == 3


@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
def test_a_prompt_and_its_answer_without_room_are_told_before_a_run(family: str) -> None:
    backbone = zoo.backbone(family)
    backbone = replace(backbone, shape=replace(backbone.shape, positions=64))

    def room(asked: int, *, metric: str = "exact_match") -> int:
        return writing_room(backbone, written.task(metric, decoding=Decoding(max_new_tokens=asked)), max_tokens=32, front=16)

    assert room(8) == 0
    assert room(70, metric="perplexity") == 0
    assert 32 < room(40) <= 64
    with pytest.raises(WrongInput, match=r"^task said: a prompt of \d+ tokens and an answer of up to 65 do not fit the model's 64"):
        room(65)


def test_text_ends_before_the_stop_and_keeps_other_special_tokens() -> None:
    tokenizer = zoo.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>"]})
    think, limits = int(tokenizer.get_vocab()["<think>"]), Limits(10, frozenset({2}))
    assert text_of(tokenizer, [think, 3, 2, 4, 4], limits) == "<think> red"
    assert text_of(tokenizer, [2, 4], limits) == ""
    assert text_of(tokenizer, [0, 4, 0], limits) == "green"


def test_decoding_leaves_training_as_it_was() -> None:
    """Between two stretches of training answers are written: nothing of what is trained moves by a bit."""
    backbone, data = zoo.backbone("decoder"), written.data(zoo.backbone("decoder"))
    from ulpt_search.workers.catalogue import rule

    found = []
    for between in (False, True):
        run, pack, follow = written.trainer(backbone), toy.pack(backbone, SITES[:3]), rule("lora", {})
        state = follow.start(pack)
        run.train(pack, follow, state, [1, 2, 3], data, start=0, stop=3)
        if between:
            _written(backbone, pack)
        run.train(pack, follow, state, [1, 2, 3], data, start=3, stop=6)
        found.append(pack.flat.clone())
    assert torch.equal(*found)
