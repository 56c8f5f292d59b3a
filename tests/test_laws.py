"""Laws: what holds for every method, told nothing about any of them."""

from collections.abc import Iterable, Iterator

import pytest
import safetensors.torch
import torch

from ulpt_search.spaces.axes import Axis, Float, Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import catalogue, count, method, parts
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import build_parts
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.seeds import sha256_of

from . import toy, zoo

METHODS = sorted(catalogue())
Configs = list[toy.Config]


@pytest.fixture(params=zoo.FAMILIES, scope="module")
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return zoo.backbone(request.param)


def fitting(name: str, backbone: Backbone) -> Hyperparameters:
    """Default hyperparameters; skips where the method says that the model lacks its site."""
    values = method(name).defaults()
    try:
        count(name, values, backbone.shape)
    except WrongInput as reason:
        pytest.skip(str(reason))
    return values


def non_structural(name: str) -> dict[str, Axis]:
    fields = method(name).__dataclass_fields__
    return {key: axis for key, axis in method(name).axes().items() if not fields[key].metadata["structural"]}


@pytest.mark.parametrize("name", METHODS)
def test_counts_exactly_its_formula(name: str, backbone: Backbone) -> None:
    values = fitting(name, backbone)
    (part,) = build_parts(0, parts(name, values), backbone.shape, 0)
    assert sum(tensor.numel() for tensor in part.tensors.trainable.values()) == count(name, values, backbone.shape)


@pytest.mark.parametrize("name", METHODS)
def test_builds_at_every_corner_of_its_axes_or_says_why_not(name: str, backbone: Backbone) -> None:
    fitting(name, backbone)
    built = 0
    for changes in corners(name):
        try:
            number = count(name, changes, backbone.shape)
        except WrongInput as reason:
            assert_one_line(reason)
            continue
        (part,) = build_parts(0, parts(name, changes), backbone.shape, 0)
        assert sum(tensor.numel() for tensor in part.tensors.trainable.values()) == number
        built += 1
    assert built > 0


def assert_one_line(reason: WrongInput) -> None:
    assert len(str(reason).splitlines()) == 1


def corners(name: str) -> Iterator[Hyperparameters]:
    defaults = method(name).defaults()
    yield from ({**defaults, key: corner} for key, axis in method(name).axes().items() for corner in axis.corners())


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_start_on_any_machine(name: str, backbone: Backbone) -> None:
    values = fitting(name, backbone)

    def digest(seed: int) -> str:
        torch.rand(1)  # the global stream must not matter
        (part,) = build_parts(0, parts(name, values), backbone.shape, seed)
        return sha256_of({**part.tensors.trainable, **{f"frozen {k}": t for k, t in part.tensors.frozen.items()}})

    assert digest(5) == digest(5)


@pytest.mark.parametrize("name", METHODS)
def test_leaves_the_frozen_model_unchanged_and_moves_every_tensor_of_its_own(name: str, backbone: Backbone) -> None:
    values = fitting(name, backbone)
    before = sha256_of(dict(backbone.model.state_dict()))
    start = toy.pack(backbone, [(name, values, 0)])
    trained, _, _ = toy.train(backbone, [(name, values, 0)], steps=4)
    assert sha256_of(dict(backbone.model.state_dict())) == before
    assert not any(hasattr(module, "ulpt_prefix") for module in backbone.model.modules())
    old, new = start.of_trial(start.flat, 0), trained.of_trial(trained.flat, 0)
    still = {key for key in old if torch.equal(old[key], new[key])}
    assert still <= blind(backbone, old), sorted(still)


def blind(backbone: Backbone, keys: Iterable[str]) -> set[str]:
    """Tensors that cannot get a gradient: attention weights over the single token of a decoder that scores label words."""
    decoder = range(backbone.shape.layers // 2, backbone.shape.layers) if backbone.family == "encoder-decoder" else range(0)
    sites = (f"{layer}.{role}" for layer in decoder for role in ("q", "k"))
    return {key for site in sites for key in keys if key.startswith(f"{site}/")}


@pytest.mark.parametrize("name", METHODS)
def test_trained_in_a_pack_equals_trained_alone(name: str, backbone: Backbone) -> None:
    configs = neighbours(name, backbone)
    packed, together, scores = toy.train(backbone, configs, steps=6)
    for position, config in enumerate(configs):
        alone, single, own = toy.train(backbone, [config], steps=6)
        torch.testing.assert_close(scores[position], own[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.losses[position], single.losses[0], rtol=1e-9, atol=1e-9)
        mine, theirs = packed.of_trial(packed.flat, position), alone.of_trial(alone.flat, 0)
        for key in theirs:
            torch.testing.assert_close(mine[key], theirs[key], rtol=1e-6, atol=1e-7)


def neighbours(name: str, backbone: Backbone) -> Configs:
    """The method three times — other seed, other non-structural values — between trials of other methods."""
    values = fitting(name, backbone)
    moved = {
        key: (axis.low * axis.high) ** 0.5 if axis.log else (axis.low + axis.high) / 2
        for key, axis in non_structural(name).items()
        if isinstance(axis, Float)
    }
    mates: Configs = [("prompt", {"prompt_length": 3, "lr": 0.01}, 7), ("lora", {"rank": 1, "layers": "last:1", "modules": "all"}, 8)]
    return [mates[0], (name, values, 1), (name, values, 2), (name, {**values, **moved}, 2), mates[1], ("ulpt", {"prompt_length": 5}, 3)]


@pytest.mark.parametrize("name", METHODS)
def test_saves_and_reloads_to_equal_outputs(name: str, backbone: Backbone) -> None:
    values = fitting(name, backbone)
    trained, _, scores = toy.train(backbone, [(name, values, 4)], steps=3)
    stored = safetensors.torch.load(safetensors.torch.save(trained.of_trial(trained.flat, 0)))
    again = toy.pack(backbone, [(name, values, 4)])
    again.set_trial(again.flat, 0, stored)
    data = encode(backbone, toy.rows(), max_tokens=32)
    assert torch.equal(toy.trainer(backbone).predict(again, data), scores)


@pytest.mark.parametrize("name", METHODS)
def test_learns_a_toy_task(name: str, backbone: Backbone) -> None:
    values = fitting(name, backbone)
    _, _, scores = toy.train(backbone, [(name, values, 0)], steps=60)
    start = toy.pack(backbone, [(name, values, 0)])
    data = encode(backbone, toy.rows(), max_tokens=32)
    targets = torch.tensor(data.targets)
    before = torch.nn.functional.cross_entropy(toy.trainer(backbone).predict(start, data)[0], targets)
    after = torch.nn.functional.cross_entropy(scores[0], targets)
    assert after < before - 0.01, f"{name}: {before:.4f} -> {after:.4f}"
