"""Where a head reads in every family's real class: padded batches of embeddings give the plain model's states, row by row, and where the
family's own class for classification is one linear map there, its logits are ours."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ulpt_search.workers.exports import heads
from ulpt_search.workers.exports.stock_process import class_scores, states, stock_model
from ulpt_search.workers.methods.head import Head
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pooled_states import PooledStates
from ulpt_search.workers.model.pooling import Body
from ulpt_search.workers.model.readouts.encoding import Encoded, encode

from . import families
from .test_families import SAMPLE, rows

CLASSES = {"score": "last", "pooler": "pooler"}
"""What the own class is -> where it reads."""


def texts(name: str) -> tuple[Backbone, Encoded]:
    backbone = families.backbone(name)
    return backbone, encode(backbone, rows(), max_tokens=families.POSITIONS)


def one_by_one(backbone: Backbone, data: Encoded, how: str) -> Tensor:
    """By the plain library, a row at a time."""
    model = stock_model(backbone.source, backbone.family)
    return torch.cat([states(model, given(data, row), backbone.family, how) for row in range(len(data.ids))])


def given(data: Encoded, row: int) -> dict[str, Tensor]:
    ids = torch.from_numpy(data.ids[row].astype(np.int64))[None]
    types = data.batch_types([row], device=torch.device("cpu"))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | ({} if types is None else {"token_type_ids": types})


@pytest.mark.parametrize("name", SAMPLE)
def test_states_are_the_plain_models(name: str) -> None:
    backbone, data = texts(name)
    how = Head().place(backbone.shape)
    found = PooledStates(backbone, Body(backbone)).compute(data, np.arange(len(data.ids)), how)
    wanted = one_by_one(backbone, data, how)
    assert wanted.std() > 0.01, "states that are all alike would hide a difference"
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert found.shape[1] == backbone.shape.state_width


def classes() -> list[str]:
    """Families whose class for classification is promised to be one linear map."""
    promised = ((name, families.backbone(name).shape) for name in SAMPLE)
    return [name for name, shape in promised if shape.handling.classifies == "score" or (shape.handling.classifies and shape.pooler)]


def test_a_class_that_is_one_linear_map_gives_our_scores() -> None:
    found = classes()
    assert len(found) > 12
    assert {"bert", "llama", "gpt2"} <= set(found)
    assert not {"roberta", "distilbert", "modernbert", "t5", "bart"} & set(found), "they have layers of their own between"
    for name in found:
        backbone, data = texts(name)
        how = CLASSES[backbone.shape.handling.classifies]
        draw = torch.Generator().manual_seed(0)
        w, c = torch.randn(3, backbone.shape.state_width, generator=draw), torch.randn(3, generator=draw) * (how == "pooler")
        whole = heads.classifier(replace(backbone, shape=replace(backbone.shape, labels=3)), (w, c), ("a", "b", "c"))
        scores = torch.cat([class_scores(whole.model, given(data, row)) for row in range(len(data.ids))])
        assert torch.allclose(scores, one_by_one(backbone, data, how) @ w.T + c, rtol=1e-4, atol=1e-3), name
