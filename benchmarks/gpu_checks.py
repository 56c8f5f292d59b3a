"""What `gpu.py` finds right or wrong on a device, with tiny models of real classes: packs, exports, readouts.

Every check yields rows; one of them says whether it is `fine`, how `far` apart both sides were, and `within` what they had to be.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import peft
import safetensors.torch
import torch
from torch import Tensor

from ulpt_search.benchmarks import tiny_families
from ulpt_search.benchmarks.random_models import around
from ulpt_search.benchmarks.tiny_tasks import WHOLE, colours, said
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import reason
from ulpt_search.spaces.space import TaskSpec, Training
from ulpt_search.workers.catalogue import parts, rule
from ulpt_search.workers.exports import heads, stock
from ulpt_search.workers.exports.stock_process import written
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.decoding import Decoder, Limits
from ulpt_search.workers.model.frozen_scores import plain_scores, relative, require_same_scores
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.precision import cast
from ulpt_search.workers.model.readouts.choice import for_task, readout_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.model.readouts.written_rows import prompts_of
from ulpt_search.workers.tasks import Task
from ulpt_search.workers.training.trainer import Trainer, bound_values

Row = dict[str, Any]
Config = tuple[str, Hyperparameters]
ROWS, STEPS, BATCH, TOKENS, WRITTEN = 24, 3, 8, 40, 8
MIXED: tuple[Config, ...] = (
    ("prompt", {"prompt_length": 3, "lr": 0.1}), ("lora", {"rank": 2, "lr": 0.01}), ("prefix", {"prefix_length": 2, "lr": 0.03}),
    ("adapter", {"rank": 2}), ("ia3", {"lr": 0.1}), ("ln_tuning", {}), ("ulpt", {"prompt_length": 5, "dim": 4, "lr": 0.1}),
    ("head", {"lr": 0.03}), ("lora+head", {"lora.rank": 1}),
)  # fmt: skip
"""Every place where a method touches the model: in front of the text, in front of its keys and values, linears, norms, behind it all."""
LORA: Config = ("lora", {"rank": 2, "lr": 0.05})
ULPT: Config = ("ulpt", {"prompt_length": 3, "dim": 4, "lr": 0.1})
WITHIN = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""How far a trial of a pack may be from itself alone, as a share of what training moved. A pack's products are of other shapes, so sums
run in another order; Adam's first steps are as long for a gradient of noise as for any other. Another trial's rows: about 1.4."""
SAME = 1e-3
"""What a reloaded export may differ by in float32, as a share of what the adapter does: products differ in shape and order there, too."""


@dataclass(frozen=True)
class Learnt:
    """A pack after a few steps of a task."""

    backbone: Backbone
    task: Task
    data: Encoded
    trainer: Trainer
    pack: Pack
    start: Tensor
    """The pack's values before, (elements,)."""
    losses: Tensor
    """Mean loss of each trial, (trials,)."""

    @property
    def scores(self) -> Tensor:
        """Label scores (trials, rows, labels)."""
        return self.trainer.predict(self.pack, self.data)

    @property
    def before(self) -> Tensor:
        """Label scores (rows, labels) of the frozen model."""
        return self.trainer.predict(Pack([[]], device=self.backbone.device), self.data)[0]


def backbone(family: str, device: torch.device, dtype: torch.dtype = torch.float32, *, masked: bool = False) -> Backbone:
    """A family's tiny model, the same at every call."""
    words = tiny_families.tokenizer(tiny_families.FAMILIES[family])
    if masked:
        words.add_special_tokens({"mask_token": "<mask>"})
    model = tiny_families.model(family, masked=masked).requires_grad_(False)
    model.config.use_cache = False
    cast(model, dtype, device)
    return around(model, words, mask=TaskSpec(readout="mask").mask if masked else None)


