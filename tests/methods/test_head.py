"""A head's equation and counts by hand, its starts, what it reads of a text, and its company in a pack."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor
from torch.nn.functional import cross_entropy

from ulpt_search.search.running.inspection import judge_methods
from ulpt_search.spaces.axes import Choice
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.workers.catalogue import count, count_to_begin, parts, rule
from ulpt_search.workers.methods.head import Head
from ulpt_search.workers.methods.maths import discriminant as ridges
from ulpt_search.workers.methods.maths.discriminant import discriminant, rule_of
from ulpt_search.workers.methods.maths.several_labels import one_by_one
from ulpt_search.workers.model import pooled_states
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.frozen_scores import own_scores
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.pooled_states import PooledStates
from ulpt_search.workers.model.pooling import Body
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.training.trainer import Trainer

from .. import toy, whole_labels, zoo
from ..shapes import shape

SHAPE = replace(shape(width=384), labels=77)


def test_equation() -> None:
    h = torch.tensor([[1.0, 2.0]])
    whole = {"W": torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), "c": torch.tensor([0.0, 0.0, -5.0])}
    assert Head().scores(whole, h).tolist() == [[1.0, 2.0, -2.0]]
    low = {"U": torch.tensor([[1.0], [-1.0], [0.0]]), "V": torch.tensor([[1.0, 1.0]])}
    assert Head(rank=1, bias=False).scores(low, h).tolist() == [[3.0, -3.0, 0.0]]


@pytest.mark.parametrize(("changes", "wanted"), [({}, 29_645), ({"rank": 16}, 7_453), ({"rank": 21, "bias": False}, 9_681)])
def test_counts_of_banking77_on_minilm(changes: dict[str, int], wanted: int) -> None:
    assert count("head", changes, SHAPE) == wanted


@pytest.mark.parametrize(
    ("changes", "family", "told"),
    [
        ({"rank": 77}, "decoder", "head.rank: 77 is no less than W with 77 labels; use 76 or less, or 0 for W whole"),
        ({"pooling": "first"}, "decoder", "has seen no other; use last, mean or auto"),
        ({"pooling": "mean"}, "encoder-decoder", "would not see what its decoder does; use first or auto"),
        ({"pooling": "pooler"}, "encoder", "no trained pooler; use first, mean or auto"),
    ],
)
def test_what_makes_no_sense_is_refused_on_paper(changes: dict[str, str | int], family: str, told: str) -> None:
    with pytest.raises(WrongInput, match=told):
        count("head", changes, replace(SHAPE, family=family))  # type: ignore[arg-type]


def test_features_without_effect_are_not_begun_and_count_as_ever_where_they_were() -> None:
    """A head trained before there was such a refusal goes on, and leaves as files."""
    assert count("head", {"features": "cosine"}, SHAPE) == count("head", {}, SHAPE) == count_to_begin("head", {}, SHAPE)
    for name, at in (("head", "features"), ("lora+head", "head.features")):
        with pytest.raises(WrongInput, match="cosine is of pairs whose texts are read each by itself, which this task's are not"):
            count_to_begin(name, {at: "cosine"}, SHAPE)
    axes = {"features": Choice(("cosine", "difference,product"))}
    judged = judge_methods(Space("s", ModelSpec(), TaskSpec(), Training(), {"head": axes}), SHAPE, budget=50_000)
    assert judged["head"].axes == {"features": Choice(("difference,product",))}


def test_a_task_without_labels_and_a_second_head_are_refused() -> None:
    with pytest.raises(WrongInput, match="head: needs a task of two labels or more, got 0"):
        count("head", {}, shape(width=8))
    with pytest.raises(WrongInput, match="names every method once"):
        count("head+head", {}, SHAPE)


def gaussians(rows: int, labels: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """States around means of their own with one covariance, their labels, and the best rule's logits."""
    draw = torch.Generator().manual_seed(1)
    means, mix = torch.randn(labels, width, generator=draw), torch.randn(width, width, generator=draw) / 2
    y = torch.randint(labels, (rows,), generator=draw)
    h = means[y] + torch.randn(rows, width, generator=draw) @ mix.T
    inverse = torch.linalg.inv(mix @ mix.T)
    return h, y, h @ inverse @ means.T - (means @ inverse * means).sum(1) / 2


