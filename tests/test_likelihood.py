"""Whole labels by their likelihood: equal to what transformers' own loss says, padded, packed, behind prompts, and in training."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import rule
from ulpt_search.workers.model import frozen_scores
from ulpt_search.workers.model.attention import attend_by
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.readouts import likelihood
from ulpt_search.workers.model.readouts.choice import about, readout_of, template_of, trained_tokens
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.model.readouts.likelihood import Likelihood
from ulpt_search.workers.model.readouts.words import Words
from ulpt_search.workers.tasks import Rows
from ulpt_search.workers.training.trainer import Trainer

from . import families, toy, whole_labels, zoo
from .test_families import rows
from .whole_labels import TIED, by_loss

PACKED = ("llama", "qwen3", "gemma2", "gemma3_text", "mistral", "gpt2", "opt")
ONE_BY_ONE = ("bloom", "falcon-alibi", "gpt_neo", "mamba", "falcon_h1", "t5", "bart")
DESCENT: list[toy.Config] = [
    ("ulpt", {"prompt_length": 3, "dim": 4}, 1),
    ("prefix", {"prefix_length": 2}, 2),
    ("lora", {"rank": 2, "lr": 0.01}, 3),
    ("prompt", {"prompt_length": 2}, 4),
]


def read(backbone: Backbone, texts: tuple[str, ...] = TIED, **reading: Any) -> Likelihood:
    readout = readout_of(backbone, whole_labels.task(texts, **reading))
    assert isinstance(readout, Likelihood)
    return readout


def split(backbone: Backbone) -> Encoded:
    return encode(backbone, rows(), max_tokens=families.POSITIONS - 8)


def reference(backbone: Backbone, readout: Likelihood, data: Encoded) -> Tensor:
    kernel = backbone.model.config._attn_implementation
    found = torch.stack([by_loss(backbone, ids.tolist(), readout.tree.labels) for ids in data.ids])
    attend_by(backbone.model, kernel)
    return found


@pytest.mark.parametrize("name", [*PACKED, *ONE_BY_ONE])
def test_likelihoods_are_those_of_transformers_own_loss(name: str) -> None:
    """Trap: the sign, or the place of a token, off by one; padding; windows of 4 tokens; ALiBi; states that pass from token to token."""
    backbone = families.backbone(name)
    readout, data = read(backbone), split(backbone)
    wanted = reference(backbone, readout, data)
    assert wanted.std() > 0.01
    assert readout.packed == (name in PACKED)
    every = range(len(data.ids))
    for shifted in (False, True):
        assert frozen_scores.relative(frozen_scores.own_scores(backbone, readout, data, every, shifted=shifted), wanted) < 1e-5
    assert frozen_scores.relative(frozen_scores.plain_scores(backbone, readout, data, every), wanted) < 1e-5
    frozen_scores.require_same_scores(backbone, readout, data)


@pytest.mark.parametrize("name", PACKED)
def test_one_sequence_or_several_makes_no_difference(name: str) -> None:
    backbone = families.backbone(name)
    readout, data = read(backbone), split(backbone)
    together = frozen_scores.own_scores(backbone, readout, data, range(8))
    readout.packed = False
    assert frozen_scores.relative(frozen_scores.own_scores(backbone, readout, data, range(8)), together) < 1e-5


@pytest.mark.parametrize("family", ["decoder", "gpt2", "encoder-decoder"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_pack_trains_each_trial_as_if_alone(family: str, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts of two lengths, a prefix and a linear method beside each other, labels in one sequence or several."""
    monkeypatch.setattr(Likelihood, "_can_pack", lambda self: packed)
    backbone = zoo.backbone(family)
    run = replace(toy.trainer(backbone, steps=3), readout=readout_of(backbone, whole_labels.task()))
    data = encode(backbone, toy.rows(24), max_tokens=32)

    def trained(configs: list[toy.Config]) -> tuple[Tensor, Tensor]:
        pack, follow = toy.pack(backbone, configs), rule(*configs[0][:2])
        losses = run.train(pack, follow, follow.start(pack), [seed for _, _, seed in configs], data, start=0, stop=3).losses
        return losses, run.predict(pack, data)

    configs = [config for config in DESCENT if toy.fits(backbone, config)]
    losses, scores = trained(configs)
    for position, config in enumerate(configs):
        loss, alone = trained([config])
        torch.testing.assert_close(losses[position], loss[0], rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(scores[position], alone[0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
def test_a_prompt_stands_in_front_of_text_and_label(family: str) -> None:
    backbone = zoo.backbone(family)
    run = replace(toy.trainer(backbone), readout=readout_of(backbone, whole_labels.task()))
    assert isinstance(run.readout, Likelihood)
    data, pack = encode(backbone, toy.rows(6), max_tokens=32), toy.pack(backbone, [("prompt", {"prompt_length": 3}, 5)])
    found = run.predict(pack, data)[0]
    (group,) = pack.groups
    prompt = group.method.prompt(pack.of_trial(pack.flat, 0))  # type: ignore[attr-defined]
    kernel = backbone.model.config._attn_implementation
    wanted = torch.stack([by_loss(backbone, ids.tolist(), run.readout.tree.labels, prompt=prompt) for ids in data.ids])
    attend_by(backbone.model, kernel)
    torch.testing.assert_close(found, wanted.double(), rtol=1e-5, atol=1e-5)  # its loss is in float32


def many(count: int) -> tuple[str, ...]:
    return tuple(f"w{1 + number // 10} w{10 + number % 10} w{number % 7}" for number in range(count))


@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
def test_of_a_hundred_and_fifty_labels_the_right_one_is_trained_and_all_are_told(family: str) -> None:
    backbone = zoo.backbone(family)
    task = whole_labels.task(many(150))
    readout = readout_of(backbone, task)
    assert isinstance(readout, Likelihood)
    assert "the right label's likelihood alone" in about(backbone.tokenizer, backbone.family, task)
    run: Trainer = replace(toy.trainer(backbone, steps=30), readout=readout)
    data = encode(backbone, toy.rows(8), max_tokens=32)
    pack, follow = toy.pack(backbone, [("lora", {"rank": 4, "lr": 0.03}, 0)]), rule("lora", {})
    before = run.predict(pack, data)[0]
    assert before.shape == (8, 150)
    targets = torch.tensor(data.targets)
    first = run.train(pack, follow, follow.start(pack), [0], data, start=0, stop=1).losses
    torch.testing.assert_close(first.double(), -before.gather(1, targets[:, None]).mean()[None], rtol=1e-4, atol=1e-4)
    run.train(pack, follow, follow.start(pack), [0], data, start=1, stop=30)
    assert float((run.predict(pack, data)[0].argmax(-1) == targets).double().mean()) > 0.8


@pytest.mark.parametrize("name", ["llama", "mamba", "t5"])
def test_labels_in_several_passes_are_as_in_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = families.backbone(name)
    data = split(backbone)
    whole = frozen_scores.own_scores(backbone, read(backbone, many(12)), data, range(8))
    monkeypatch.setattr(likelihood, "NODES", 5)
    readout = read(backbone, many(12))
    assert readout.tokens(10, training=True) > readout.tokens(10, training=False)
    assert frozen_scores.relative(frozen_scores.own_scores(backbone, readout, data, range(8)), whole) < 1e-5


def test_sum_and_mean_may_choose_differently() -> None:
    """Trap: length normalisation of an unknown kind. Same tokens, divided by their number; the sum prefers the short label."""
    backbone = families.backbone("llama")
    texts = ("red", "green w3 w4 w5 w6 w7 w8 w9")
    data = split(backbone)
    total, mean = (frozen_scores.own_scores(backbone, read(backbone, texts, scoring=s), data, range(8)) for s in ("sum", "mean"))
    torch.testing.assert_close(total / torch.tensor([1.0, 8.0]), mean, rtol=1e-5, atol=1e-5)
    assert int(total.argmax(-1).sum()) < int(mean.argmax(-1).sum())


def test_calibration_takes_off_the_score_without_a_text() -> None:
    backbone = families.backbone("llama")
    data = split(backbone)
    plain, less = (read(backbone, calibration=c) for c in ("none", "without_text"))
    empty = encode(backbone, replace(rows(), texts_a=("",) * 8, texts_b=(None,) * 8), max_tokens=32)
    prior = by_loss_of(backbone, plain, empty)
    difference = frozen_scores.own_scores(backbone, plain, data, range(8)) - frozen_scores.own_scores(backbone, less, data, range(8))
    torch.testing.assert_close(difference, prior.expand(8, -1), rtol=1e-4, atol=1e-4)


def by_loss_of(backbone: Backbone, readout: Likelihood, data: Encoded) -> Tensor:
    return reference(backbone, readout, replace(data, targets=data.targets))[:1]


def test_scores_of_a_bfloat16_model_are_told_apart_in_float32() -> None:
    """Trap: a log-softmax in half precision makes ties."""
    backbone = zoo.backbone("decoder", "bfloat16")
    scores = frozen_scores.own_scores(backbone, read(backbone), encode(backbone, toy.rows(16), max_tokens=32), range(16))
    assert scores.dtype == torch.float32
    assert len(scores.flatten().unique()) > 60 > len(scores.bfloat16().flatten().unique())


@pytest.mark.parametrize(
    ("texts", "reading", "kind"), [(toy.LABELS, {}, Words), (toy.LABELS, {"scoring": "sum"}, Likelihood), (TIED, {}, Likelihood)]
)
def test_the_rule_takes_first_tokens_where_they_tell_labels_apart(texts: tuple[str, ...], reading: dict[str, str], kind: type) -> None:
    backbone = zoo.backbone("decoder")
    assert type(readout_of(backbone, whole_labels.task(texts, **reading))) is kind


def test_single_tokens_cost_one_pass_and_agree_with_their_logits_but_for_a_constant() -> None:
    backbone = zoo.backbone("decoder")
    data = encode(backbone, toy.rows(6), max_tokens=32)
    first, whole = (readout_of(backbone, whole_labels.task(toy.LABELS, scoring=s)) for s in ("first", "sum"))
    assert whole.tokens(10, training=True) == 10
    a, b = (frozen_scores.own_scores(backbone, readout, data, range(6)).log_softmax(-1) for readout in (first, whole))
    torch.testing.assert_close(a, b)


def test_a_study_knows_how_its_labels_are_scored() -> None:
    """By first tokens it is what it was before there was a choice."""
    from ulpt_search.workers.model.identity import TEMPLATES

    backbone = zoo.backbone("decoder")
    found = {
        json.dumps(reading): template_of(backbone, whole_labels.task(toy.LABELS, **reading))
        for reading in ({}, {"scoring": "sum"}, {"scoring": "mean"}, {"calibration": "without_text"})
    }
    assert len(set(found.values())) == 4
    assert found["{}"] == TEMPLATES["decoder"]


def test_labels_that_cannot_be_told_apart_are_refused_in_a_line() -> None:
    backbone = zoo.backbone("decoder")
    with pytest.raises(WrongInput, match=r"^task.scoring: first, but 'red green' and 'red blue' begin with the same token"):
        readout_of(backbone, whole_labels.task(scoring="first"))
    with pytest.raises(WrongInput, match=r"^task.labels: 'unheard' and 'unseen' are the same tokens to this model"):
        readout_of(backbone, whole_labels.task(("unheard", "unseen")))


def test_memory_counts_what_stands_behind_the_text() -> None:
    backbone = zoo.backbone("decoder")
    readout = read(backbone)
    nodes = len(readout.tree.nodes)
    assert readout.packed
    assert readout.tokens(10, training=True) == 10 + nodes
    readout.packed = False
    assert readout.tokens(10, training=True) == len(readout.tree.paths) * (10 + readout.tree.depth)
    assert not readout.resumes


def test_a_plan_counts_what_stands_behind_the_text() -> None:
    backbone = zoo.backbone("decoder")

    def counted(texts: tuple[str, ...], **reading: str) -> int:
        return trained_tokens(backbone.tokenizer, "decoder", whole_labels.task(texts, **reading), mask=None, text=10)

    readout = read(backbone)
    assert counted(toy.LABELS) == 10
    assert counted(TIED) == readout.tokens(10, training=True) == 10 + len(readout.tree.nodes)
    assert counted(many(150)) == 10 + read(backbone, many(150)).tree.depth


def test_a_text_leaves_room_for_its_labels() -> None:
    """Trap: a table of positions that is shorter than text and label together."""
    backbone = families.backbone("gpt2")
    readout = read(backbone)
    room = readout.room(1000, backbone.conventions.room)
    assert room == families.POSITIONS - readout.tree.depth
    long = encode(backbone, Rows((" ".join(["w1"] * 200),), (None,), (0,)), max_tokens=room)
    assert long.lengths == (room - 1,), "an end token is taken off"
    wanted = reference(backbone, readout, long)
    for packed in (True, False):
        readout.packed = packed
        assert frozen_scores.relative(frozen_scores.own_scores(backbone, readout, long, [0]), wanted) < 1e-5
