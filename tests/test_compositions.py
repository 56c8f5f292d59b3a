"""Methods at several sites under one budget: an entry of a space, counted as the sum, trained in a pack as alone."""

from pathlib import Path

import pytest
import torch

from ulpt_search.spaces.axes import Choice
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import axes_of, count, load_space, method

from . import toy, zoo

NAMES = ["ulpt+ln_tuning", "ulpt+bitfit", "prompt+lora"]


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_of_a_space_with_the_axes_of_both(name: str, tmp_path: Path) -> None:
    first, second = name.split("+")
    (tmp_path / "space.yaml").write_text(f"methods:\n  {name}:\n    {first}.lr: 0.01\n    {second}: {{layers: all}}\n", encoding="utf8")
    (own,) = load_space(str(tmp_path / "space.yaml")).methods.values()
    axes = {f"{part}.{key}": axis for part in (first, second) for key, axis in method(part).axes().items()}
    assert axes_of(name).keys() == axes.keys()
    assert own.keys() == {key for key, axis in axes.items() if not (isinstance(axis, Choice) and axis.quiet)}
    assert (own[f"{first}.lr"], own[f"{second}.layers"]) == (0.01, "all")


@pytest.mark.parametrize("family", zoo.FAMILIES)
@pytest.mark.parametrize("name", NAMES)
def test_counts_the_sum(name: str, family: str) -> None:
    shape = zoo.backbone(family).shape
    try:
        alone = [count(part, {}, shape) for part in name.split("+")]
    except WrongInput as refused:  # no biases in a Llama or a T5
        with pytest.raises(WrongInput, match=str(refused).partition(":")[0]):
            count(name, {}, shape)
        return
    assert count(name, {}, shape) == sum(alone)


@pytest.mark.parametrize("name", NAMES)
def test_trained_in_a_pack_equals_trained_alone(name: str) -> None:
    backbone = zoo.backbone("encoder")
    first, second = name.split("+")
    configs: list[toy.Config] = [(second, {}, 4), (name, {}, 1), (name, {f"{first}.lr": 0.02}, 2), ("prefix", {}, 3)]
    _, together, scores = toy.train(backbone, configs, steps=4)
    for position, config in enumerate(configs):
        _, single, own = toy.train(backbone, [config], steps=4)
        torch.testing.assert_close(scores[position], own[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.losses[position], single.losses[0], rtol=1e-9, atol=1e-9)
