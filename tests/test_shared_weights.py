"""Weights held together: the same numbers and outputs, out of a file, tied ones still tied."""

from pathlib import Path

import pytest
import torch

from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.shared_weights import MAPS, private, share_weights

from . import zoo

pytestmark = pytest.mark.skipif(not MAPS.exists(), reason="this system does not say what is mapped")


def own(family: str) -> Backbone:
    return load(ModelSpec(zoo.saved(family), dtype="bfloat16", device="cpu"))


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_converted_weights_come_out_of_a_file(family: str, tmp_path: Path) -> None:
    plain, shared = own(family), own(family)
    weights = list(shared.model.parameters())
    assert private(weights) == sum(weight.nbytes for weight in weights)
    share_weights(shared, tmp_path)
    assert private(shared.model.parameters()) == 0
    for (name, one), (_, other) in zip(plain.model.named_parameters(), shared.model.named_parameters(), strict=True):
        assert torch.equal(one, other), name
        assert not other.requires_grad


def test_outputs_are_identical_and_tied_weights_stay_tied(tmp_path: Path) -> None:
    plain, shared = own("gpt2"), own("gpt2")
    share_weights(shared, tmp_path)
    ids = torch.arange(12)[None]
    assert torch.equal(plain.model(ids).logits, shared.model(ids).logits)
    assert shared.model.get_input_embeddings().weight is shared.model.get_output_embeddings().weight


def test_weights_that_a_file_backs_already_are_left_alone(tmp_path: Path) -> None:
    shared = own("encoder")
    share_weights(shared, tmp_path / "first")
    share_weights(shared, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_second_worker_writes_nothing(tmp_path: Path) -> None:
    share_weights(own("encoder"), tmp_path)
    (path,) = (tmp_path / "weights").glob("*.safetensors")
    before = path.stat()
    share_weights(own("encoder"), tmp_path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
