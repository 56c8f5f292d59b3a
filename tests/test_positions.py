"""Positions of padding, and rotary frequencies that follow the longest row: a row is what it is alone, whatever stands beside it."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from ulpt_search.benchmarks.family_gates import Config, apart, shaken
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.catalogue import count
from ulpt_search.workers.model.backbone import Backbone, shape_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.training.trainer import bound_values

from . import families, toy
from .test_room import long

TURNING = ("llama-dynamic", "phi3-longrope")
"""Pretrained on 48 positions; the second has 64."""
ROOM = {"llama-dynamic": 48, "phi3-longrope": 48, "bert": 64, "gpt2": 64, "roberta": 62}
PROMPT: Config = ("prompt", {"prompt_length": 8}, 1)
PREFIX: Config = ("prefix", {"prefix_length": 8}, 2)
LORA: Config = ("lora", {"rank": 2}, 3)


def scores(backbone: Backbone, configs: Sequence[Config], data: Encoded, rows: Sequence[int]) -> Tensor:
    """(trials, rows, labels) of one pass, every trial on the same rows."""
    run, pack = toy.trainer(backbone), shaken(backbone, configs)
    with torch.no_grad(), Sites(backbone.model, backbone.shape, pack.groups, trials=pack.size) as sites:
        batch = run._batch(data, list(rows) * pack.size, blocks=0, device=backbone.device)
        return run._scores(pack, sites, bound_values(pack), batch)


@pytest.mark.parametrize("name", ROOM)
def test_padding_behind_a_full_row_has_no_place_and_moves_nobody(name: str) -> None:
    """Prompt or prefix and text fill all positions; side by side, what pads a row with a prefix would come to stand beyond the last."""
    backbone = families.backbone(name)
    data = encode(backbone, long(), max_tokens=ROOM[name] - 8)
    for config in (PROMPT, PREFIX):
        assert count(config[0], config[1], backbone.shape, text=data.lengths[0]) > 0
    together = scores(backbone, (PROMPT, PREFIX, LORA), data, [0])
    for place, config in enumerate((PROMPT, PREFIX, LORA)):
        assert apart(together[place], scores(backbone, [config], data, [0])[0]) < 1e-5


@pytest.mark.parametrize("name", TURNING)
def test_a_family_whose_frequencies_follow_the_longest_row_has_room_up_to_where_they_turn(name: str) -> None:
    backbone = families.backbone(name)
    assert backbone.shape.positions == shape_of(ModelSpec(str(families.folder(name)))).positions == ROOM[name]
    assert encode(backbone, long(), max_tokens=512).longest <= ROOM[name]
    with pytest.raises(WrongInput, match=r"8 virtual tokens and texts of 41 do not fit the model's 48 positions; set .* to 40"):
        count("prompt", PROMPT[1], backbone.shape, text=41)


@pytest.mark.parametrize("name", TURNING)
@torch.no_grad()
def test_a_prompt_is_what_transformers_makes_of_embeddings_of_that_length(name: str) -> None:
    """8 virtual tokens and 40 of text, without its end, reach the last place before frequencies turn."""
    backbone = families.backbone(name)
    words = backbone.tokenizer(list(toy.LABELS), add_special_tokens=False)["input_ids"]
    data, pack = encode(backbone, long(), max_tokens=41), shaken(backbone, [PROMPT])
    found = scores(backbone, [PROMPT], data, [0])[0, 0]
    plain = AutoModelForCausalLM.from_pretrained(families.folder(name), dtype=torch.float32, attn_implementation="eager").eval()
    (prompt,) = pack.of_trial(pack.flat, 0).values()
    text = plain.get_input_embeddings()(torch.as_tensor(data.ids[0].tolist()))
    wanted = plain(inputs_embeds=torch.cat([prompt, text])[None]).logits[0, -1, [word for (word,) in words]]
    assert len(prompt) + len(text) == ROOM[name]
    assert apart(found, wanted) < 1e-5
    beyond = plain(inputs_embeds=torch.cat([prompt, text, text[:1]])[None]).logits[0, -2, [word for (word,) in words]]
    assert apart(beyond, wanted) > 1e-3, "one token more and the frequencies are others"
