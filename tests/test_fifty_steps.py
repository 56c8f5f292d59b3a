"""Packed equals alone after fifty steps, for every method and in every precision that a benchmark uses.

In float64 the two agree to rounding. In float32 and bfloat16 a pack's products are padded to other sizes and so round
otherwise, and AdamW makes something of it where a gradient is almost nothing; five columns of padding do the same to a trial that is
alone. What a user sees are the scores, so they are compared, and in bfloat16 how well the two have learnt.
"""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.readouts.encoding import encode

from . import toy, zoo
from .test_laws import METHODS, neighbours

STEPS = 50
TOLERANCE = {"float64": 2e-5, "float32": 2e-3}
"""Largest difference of a label's score, of scores in the tens, which are float32 in any case."""
JUMPS = {"snell": 0.1}
"""In float32: SNELL drops the weights below a quantile, and a rounding decides about one that is just there."""


def together_and_alone(name: str, backbone: Backbone) -> tuple[Tensor, Tensor]:
    """Label scores (trials, rows, labels) of a mixed pack, and of the same trials one by one; those of the method itself."""
    configs = neighbours(name, backbone)
    _, _, packed = toy.train(backbone, configs, steps=STEPS)
    own = [position for position, config in enumerate(configs) if config[0] == name][:2]
    alone = [toy.train(backbone, [configs[position]], steps=STEPS)[2][0] for position in own]
    return packed[own], torch.stack(alone)


@pytest.mark.parametrize("name", METHODS)
def test_scores_agree(name: str) -> None:
    packed, alone = together_and_alone(name, zoo.backbone("encoder", "float32"))
    torch.testing.assert_close(packed, alone, rtol=0, atol=JUMPS.get(name, TOLERANCE["float32"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_scores_agree_in_float64(name: str, family: str) -> None:
    packed, alone = together_and_alone(name, zoo.backbone(family))
    torch.testing.assert_close(packed, alone, rtol=0, atol=TOLERANCE["float64"])


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_bfloat16_learns_alike(name: str) -> None:
    backbone = zoo.backbone("encoder", "bfloat16")
    targets = torch.tensor(encode(backbone, toy.rows(), max_tokens=32).targets)
    for packed, alone in zip(*together_and_alone(name, backbone), strict=True):
        assert abs(cross_entropy(packed.float(), targets) - cross_entropy(alone.float(), targets)) < 0.1
