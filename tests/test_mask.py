"""Label words at a mask: equal to the plain masked language model, never cut off, one mask a row, with pairs and adapters."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForMaskedLM

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.catalogue import rule
from ulpt_search.workers.model import frozen_scores
from ulpt_search.workers.model.backbone import load, shape_of
from ulpt_search.workers.model.readouts.choice import about, readout_of, template_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.readouts.mask import Mask
from ulpt_search.workers.tasks import Rows

from . import families, masked, toy, whole_labels, zoo
from .test_families import rows


@torch.no_grad()
def plain(name: str) -> Tensor:
    """Label scores (rows, labels) by the family's own class, from a string with the mask in it, one row at a time."""
    model = AutoModelForMaskedLM.from_pretrained(masked.folder(name), dtype=torch.float32).eval()
    tokenizer = masked.tokenizer(name)
    words = [tokenizer(label, add_special_tokens=False)["input_ids"][0] for label in toy.LABELS]
    ending, scored = masked.ENDING.replace("{mask}", tokenizer.mask_token), []
    for a, b in zip(rows().texts_a, rows().texts_b, strict=True):
        given = tokenizer(a + ending, return_tensors="pt") if b is None else tokenizer(a, b + ending, return_tensors="pt")
        place = given["input_ids"][0].tolist().index(tokenizer.mask_token_id)
        scored.append(model(**given).logits[0, place, words])
    return torch.stack(scored)


@pytest.mark.parametrize("name", masked.FAMILIES)
def test_scores_are_the_plain_models(name: str) -> None:
    backbone = masked.backbone(name)
    readout, data = readout_of(backbone, toy.task()), encode(masked.backbone(name), rows(), max_tokens=families.POSITIONS)
    assert isinstance(readout, Mask)
    wanted = plain(name)
    assert wanted.std() > 0.01
    assert frozen_scores.relative(frozen_scores.own_scores(backbone, readout, data, range(8)), wanted) < 1e-5
    frozen_scores.require_same_scores(backbone, readout, data)


@pytest.mark.parametrize("second", [None, "w9"])
def test_a_text_too_long_loses_words_and_never_the_mask(second: str | None) -> None:
    """Trap: the template is cut after it was put together."""
    backbone = masked.backbone("bert")
    long = Rows((" ".join(["w1"] * 600), "w2", "w3 <mask> w4"), (second, " ".join(["w5"] * 600), second), (0, 1, 2))
    data = encode(backbone, long, max_tokens=20)
    assert [len(ids) for ids in data.ids[:2]] == [20, 20]
    mask = backbone.tokenizer.mask_token_id
    assert [ids.tolist().count(mask) for ids in data.ids] == [1, 1, 1], "a mask that stands in a text is a word"
    after = [len(ids) - 1 - ids.tolist().index(mask) for ids in data.ids]
    assert len(set(after)) == 1
    if data.types is not None:
        assert len(data.types) == len(data.tokens)


def test_a_pack_with_prompts_trains_each_trial_as_if_alone() -> None:
    configs: list[toy.Config] = [("prompt", {"prompt_length": 2}, 1), ("lora", {"lr": 0.01}, 2), ("head", {"batch": 8}, 3)]
    backbone = masked.backbone("bert")
    run = replace(toy.trainer(backbone, steps=3), readout=readout_of(backbone, toy.task()))
    data = encode(backbone, toy.rows(24), max_tokens=32)

    def trained(chosen: list[toy.Config]) -> tuple[Tensor, Tensor]:
        pack, follow = toy.pack(backbone, chosen), rule(*chosen[0][:2])
        losses = run.train(pack, follow, follow.start(pack), [seed for _, _, seed in chosen], data, start=0, stop=3).losses
        return losses, run.predict(pack, data)

    losses, scores = trained(configs[:2])
    for position, config in enumerate(configs[:2]):
        loss, alone = trained([config])
        torch.testing.assert_close(losses[position], loss[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(scores[position], alone[0], rtol=1e-3, atol=1e-4)


def test_longer_texts_are_averaged_where_asked_and_else_told_by_their_first_token() -> None:
    backbone = masked.backbone("bert")
    data = encode(backbone, rows(), max_tokens=families.POSITIONS)
    texts, singles = ("red green", "blue w3"), ("red", "green", "blue", "w3")
    each = frozen_scores.own_scores(backbone, readout_of(backbone, whole_labels.task(singles)), data, range(8))
    mean = frozen_scores.own_scores(backbone, readout_of(backbone, whole_labels.task(texts, scoring="mean")), data, range(8))
    first = frozen_scores.own_scores(backbone, readout_of(backbone, whole_labels.task(texts)), data, range(8))
    torch.testing.assert_close(mean, each.view(8, 2, 2).mean(-1))
    torch.testing.assert_close(first, each[:, [0, 2]])
    for task, message in ((whole_labels.task(), "first, but"), (whole_labels.task(scoring="sum"), "sum, but a mask holds one token")):
        with pytest.raises(WrongInput, match=f"^task.scoring: {message}"):
            readout_of(backbone, task)


def test_a_study_knows_its_mask_and_plan_says_it() -> None:
    first, other = (masked.backbone("bert", ending) for ending in (masked.ENDING, " It was {mask}."))
    assert len({template_of(each, toy.task()) for each in (first, other)}) == 2
    assert about(other.tokenizer, "encoder", toy.task(), mask=other.mask) == (
        "logit of the first token of each label word in ' It was {mask}.' behind the text"
    )
    assert [site.name for site in shape_of(masked.spec("bert")).linears] == [site.name for site in first.shape.linears]


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("decoder", r"^task.readout: mask, but a llama fills no masks; give a masked language model, or readout: auto$"),
        ("encoder", r"^task.readout: mask, but \S+ holds no cls\S+: it was saved without that head; take readout: auto$"),
    ],
)
def test_a_model_without_that_head_is_refused(family: str, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        load(ModelSpec(zoo.saved(family), dtype="float32", device="cpu", mask=masked.ENDING))
