"""Memory on paper: what is counted is what lives, and it grows and shrinks as training does."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from ulpt_search.benchmarks.random_models import model_of
from ulpt_search.benchmarks.tiny_families import empty
from ulpt_search.search.running.memory_plan import memory_plan
from ulpt_search.search.running.writing_cost import answer_tokens
from ulpt_search.spaces.errors import Failure
from ulpt_search.spaces.records import Trial
from ulpt_search.spaces.space import BITS, ModelSpec, Quantization, Setup, Space, TaskSpec, Training
from ulpt_search.workers.catalogue import parts
from ulpt_search.workers.exports import export, room
from ulpt_search.workers.model.architecture import read_shape
from ulpt_search.workers.model.backbone import on_paper, shape_of
from ulpt_search.workers.model.quantised import saved
from ulpt_search.workers.training import memory_here
from ulpt_search.workers.training.memory import ELEMENT, LOGIT, MOMENTS, Living, Memory, Pass, memory_of
from ulpt_search.workers.training.memory_here import checkpoints, fits, needed, pass_of
from ulpt_search.workers.training.speed_measurement import within

from . import families, toy, written

META = torch.device("meta")


def paper(size: Pass, *, dtype: torch.dtype = torch.float32, method: str = "lora", **values: Any) -> Memory:
    model = model_of("tiny", dtype=dtype, device=META)
    return memory_of(model, read_shape(model), parts(method, values), size)


def test_what_lives_is_counted_while_it_lives() -> None:
    with Living() as living:
        first = torch.zeros(100, device=META)
        second = first + 1
        view = second[:50]
        assert living.now == 800
        del second
        assert living.now == 800, "the view holds it"
        del first, view
    assert (living.now, living.peak) == (0, 800)


def test_a_view_of_what_was_there_before_takes_nothing() -> None:
    weight = torch.zeros(10, 10, device=META)
    with Living(outside=[weight]) as living:
        assert weight.t()[:5].shape == (5, 10)
    assert living.peak == 0


def test_the_sums_of_sizes_are_those_of_the_tensors() -> None:
    found = paper(Pass(2, 16), rank=2, modules="q")
    elements = 2 * 2 * (64 + 64)
    weights = sum(weight.numel() for weight in model_of("tiny", dtype=torch.float32, device=META).parameters())
    assert found.base >= 4 * weights
    assert (found.optimiser, found.counted) == (MOMENTS * elements, True)
    assert ELEMENT * elements <= found.adapters < ELEMENT * elements + 1000
    assert found.total == found.base + found.adapters + found.optimiser + found.activations


def test_activations_follow_rows_trials_and_precision_and_shrink_where_blocks_are_computed_again() -> None:
    one, rows, trials = (paper(size).activations for size in (Pass(2, 64), Pass(4, 64), Pass(2, 64, trials=2)))
    assert rows == pytest.approx(2 * one, rel=0.1)
    assert trials == pytest.approx(2 * one, rel=0.1)
    assert paper(Pass(2, 64), dtype=torch.bfloat16).activations < 0.8 * one
    assert paper(Pass(2, 64, checkpointing=True)).activations < one
    assert paper(Pass(2, 64), method="prompt", prompt_length=64).activations > 1.5 * paper(Pass(2, 64), method="prompt").activations


def test_a_family_that_looks_at_numbers_is_estimated_and_says_so() -> None:
    model = empty("mixtral")
    found = memory_of(model, read_shape(model), parts("lora", {}), Pass(2, 16))
    assert not found.counted or found.activations > 0


def test_a_long_step_is_measured_by_its_pieces() -> None:
    recipe = Training(batch=16)
    assert pass_of(recipe, tokens=128, trials=1, device="cpu", checkpointing=False).rows == 16
    assert pass_of(recipe, tokens=256, trials=2, device="cpu", checkpointing=False).rows == 4
    assert pass_of(recipe, tokens=256, trials=2, device="cuda", checkpointing=False).rows == 16


def test_written_answers_take_their_logits() -> None:
    told, none = paper(Pass(2, 16, logits=300 * 128_256)), paper(Pass(2, 16))
    assert told.activations - none.activations == LOGIT * 2 * 300 * 128_256
    recipe = Training(batch=16)
    assert pass_of(recipe, tokens=400, trials=4, device="cuda", checkpointing=False, told=300 * 128_256).rows == 1
    assert pass_of(recipe, tokens=400, trials=4, device="cuda", checkpointing=False, told=30 * 32_000).rows == 16


@pytest.mark.parametrize(
    ("wanted", "room", "expected"),
    [("auto", 1 << 40, False), ("auto", 1 << 18, True), ("never", 1 << 18, False), ("always", 1 << 40, True)],
)
def test_blocks_are_computed_again_where_asked_or_where_a_step_would_not_fit(
    wanted: Any, room: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = families.backbone("bert")
    monkeypatch.setattr(memory_here, "free", lambda device: room)
    monkeypatch.setattr(memory_here, "thrifty", lambda: None)
    spec = ModelSpec(str(families.folder("bert")), dtype="float32", device="cpu", checkpointing=wanted)
    assert checkpoints(backbone, spec, Training(batch=8), tokens=40) is expected


def test_packs_that_do_not_fit_are_not_tried() -> None:
    assert within((1, 2, 4, 8), lambda size: size < 4) == (1, 2)
    assert within((1, 2), lambda size: False) == (1,)


@pytest.mark.parametrize(("room", "expected"), [(1 << 40, True), (1 << 16, False)])
def test_a_pack_fits_where_what_it_needs_beside_the_model_is_free(room: int, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_here, "free", lambda device: room)
    spec = ModelSpec(str(families.folder("bert")), dtype="float32", device="cpu")
    assert fits(families.backbone("bert"), spec, Training(batch=8), 4, tokens=40) is expected


def test_a_plan_counts_the_logits_of_written_answers() -> None:
    """Of the longest answer that is trained on, its end among its tokens; of labels none."""
    folder = str(families.folder("llama"))
    space = Space("answers", ModelSpec(folder, dtype="float32", device="cpu"), TaskSpec(), Training(batch=4), {"lora": {}})
    task, shape = written.task(), families.backbone("llama").shape
    tokens = answer_tokens(task, families.backbone("llama").tokenizer)
    assert (tokens, answer_tokens(toy.task(), families.backbone("llama").tokenizer)) == (4 + 1, 0)
    with_answers, without = (memory_plan(space, shape, tokens=16, told=told * shape.vocabulary).need for told in (tokens, 0))
    assert with_answers.activations - without.activations == LOGIT * 4 * 5 * shape.vocabulary


@pytest.mark.parametrize("kind", BITS)
def test_weights_in_few_bits_are_counted_as_they_are_kept(kind: Quantization) -> None:
    whole = ModelSpec(str(families.folder("llama")), dtype="float32", device="cpu")
    paper, in_bits = on_paper(whole), replace(whole, quantization=kind)
    plain, kept = (needed(spec, shape_of(spec), torch.float32, Pass(2, 16)) for spec in (whole, in_bits))
    assert plain.base - kept.base == saved(paper, kind) > 0
    assert replace(kept, base=plain.base) == plain


def test_an_export_that_memory_has_no_room_for_is_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a weight is read: the system would end the search in the middle of it."""
    spec, whole = ModelSpec(str(families.folder("llama"))), on_paper(ModelSpec(str(families.folder("llama"))))
    weights = sum(weight.nbytes for weight in whole.parameters())
    assert room.memory_of(spec, "native") == pytest.approx(4 * weights, rel=0.01), "in float32"
    assert room.memory_of(replace(spec, quantization="bnb-4bit"), "peft") < room.memory_of(spec, "peft")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    setup = Setup(spec, TaskSpec(), Training(), str(tmp_path))
    with pytest.raises(Failure, match=r"takes 0 MB of memory, and 0 are free; `ulpt-search export` does it later"):
        export(setup, Trial(0, "lora", {}, 0, 1), "0" * 64, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