def learnt(own: Backbone, task: Task, configs: Sequence[Config], seeds: Sequence[int]) -> Learnt:
    """Train these configurations in one pack."""
    own = for_task(own, task)
    data = encode(own, task.train, max_tokens=TOKENS, template=task.template)
    trainer = Trainer(own, readout_of(own, task), Training(steps=STEPS, rungs=(STEPS,), batch=BATCH))
    pack, follow = Pack(_built(own, configs, seeds), device=own.device), rule(*configs[0])
    trainer.heads.begin(pack, data)
    start = pack.flat.clone()
    trained = trainer.train(pack, follow, follow.start(pack), seeds, data, start=0, stop=STEPS)
    return Learnt(own, task, data, trainer, pack, start, trained.losses)


def _built(own: Backbone, configs: Sequence[Config], seeds: Sequence[int]) -> Any:
    return [build_parts(place, parts(*config), own.shape, seed) for place, (config, seed) in enumerate(zip(configs, seeds, strict=True))]


def checked(names: Row, call: Callable[[], Row]) -> Row:
    """What a check found, with its names; where it could not be made, why."""
    try:
        return {**names, **call()}
    except Exception as problem:  # whatever it is, the other checks go on
        return {**names, "fine": False, "why": f"{type(problem).__name__}: {reason(problem)}"}


def packed_is_alone(device: torch.device) -> Iterator[Row]:
    """Each trial of a mixed pack beside the same trial by itself: mean loss, and where its values went."""
    for family in ("bert", "llama"):
        for dtype in WITHIN:
            own, seeds = backbone(family, device, dtype), list(range(len(MIXED)))
            together = learnt(own, colours(ROWS), MIXED, seeds)
            for place, config in enumerate(MIXED):
                names = {"model": family, "dtype": str(dtype).removeprefix("torch."), "method": config[0]}
                yield checked(names, partial(beside, together, place, config, WITHIN[dtype]))


def beside(together: Learnt, place: int, config: Config, within: float) -> Row:
    """A trial of a pack, whose seed is its place, beside the same trial by itself."""
    alone = learnt(together.backbone, together.task, [config], [place])
    ends, starts = _flat(alone.pack, alone.pack.flat, 0), _flat(alone.pack, alone.start, 0)
    far = float((_flat(together.pack, together.pack.flat, place) - ends).norm() / (ends - starts).norm())
    loss = float((together.losses[place] - alone.losses[0]).abs() / alone.losses[0].abs())
    return {"loss": loss, "far": far, "within": within, "fine": far <= within and loss <= within}


def _flat(pack: Pack, vector: Tensor, place: int) -> Tensor:
    return torch.cat([value.flatten() for _, value in sorted(pack.of_trial(vector, place).items())])


def exports(device: torch.device) -> Iterator[Row]:
    """A native and a PEFT export, read again beside a second copy of the model: its scores of all rows."""
    for family in ("bert", "llama"):
        for style, config, again in (("native", ULPT, _native), ("peft", LORA, _peft)):
            names = {"model": family, "format": style, "method": config[0]}
            yield checked(names, partial(_exported, backbone(family, device), config, again))


def _exported(own: Backbone, config: Config, again: Callable[[Learnt, Config], Tensor]) -> Row:
    trained = learnt(own, colours(ROWS), [config], [5])
    return reloaded(trained, again(trained, config))


def reloaded(trained: Learnt, found: Tensor) -> Row:
    """What a reloaded export's scores (rows, labels) are worth."""
    effect = float((trained.scores[0] - trained.before).abs().max())
    far = float((found.cpu() - trained.scores[0]).abs().max()) / max(effect, 1e-30)
    return {"effect": effect, "far": far, "within": SAME, "fine": effect > 0 and far <= SAME}


