"""Virtual tokens have positions, too: what does not fit beside the texts is refused on paper, what fits can be run to the last place."""

import pytest
import torch

from ulpt_search.search.running.inspection import judge_methods
from ulpt_search.spaces.axes import Axis, Int, Value
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.model.backbone import shape_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.tasks import Rows

from . import families, toy, zoo

ROOM = {"bert": 64, "roberta": 62, "opt": 64, "gpt2": 64, "llama": 64, "bart": 64, "led": 64, "mpt": 64}
"""Family -> tokens that its 64 positions leave for prompt and text: RoBERTa sets two rows aside."""


def long(words: int = 91) -> Rows:
    """One text of so many words."""
    return Rows((" ".join(f"w{i % 60}" for i in range(words)),), (None,), (0,))


@pytest.mark.parametrize("name", ROOM)
def test_prompt_and_text_fill_the_last_position(name: str) -> None:
    backbone = families.backbone(name)
    assert backbone.shape.positions == ROOM[name]
    assert shape_of(ModelSpec(str(families.folder(name)))).positions == ROOM[name]
    data = encode(backbone, long(), max_tokens=ROOM[name] - 6)
    assert data.lengths[0] in (ROOM[name] - 6, ROOM[name] - 7)  # decoders' texts go without their end
    config: toy.Config = ("prompt", {"prompt_length": ROOM[name] - data.lengths[0]}, 0)
    scores = toy.trainer(backbone).predict(toy.pack(backbone, [config]), data)
    assert torch.isfinite(scores).all()


def test_a_text_alone_is_cut_to_the_positions() -> None:
    assert encode(families.backbone("roberta"), long(), max_tokens=512).lengths == (62,)


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    shape = zoo.backbone("encoder").shape
    assert count("prompt", {"prompt_length": 10}, shape, text=54) == 320
    with pytest.raises(WrongInput) as refused:
        count("prompt", {"prompt_length": 10}, shape, text=64)
    wanted = "prompt: 10 virtual tokens and texts of 64 do not fit the model's 64 positions; set task.max_tokens to 54 or less"
    assert str(refused.value) == wanted
    with pytest.raises(WrongInput, match=r"70 virtual tokens and texts of 16 .* choose fewer than 64$"):
        count("prompt", {"prompt_length": 70}, shape, text=16)


MIXED = {"prompt.prompt_length": 4, "prefix.prefix_length": 6}


@pytest.mark.parametrize(("name", "values"), [("prefix", {"prefix_length": 10}), ("prompt+prefix", MIXED)])
def test_prefixes_move_positions_and_parts_add_up(name: str, values: dict[str, int]) -> None:
    count(name, values, zoo.backbone("encoder").shape, text=54)
    with pytest.raises(WrongInput, match="10 virtual tokens"):
        count(name, values, zoo.backbone("encoder").shape, text=55)


def test_a_plan_narrows_prompts_to_what_is_left_beside_the_texts() -> None:
    shape = zoo.backbone("encoder").shape
    methods: dict[str, dict[str, Axis | Value]] = {"prompt": {"prompt_length": Int(1, 100)}, "lora": {"rank": 1}}
    space = Space("s", ModelSpec(), TaskSpec(max_tokens=44), Training(), methods)
    judged = judge_methods(space, shape, budget=10_000)
    axis = judged["prompt"].axes["prompt_length"]
    assert isinstance(axis, Int)
    assert axis.high == 20
    full = judge_methods(Space("s", ModelSpec(), TaskSpec(max_tokens=64), Training(), methods), shape, budget=10_000)
    assert not full["prompt"].feasible
    assert "set task.max_tokens to" in full["prompt"].why
    assert full["lora"].feasible


def test_a_label_task_needs_room_before_its_answer() -> None:
    with pytest.raises(WrongInput, match=r"task.max_tokens: 3 leave no room for text before the 2 of 'Answer:'; raise it"):
        encode(families.backbone("llama"), long(), max_tokens=3)
