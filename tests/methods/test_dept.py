"""DePT's equation by hand, the published count, its two learning rates and its refusal."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.dept import Dept

from ..shapes import shape


def test_equation() -> None:
    method = Dept(positions=2, rank=1, prompt_length=1)
    p = {"E": torch.tensor([[9.0, 9.0]]), "A": torch.tensor([[1.0], [2.0]]), "B": torch.tensor([[1.0, -1.0]]), "scaling": torch.tensor(0.5)}
    assert method.prompt(p).tolist() == [[9.0, 9.0]]
    assert method.embeddings(p, torch.zeros(1, 2)).tolist() == [[0.5, -0.5]]
    assert method.embeddings(p, torch.ones(3, 2)).tolist() == [[1.5, 0.5], [2.0, 0.0], [1.0, 1.0]]  # the third stands behind s


def test_published_count_on_t5_base() -> None:
    assert Dept(prompt_length=40, rank=45, positions=256).parameters(shape(width=768)) == 76_800


def test_scaling_is_alpha_over_the_root_of_the_rank_and_the_text_starts_unchanged() -> None:
    method, texts = Dept(rank=4, alpha=8.0), torch.ones(5, 16)
    tensors = method.build(shape(width=16), torch.Generator().manual_seed(0))
    assert float(tensors.frozen["scaling"]) == 4.0
    assert torch.equal(method.embeddings({**tensors.trainable, **tensors.frozen}, texts), texts)


def test_prompt_and_pair_have_their_own_rates() -> None:
    assert [Dept(lr=0.3, lr_pair=0.001).rate(name) for name in ("E", "A", "B")] == [0.3, 0.001, 0.001]


def test_a_rank_above_the_width_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"dept\.rank: 16 is above 8, the smaller of positions and width; lower rank"):
        Dept(rank=16).parameters(shape(width=8))