def test_discriminants_are_the_best_rule_of_gaussian_classes() -> None:
    h, y, best = gaussians(4000, 4, 6)
    (w,), c = discriminant(h, y, labels=4)
    assert ((h @ w.T + c).argmax(1) == best.argmax(1)).double().mean() > 0.95
    (u, v), c = discriminant(h, y, labels=4, rank=3)
    assert ((h @ v.T @ u.T + c).argmax(1) == best.argmax(1)).double().mean() > 0.95, "three directions tell four classes apart"
    assert (u.shape, v.shape) == ((4, 3), (3, 6))


def test_a_label_without_rows_and_more_numbers_than_rows_leave_a_rule() -> None:
    h, y, _ = gaussians(12, 3, 40)
    (w,), c = discriminant(h, y, labels=5)
    assert torch.isfinite(w).all()
    assert (h @ w.T + c).argmax(1).tolist() == y.tolist()


def test_descriptions_start_as_the_cosine_readout_answers() -> None:
    backbone = zoo.backbone("encoder")
    run, data = toy.trainer(backbone), encode(backbone, toy.rows(), max_tokens=32)
    begun = toy.pack(backbone, [("head", {"init": "descriptions"}, 0)])
    run.heads.begin(begun, data)
    wanted = own_scores(backbone, run.readout, data, range(len(data.ids)))
    assert torch.equal(run.predict(begun, data)[0].argmax(-1), wanted.argmax(-1))


