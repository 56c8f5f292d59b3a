"""What a search keeps of the model that it has looked at: nothing, since its workers load their own."""

import gc
from pathlib import Path

import torch

from ulpt_search.search.request import Request
from ulpt_search.search.running.inspection import inspect_inputs
from ulpt_search.workers.model.backbone import shape_of

from . import tiny


def test_a_model_that_was_looked_at_is_let_go(tmp_path: Path) -> None:
    """One tensor that somebody still knows keeps all pages of its file in memory, as long as the search lasts."""
    tiny.prepare(tmp_path)
    model, task = str(tmp_path / "encoder"), str(tmp_path / "colours.jsonl")
    request = Request(str(tmp_path / "space.yaml"), 200, str(tmp_path / "home"), model=model, task=task, address="elsewhere:1", quiet=True)
    space = request.space()
    table = (shape_of(space.model).vocabulary, shape_of(space.model).width)

    def tables() -> int:
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) and tuple(one.shape) == table for one in gc.get_objects())

    before = tables()
    inspection = inspect_inputs(request, space, threads=1)
    assert tables() == before
    assert inspection.shape.width == table[1]
