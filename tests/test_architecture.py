"""What is read off a model is the same in every process."""

import torch

from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.backbone import load
from ulpt_search.workers.model.seeds import generator
from ulpt_search.workers.model.sizes import rms


def test_the_embedding_scale_does_not_depend_on_the_number_of_threads() -> None:
    table, threads = torch.randn(30_000, 384, generator=generator(0)) * 0.05, torch.get_num_threads()
    try:
        found = set()
        for count in (1, 2, 3, 4):
            torch.set_num_threads(count)
            found.add(rms(table, fallback=0.0))
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1
    assert abs(found.pop() - 0.05) < 1e-4


def test_the_real_model_gives_one_scale() -> None:
    """Seen on the embedded model: with one and with two threads its float32 mean differed, and an export could not find its matrix."""
    model = load(ModelSpec("minilm", dtype="float32", device="cpu")).model
    threads = torch.get_num_threads()
    scales = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            scales.append(rms(model.get_input_embeddings().get_parameter("weight"), fallback=0.0))
    finally:
        torch.set_num_threads(threads)
    assert scales[0] == scales[1]
