"""A toy task with a known answer, and the shortest way to train a pack on it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import Training
from ulpt_search.workers.catalogue import count, parts, rule
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.tasks import Rows, Task
from ulpt_search.workers.training.trainer import Trained, Trainer

LABELS = ("red", "green", "blue")
Config = tuple[str, Hyperparameters, int]
"""Method, hyperparameters, seed."""


def rows(count: int = 96) -> Rows:
    """Texts of 3 to 12 words; the label is named by a word that only its class uses."""
    draw = torch.Generator().manual_seed(3)
    labels = torch.randint(3, (count,), generator=draw).tolist()
    lengths = torch.randint(3, 13, (count,), generator=draw).tolist()
    words = [torch.randint(10, 60, (length,), generator=draw).tolist() for length in lengths]
    texts = [" ".join([f"w{label}", *(f"w{word}" for word in line)]) for label, line in zip(labels, words, strict=True)]
    return Rows(tuple(texts), (None,) * count, tuple(labels))


def task() -> Task:
    """The toy task; all splits are the same rows, since nothing here measures generalisation."""
    data = rows()
    return Task("toy", "classification", LABELS, LABELS, "accuracy", data, data, data, "toy")


def trainer(backbone: Backbone, *, steps: int = 20) -> Trainer:
    """A trainer of the toy task."""
    return Trainer(backbone, readout_of(backbone, task()), Training(steps=steps, rungs=(steps,), batch=8))


def fits(backbone: Backbone, config: Config) -> bool:
    """Whether a configuration has its sites in a model."""
    try:
        return count(config[0], config[1], backbone.shape) > 0
    except WrongInput:
        return False


def pack(backbone: Backbone, configs: Sequence[Config]) -> Pack:
    """The pack of some configurations at step 0, in the backbone's precision."""
    built = [build_parts(i, parts(name, values), backbone.shape, seed) for i, (name, values, seed) in enumerate(configs)]
    return Pack(built, device=backbone.device, dtype=backbone.dtype)


def train(backbone: Backbone, configs: Sequence[Config], *, steps: int) -> tuple[Pack, Trained, Tensor]:
    """Train a fresh pack; returns it with its losses and its label scores (trials, rows, labels)."""
    fresh = pack(backbone, configs)
    run, data = trainer(backbone, steps=steps), encode(backbone, rows(), max_tokens=32)
    follow = rule(*configs[0][:2])
    run.heads.begin(fresh, data)
    trained = run.train(fresh, follow, follow.start(fresh), [seed for _, _, seed in configs], data, start=0, stop=steps)
    return fresh, trained, run.predict(fresh, data)