def test_one_row_a_label_is_enough_to_start_from() -> None:
    h, y = torch.randn(4, 48, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    (w,), c = discriminant(h, y, labels=4)
    assert torch.isfinite(w).all()
    assert torch.equal((h @ w.T + c).argmax(1), y)


def test_the_order_of_rows_does_not_decide_the_temperature() -> None:
    """Labels in turns of four: what every fourth row would leave out is one label, of which the fit then knows nothing."""
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 4
    h = torch.randn(4, 64, generator=chance)[y] + 2 * torch.randn(400, 64, generator=chance)
    shuffled = torch.randperm(400, generator=chance)
    sizes = [float(discriminant(h[order], y[order], labels=4)[0][0].norm()) for order in (torch.arange(400), shuffled)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.25)


def test_with_few_rows_the_penalty_is_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the rows, left out, prefers it; on rows of the same kind that nobody has seen it is the better one."""
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(2120) % 4
    h = torch.randn(4, 96, generator=chance)[y] + 4 * torch.randn(len(y), 96, generator=chance)

    def loss() -> float:
        (w,), c = rule_of(h[:120], y[:120], labels=4, rank=0, bias=True)
        return float(cross_entropy(h[120:] @ w.T + c, y[120:]))

    chosen = loss()
    monkeypatch.setattr(ridges, "RIDGES", ridges.RIDGES[:1])
    assert chosen < 0.98 * loss()


def test_without_a_bias_what_all_states_share_moves_no_label() -> None:
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 4
    h = torch.randn(4, 16, generator=chance)[y] + 0.2 * torch.randn(200, 16, generator=chance) + 30 * torch.randn(16, generator=chance)
    for rank in (0, 3):
        weights, c = discriminant(h, y, labels=4, rank=rank, bias=False)
        scores = h
        for factor in reversed(weights):
            scores = scores @ factor.T
        assert not c.any()
        assert float((scores.argmax(1) == y).double().mean()) > 0.9


@pytest.mark.parametrize("family", zoo.FAMILIES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rank": 2},
        {"bias": False},
        {"bias": False, "rank": 2},
        {"init": "descriptions"},
        {"init": "descriptions", "rank": 2},
        {"init": "zero"},
    ],
    ids=str,
)
def test_every_start_learns_and_looks_at_the_task_before_the_first_step(changes: dict[str, str | int], family: str) -> None:
    backbone = zoo.backbone(family)
    _, _, scores = toy.train(backbone, [("head", {**changes, "lr": 0.1}, 0)], steps=40)
    run, data = toy.trainer(backbone), encode(backbone, toy.rows(), max_tokens=32)
    begun = toy.pack(backbone, [("head", changes, 0)])
    drawn = begun.flat.clone()
    run.heads.begin(begun, data)
    assert torch.equal(begun.flat, drawn) == (changes.get("init") == "zero")
    before, after = (cross_entropy(found[0], torch.tensor(data.targets)) for found in (run.predict(begun, data), scores))
    assert after < before - 0.01


COMPANY: list[toy.Config] = [
    ("prompt", {"prompt_length": 3}, 1),
    ("head", {}, 2),
    ("head", {"rank": 2, "batch": 1}, 3),
    ("ulpt+head", {"ulpt.prompt_length": 4, "ulpt.lr": 0.05}, 4),
    ("lora+head", {"lora.lr": 0.01, "head.init": "zero"}, 5),
    ("head", {"batch": 1}, 6),
]


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_heads_alone_and_joined_share_a_pack_with_trials_without_one(family: str) -> None:
    backbone = zoo.backbone(family)
    _, together, scores = toy.train(backbone, COMPANY, steps=4)
    for position, config in enumerate(COMPANY):
        _, single, own = toy.train(backbone, [config], steps=4)
        torch.testing.assert_close(scores[position], own[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.losses[position], single.losses[0], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("pooling", ["mean", "first", "last", "pooler"])
def test_poolings_share_a_pack(pooling: str) -> None:
    backbone = zoo.backbone("encoder")
    configs: list[toy.Config] = [("ln_tuning+head", {"head.pooling": name}, 1) for name in ("mean", pooling, "last")]
    _, _, scores = toy.train(backbone, configs, steps=3)
    torch.testing.assert_close(scores[1], toy.train(backbone, configs[1:2], steps=3)[2][0], rtol=1e-5, atol=1e-5)


def plain(backbone: Backbone, data: Encoded, row: int, how: str) -> Tensor:
    """What a plain call on one unpadded text gives."""
    ids = torch.tensor(data.ids[row].tolist())[None]
    model = backbone.model
    hidden = (model if backbone.family == "encoder" else model.base_model)(input_ids=ids)
    found: dict[str, Tensor] = {
        "mean": hidden.last_hidden_state[0].mean(0),
        "first": hidden.last_hidden_state[0, 0],
        "last": hidden.last_hidden_state[0, -1],
        **({"pooler": hidden.pooler_output[0]} if backbone.family == "encoder" else {}),
    }
    return found[how]


@pytest.mark.parametrize(
    ("family", "how"), [*(("encoder", how) for how in ("mean", "first", "last", "pooler")), ("decoder", "last"), ("gpt2", "mean")]
)
def test_a_pooled_state_is_the_plain_models_alone_or_padded(family: str, how: str) -> None:
    """Neighbours of other lengths, and the side on which a tokenizer would pad, are nothing to it."""
    backbone = zoo.backbone(family)
    data = encode(backbone, toy.rows(24), max_tokens=32)
    found = PooledStates(backbone, Body(backbone)).rows(data, torch.arange(24).numpy(), how)
    for row in range(24):
        torch.testing.assert_close(found[row], plain(backbone, data, row, how), rtol=1e-9, atol=1e-9)


def test_a_large_split_is_kept_on_the_host_and_only_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device stands for one that is not the host: there a large table is not kept."""
    backbone = zoo.backbone("encoder")
    data, rows = encode(backbone, toy.rows(24), max_tokens=32), np.array([[3, 5], [3, 20]])
    beside, far = PooledStates(backbone, Body(backbone)), PooledStates(backbone, Body(backbone))
    wanted = beside.rows(data, rows, "mean")
    monkeypatch.setattr(pooled_states, "LARGEST", 0)
    assert torch.equal(far.rows(data, rows, "mean"), wanted)
    table = far._table(data, "mean")
    assert table.known.sum() == 3
    monkeypatch.setattr(Backbone, "device", property(lambda self: torch.device("meta")))
    assert far._table(data, "first").values.device.type == "cpu"
    monkeypatch.setattr(pooled_states, "LARGEST", 1 << 28)
    assert far._table(data, "last").values.device.type == "meta"


def test_a_rule_is_found_once_for_the_same_states_and_goes_with_them() -> None:
    states, targets = torch.randn(24, 4, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 3
    first = discriminant(states, targets, labels=3)
    assert discriminant(states, targets, labels=3) is first
    assert discriminant(states, targets, labels=3, rank=1) is not first
    assert discriminant(states, targets.flip(0), labels=3) is not first
    kept = weakref.ref(first[1])
    del first, states
    assert kept() is None


@pytest.mark.parametrize("several", [False, True])
def test_the_eigenvectors_that_all_ranks_share_are_found_once(several: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all rows and of three fourths of them; of any number of labels a row for each label, which is a rule of its own."""
    states, numbers = torch.randn(24, 4, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 3
    found, eigh = list[int](), torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: found.append(len(matrix)) or eigh(matrix))  # type: ignore[func-returns-value]
    marks = torch.nn.functional.one_hot(numbers, 3)
    rules = [one_by_one(states, marks, rank=rank) if several else discriminant(states, numbers, labels=3, rank=rank) for rank in (0, 1, 2)]
    assert len(found) == (6 if several else 2)
    kept = weakref.ref(rules[1][1])
    if not several:
        torch.testing.assert_close(rules[1], rule_of(states, numbers, labels=3, rank=1, bias=True), rtol=0, atol=0)
    del states, rules
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("how", ["mean", "first", "last", "pooler"])
def test_virtual_tokens_do_not_move_what_is_pooled(how: str) -> None:
    """A prompt in front: the pooled vector is that of the text's own places, whatever the prompt holds where nobody attends to it."""
    backbone = zoo.backbone("encoder")
    body, hidden = Body(backbone), torch.randn(2, 9, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([4, 3])
    bare = body.pool(hidden[:, 5:], how, fronts=torch.tensor([0, 0]), lengths=lengths)
    torch.testing.assert_close(body.pool(hidden, how, fronts=torch.tensor([5, 5]), lengths=lengths), bare)


def test_a_pooler_that_the_checkpoint_lacks_is_refused(tmp_path: Path) -> None:
    """Its numbers would be other ones at each load."""
    model = zoo.model("encoder")
    transformers.BertModel.from_pretrained(zoo.saved("encoder"), add_pooling_layer=False).save_pretrained(tmp_path)
    zoo.tokenizer().save_pretrained(tmp_path)
    bare, whole = load(ModelSpec(str(tmp_path), dtype="float32")), zoo.backbone("encoder")
    assert isinstance(model.pooler, torch.nn.Module)
    assert count("head", {"pooling": "pooler"}, whole.shape) == 3 * 32 + 3
    with pytest.raises(WrongInput, match="no trained pooler; use first, mean or auto"):
        count("head", {"pooling": "pooler"}, replace(bare.shape, labels=3))


def test_a_head_is_float32_beside_a_bfloat16_body() -> None:
    backbone = zoo.backbone("decoder", "bfloat16")
    run, data = toy.trainer(backbone), encode(backbone, toy.rows(), max_tokens=32)
    built = [build_parts(0, parts("head", {}), backbone.shape, 0), build_parts(1, parts("lora+head", {}), backbone.shape, 1)]
    pack, follow = Pack(built, device=backbone.device), rule("head", {})
    run.heads.begin(pack, data)
    run.train(pack, follow, follow.start(pack), [0, 1], data, start=0, stop=3)
    assert pack.flat.dtype == torch.float32
    assert torch.isfinite(pack.flat).all()
    assert torch.isfinite(run.predict(pack, data)).all()


def test_where_labels_are_read_token_by_token_heads_have_passes_of_their_own() -> None:
    """A text with labels behind it, or copied for each, would be of no use to them."""
    backbone = zoo.backbone("decoder")
    task = whole_labels.task(("red green", "red blue", "green"))
    run = Trainer(backbone, readout_of(backbone, task), Training(steps=4, rungs=(4,), batch=8))
    data, follow = encode(backbone, toy.rows(), max_tokens=32), rule("head", {})
    assert not run.readout.joins
    pack = toy.pack(backbone, [("head", {}, 1), ("lora+head", {"lora.lr": 0.01}, 2)])
    run.heads.begin(pack, data)
    run.train(pack, follow, follow.start(pack), [1, 2], data, start=0, stop=4)
    _, _, wanted = toy.train(backbone, [("lora+head", {"lora.lr": 0.01}, 2)], steps=4)
    torch.testing.assert_close(run.predict(pack, data)[1], wanted[0], rtol=1e-5, atol=1e-5)
    mixed = toy.pack(backbone, [("lora", {}, 1), ("lora+head", {}, 2)])
    with pytest.raises(ValueError, match=r"trials \[1\] have heads, to which these passes are of no use"):
        run.predict(mixed, data)
