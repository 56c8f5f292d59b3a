"""What is read off a model is the same in every process."""

import torch

from ulpt_search.benchmarks.tiny_families import empty
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.architecture import read_shape
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


def test_a_weight_that_is_not_learnt_makes_no_norm_to_train() -> None:
    """Falcon-Mamba's norms of B, C and the step have a buffer of ones that kernels alone read."""
    shape = read_shape(empty("falcon_mamba"))
    assert [(norm.layer, norm.role) for norm in shape.norms] == [(0, "norm"), (1, "norm"), (-1, "backbone_norm_f")]
