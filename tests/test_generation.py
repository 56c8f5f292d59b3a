"""Written answers: the loss is stock transformers' with labels of -100, per trial and over all pieces of a step; scores are sums."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.metrics import METRICS
from ulpt_search.workers.catalogue import rule
from ulpt_search.workers.model import frozen_scores
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.readouts.answer_tokens import LOGITS_AT_ONCE, answer_tokens, told_by
from ulpt_search.workers.model.readouts.choice import about, readout_of, template_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.model.readouts.texts import Texts
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.training import tokens
from ulpt_search.workers.training import trainer as training
from ulpt_search.workers.training.batches import Batches
from ulpt_search.workers.training.scoring import score

from . import families, toy, written, zoo

FAMILIES = ("decoder", "gpt2", "encoder-decoder")
STILL: list[toy.Config] = [("lora", {"lr": 0.01}, 1), ("ia3", {}, 2), ("ln_tuning", {}, 3)]
"""Trials that change nothing at step 0."""
IGNORED = -100


def stock(backbone: Backbone, data: Encoded, rows: np.ndarray, prompt: Tensor | None = None) -> Tensor:
    """The family's own loss on some rows, padded on the right, as anybody trains it: the mean over the labels that are not -100."""
    chosen: list[int] = rows.tolist()
    answers = data.batch_answers(chosen, device=backbone.device)
    assert answers is not None
    ids, lengths, _ = data.batch(chosen, pad=0, device=backbone.device)
    told, places = answers
    given: dict[str, Any] = {"attention_mask": (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()}
    if backbone.family == "encoder-decoder":
        return loss_of(backbone, input_ids=ids, **given, labels=told.masked_fill(told < 0, IGNORED))
    labels = torch.full_like(ids, IGNORED)
    for row, (own, at) in enumerate(zip(told, places, strict=True)):
        labels[row, at[own >= 0] + 1] = own[own >= 0]
    if prompt is None:
        return loss_of(backbone, input_ids=ids, **given, labels=labels)
    front = torch.ones(len(ids), len(prompt), dtype=torch.long)
    embeds = torch.cat([prompt.expand(len(ids), -1, -1), backbone.embed(ids)], 1)
    mask, labels = torch.cat([front, given["attention_mask"]], 1), torch.cat([IGNORED * front, labels], 1)
    return loss_of(backbone, inputs_embeds=embeds, attention_mask=mask, labels=labels)


def loss_of(backbone: Backbone, **given: Tensor) -> Tensor:
    loss: Tensor = backbone.model(**given).loss
    return loss


def step_losses(backbone: Backbone, configs: list[toy.Config], rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """The losses (trials,) of one step on `rows` (trials, batch), and their sum's gradient, added up over the step's pieces."""
    run, data, pack = written.trainer(backbone), written.data(backbone), toy.pack(backbone, configs)
    flat = pack.flat.clone().requires_grad_()
    with Sites(backbone.model, backbone.shape, pack.groups, trials=pack.size) as sites:
        pieces = run._pieces(pack, sites, data, rows, [{}] * len(pack.groups))
        losses = torch.stack([piece(flat)[0] for piece in pieces]).sum(0)
    losses.sum().backward()
    assert flat.grad is not None
    return losses.detach(), flat.grad


@pytest.mark.parametrize("pieces", [1, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_trial_s_loss_is_that_of_its_own_batch_by_the_family_s_own_class(
    family: str, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, data = zoo.backbone(family), written.data(zoo.backbone(family))
    rows = np.stack([np.arange(8) + 8 * trial for trial in range(3)])
    longest = max(data.lengths[row] for row in rows.flat) * (2 if family == "encoder-decoder" else 1)
    monkeypatch.setattr(training, "TOKENS_AT_ONCE", {"cpu": rows.size * longest // pieces})
    losses, _ = step_losses(backbone, STILL, rows)
    with torch.no_grad():
        wanted = torch.stack([stock(backbone, data, own) for own in rows])
    assert len(set(wanted.tolist())) == 3
    torch.testing.assert_close(losses, wanted.to(losses), rtol=1e-6, atol=1e-6)


def test_pieces_of_a_step_have_the_gradient_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with 2 and with 5 answer tokens: a mean of pieces' means would weigh them alike."""
    backbone, rows = zoo.backbone("decoder"), np.stack([np.arange(6), np.arange(6) + 6])
    found = []
    for limit in (10_000, 1):
        monkeypatch.setattr(training, "TOKENS_AT_ONCE", {"cpu": limit})
        found.append(step_losses(backbone, STILL[:2], rows))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-7)
    assert float(found[0][1].abs().max()) > 1e-3


def test_behind_virtual_tokens_the_same_tokens_are_read() -> None:
    backbone, data, rows = zoo.backbone("decoder"), written.data(zoo.backbone("decoder")), np.arange(8)[None]
    config: toy.Config = ("prompt", {"prompt_length": 3}, 4)
    pack = toy.pack(backbone, [config])
    prompt = next(iter(pack.of_trial(pack.flat, 0).values())).detach()
    losses, _ = step_losses(backbone, [config], rows)
    with torch.no_grad():
        torch.testing.assert_close(losses[0], stock(backbone, data, rows[0], prompt).to(losses), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pack_trains_each_trial_as_if_alone_and_learns(family: str) -> None:
    backbone = zoo.backbone(family)
    configs: list[toy.Config] = [
        ("lora", {"rank": 4, "lr": 0.03}, 1),
        ("prefix", {"prefix_length": 2}, 2),
        ("prompt", {"prompt_length": 3}, 3),
    ]
    configs = [config for config in configs if toy.fits(backbone, config)]
    run, data = written.trainer(backbone, steps=60), written.data(backbone)

    def after(chosen: list[toy.Config], stop: int) -> Tensor:
        pack, follow = toy.pack(backbone, chosen), rule("lora", {})
        run.train(pack, follow, follow.start(pack), [seed for _, _, seed in chosen], data, start=0, stop=stop)
        return run.predict(pack, data)

    together = after(configs, 3)
    for position, config in enumerate(configs):
        torch.testing.assert_close(together[position], after([config], 3)[0], rtol=1e-6, atol=1e-8)
    losses = [float(scores[0, :, 0].sum() / scores[0, :, 1].sum()) for scores in (after(configs[:1], 0), after(configs[:1], 60))]
    assert losses[1] < losses[0] / 4


def test_below_the_first_site_states_are_kept_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, data = zoo.backbone("decoder"), written.data(zoo.backbone("decoder"))
    config: list[toy.Config] = [("lora", {"layers": "last:1", "lr": 0.03}, 1)]
    found, used = [], []
    for possible in (True, False):
        run, pack, follow = written.trainer(backbone), toy.pack(backbone, config), rule("lora", {})
        assert run.lower.possible
        run.lower.possible = possible
        run.train(pack, follow, follow.start(pack), [1], data, start=0, stop=4)
        found.append(run.predict(pack, data))
        used.append(bool(run.lower._kept))
    assert used == [True, False]
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom", "mistral", "gemma2", "falcon_h1", "mamba", "t5", "bart"])
def test_frozen_scores_are_the_plain_model_s(name: str) -> None:
    backbone = families.backbone(name)
    frozen_scores.require_same_scores(backbone, readout_of(backbone, written.task()), written.data(backbone))


def test_a_row_scores_the_same_in_any_company() -> None:
    """Rows of 1 and of 50 tokens: neither padding nor the size of a batch is part of a score."""
    backbone = zoo.backbone("decoder")
    pairs = [("w1", "red"), ("w2 w3", "green"), ("w4", "blue"), (" ".join(f"w{n}" for n in range(30)), " ".join(["red"] * 25))]
    data, readout = encode(backbone, written.of(pairs), max_tokens=64), readout_of(backbone, written.task())
    together = frozen_scores.own_scores(backbone, readout, data, range(4))
    alone = torch.cat([frozen_scores.own_scores(backbone, readout, data, [row]) for row in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-6)
    assert together[:, 1].tolist() == [2, 2, 2, 26]  # the end token is one of them


def test_logits_are_computed_of_answer_tokens_only() -> None:
    backbone, data = zoo.backbone("decoder"), written.data(zoo.backbone("decoder"))
    readout, seen = readout_of(backbone, written.task()), list[int]()
    handle = backbone.model.get_output_embeddings().register_forward_hook(lambda _, args, output: seen.append(output.shape[1]))
    try:
        frozen_scores.own_scores(backbone, readout, data, range(8))
    finally:
        handle.remove()
    assert data.answers is not None
    assert seen == [max(data.answers.counts[:8])]
    assert seen[0] < max(data.lengths[:8])


@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
def test_logits_at_once_stay_below_their_limit_in_scoring_and_in_training(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide vocabulary makes a few answers gigabytes: passes then hold fewer rows, down to one of each trial."""
    backbone, data = zoo.backbone(family), written.data(zoo.backbone(family))
    run, pack, rows = written.trainer(backbone), toy.pack(backbone, STILL), np.stack([np.arange(6) + 6 * trial for trial in range(3)])
    wanted, losses = run.predict(pack, data), step_losses(backbone, STILL, rows)[0]
    seen, limit = list[int](), 3 * 2 * 5 * backbone.shape.vocabulary
    monkeypatch.setitem(LOGITS_AT_ONCE, "cpu", limit)
    handle = backbone.model.get_output_embeddings().register_forward_hook(lambda _, args, output: seen.append(output.numel()))
    try:
        found, own = run.predict(pack, data), step_losses(backbone, STILL, rows)[0]
    finally:
        handle.remove()
    assert 0 < max(seen) <= limit
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(own, losses, rtol=1e-5, atol=1e-5)


def test_one_row_runs_however_many_logits_it_takes() -> None:
    rows = answer_tokens([([1] * count, range(count)) for count in (2, 9, 3)])
    assert [rows.first(own, each=10, device="cpu") for own in ([0, 2, 1], [1, 0])] == [3, 2]
    assert [rows.first(own, each=LOGITS_AT_ONCE["cpu"] // 6, device="cpu") for own in ([0, 2, 1], [1, 0])] == [2, 1]


def test_the_first_token_of_a_row_follows_nothing() -> None:
    assert told_by([5, 6, 7], [True, True, False]) == ([6], [0])


def test_a_row_without_answer_tokens_adds_nothing() -> None:
    backbone, none = zoo.backbone("decoder"), torch.tensor([[-1]])
    texts = Texts(backbone.embed(torch.tensor([[5, 6]])), torch.tensor([0]), torch.tensor([2]), answers=none, places=none)
    assert readout_of(backbone, written.task()).scores(texts).tolist() == [[0, 0]]


def test_encoders_are_refused_and_a_plan_says_how_answers_are_read() -> None:
    task, tokenizer = written.task(), zoo.tokenizer()
    assert (
        about(tokenizer, "decoder", task) == "likelihood of the answers' tokens in the conversation (trained and measured on these alone)"
    )
    with pytest.raises(WrongInput, match=r"^task said: an encoder writes no answers; give a decoder or an encoder-decoder$"):
        about(tokenizer, "encoder", task)
    assert "template 'auto'" in template_of(zoo.backbone("decoder"), task)


def test_kept_tokens_hold_the_answers(tmp_path: Path) -> None:
    backbone, task = zoo.backbone("encoder-decoder"), written.task()
    fresh, kept, again = (tokens.encoded(backbone, task, max_tokens=32, folder=folder)["test"] for folder in (None, tmp_path, tmp_path))
    for data in (kept, again):
        assert fresh.answers is not None
        assert data.answers is not None
        for one, other in zip(data.answers.of(range(8)), fresh.answers.of(range(8)), strict=True):
            assert np.array_equal(one, other)


def test_perplexity_is_of_all_tokens_together_and_lower_is_better() -> None:
    losses = np.array([[10.0, 100.0], [5.0, 1.0]])
    found = score("perplexity", losses, [0.0, 0.0])
    assert found.value == pytest.approx(-math.exp(15 / 101))
    assert METRICS["perplexity"].title == "neg_perplexity"
    worse = score("perplexity", losses * [2, 1], [0.0, 0.0])
    assert worse.value < found.value
    assert math.isfinite(score("perplexity", losses * [1e6, 1], [0.0, 0.0]).variance)


def test_batches_go_by_the_length_of_the_whole_row() -> None:
    data = written.data(zoo.backbone("decoder"))
    drawn = Batches(data.lengths, batch=8).rows(seed=1, step=0)
    assert np.ptp([data.lengths[row] for row in drawn]) <= 3