def _native(trained: Learnt, config: Config) -> Tensor:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "adapter.safetensors")
        safetensors.torch.save_file(trained.pack.of_trial(trained.pack.flat, 0), path)
        tensors = safetensors.torch.load_file(path)
    other = for_task(_copy(trained.backbone), trained.task)
    pack = Pack(_built(other, [config], [5]), device=other.device)
    pack.set_trial(pack.flat, 0, tensors)
    return replace(trained.trainer, backbone=other, readout=readout_of(other, trained.task)).predict(pack, trained.data)[0]


def _peft(trained: Learnt, config: Config) -> Tensor:
    """By stock PEFT on a stock model, one unpadded row at a time; LoRA is put into the model's own modules."""
    other = for_task(_copy(trained.backbone), trained.task)
    readout = readout_of(other, trained.task)
    _stock(trained, other)
    return plain_scores(other, readout, trained.data, range(ROWS))


def _copy(own: Backbone) -> Backbone:
    return backbone(own.model.config.model_type, own.device, own.dtype)


def _stock(trained: Learnt, other: Backbone) -> peft.PeftModel:
    """The trained adapter as PEFT loads it, on another copy of the model."""
    with tempfile.TemporaryDirectory() as folder, stock.quiet():
        heads.write_peft(trained.backbone, trained.pack, Path(folder), trained.task.labels)
        made: peft.PeftModel = peft.PeftModel.from_pretrained(other.model, folder).eval()
    return made


READOUTS: dict[str, tuple[str, Task, Config]] = {
    "cosine": ("bert", colours(ROWS), LORA),
    "mask": ("bert", colours(ROWS), LORA),
    "label words": ("llama", colours(ROWS), LORA),
    "whole labels": ("llama", colours(ROWS, texts=WHOLE), LORA),
    "head": ("bert", colours(ROWS), ("lora+head", {"lora.rank": 2})),
    "generation": ("llama", said(ROWS), LORA),
}
"""Name -> the model that is read, the task, and what is trained."""


def readouts(device: torch.device) -> Iterator[Row]:
    """Frozen scores in padded batches beside the plain model's, and that training moves them; written answers beside `generate`."""
    for name, (family, task, config) in READOUTS.items():
        own, names = backbone(family, device, masked=name == "mask"), {"readout": name, "model": family, "method": config[0]}
        yield checked(names, partial(_read, own, task, config))
    for adapter in ("frozen", "lora"):
        names = {"readout": "generate", "model": "llama", "method": adapter}
        yield checked(names, partial(_written, device, adapter))


def _read(own: Backbone, task: Task, config: Config) -> Row:
    trained = learnt(own, task, [config], [5])
    far = require_same_scores(trained.backbone, trained.trainer.readout, trained.data)
    moved = relative(trained.scores[0], trained.before)
    found = type(trained.trainer.readout).__name__
    return {"class": found, "far": far, "moved": moved, "fine": bool(torch.isfinite(trained.losses).all()) and moved > 1e-3}


def _written(device: torch.device, adapter: str) -> Row:
    """Answers to prompts of unequal lengths, all at once, token for token those of `generate`, one prompt at a time."""
    trained = learnt(backbone("llama", device), said(ROWS), [LORA], [5])
    own, limits = trained.backbone, Limits(WRITTEN, frozenset({int(trained.backbone.tokenizer.eos_token_id)}))
    prompts = prompts_of(own, trained.task.validation.conversations[:WRITTEN], trained.task.template)
    pack = Pack([[]], device=device) if adapter == "frozen" else trained.pack
    found = Decoder(own).write(pack, bound_values(pack), prompts, limits)[0]
    plain: Any = tiny_families.model("llama")
    plain.to(device)
    model = plain if adapter == "frozen" else _stock(trained, replace(own, model=plain))
    settings: dict[str, Any] = {"tokens": WRITTEN, "stops": sorted(limits.stops), "pad": int(own.tokenizer.pad_token_id)}
    wanted = [written(model, list(prompt), "decoder", **settings) for prompt in prompts]
    return {"class": "Decoder", "tokens": sum(map(len, wanted)), "fine": found == wanted}
