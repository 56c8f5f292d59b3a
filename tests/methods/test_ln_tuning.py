"""LN tuning's equation by hand, published counts, agreement with peft on the count, and its refusal."""

from dataclasses import replace

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Norm
from ulpt_search.workers.methods.ln_tuning import LnTuning
from ulpt_search.workers.model.architecture import standardise

from .. import zoo
from ..shapes import shape


def test_equation() -> None:
    norm, x = torch.nn.LayerNorm(2, eps=1e-12), torch.tensor([[1.0, 3.0]])
    p = {"gamma": torch.tensor([1.0, 2.0]), "beta": torch.tensor([5.0, 0.0])}
    scale, shift = LnTuning().affine(p, Norm("n", 0, "n", 2, bias=True))
    assert shift is not None
    changed = norm(x) + standardise(norm, x) * scale + shift
    torch.testing.assert_close(changed, torch.tensor([[3.0, 3.0]]))  # (-1, 1) ⊙ (2, 3) + (5, 0)
    assert LnTuning(shift=False).affine(p, Norm("n", 0, "n", 2, bias=True))[1] is None


@pytest.mark.parametrize(("width", "layers", "published"), [(2048, 16, 67_584), (896, 24, 43_904), (576, 30, 35_136)])
def test_published_counts(width: int, layers: int, published: int) -> None:
    assert LnTuning().parameters(shape(width=width, layers=layers)) == published


@pytest.mark.filterwarnings("ignore:Unsupported layer type")  # peft asks norms for a number of inputs that it does not need
def test_agrees_with_peft_on_the_count() -> None:
    from peft import LNTuningConfig, get_peft_model

    bare = zoo.backbone("encoder").shape
    theirs = get_peft_model(zoo.model("encoder"), LNTuningConfig(target_modules=[norm.name for norm in bare.norms]))
    assert LnTuning().parameters(bare) == theirs.get_nb_trainable_parameters()[0]
    assert LnTuning(shift=False).parameters(bare) == theirs.get_nb_trainable_parameters()[0] // 2


def test_a_model_without_norms_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match="no norm with a learnt scale in layers 'all'; use bitfit or ia3 instead"):
        LnTuning().parameters(replace(shape(width=8), norms=()))
