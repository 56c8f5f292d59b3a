"""Likelihoods of whole labels beside plain transformers, family by family: the largest difference.

    python -m ulpt_search.benchmarks.likelihood

Fourteen families of decoders and encoder-decoders, tiny models of their real classes with random weights in float32: sliding windows
shorter than the texts, soft caps, ALiBi, states that pass from token to token. Labels of one to three tokens, some of which begin alike
and one of which begins another. Every difference is the largest of |ours − theirs| over all rows and labels, theirs being minus the loss
that the family's own class computes of one unpadded row and label, times the label's tokens. `--models DIR` adds real models.

    python -m ulpt_search.benchmarks.likelihood --models DIR --speed TASK

Instead, seconds a row in which each of these models scores all labels of a task: in bundles of so many nodes, and one sequence a path.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ulpt_search.spaces.space import ModelSpec, Reading, TaskSpec
from ulpt_search.tests import families, toy, whole_labels
from ulpt_search.workers.catalogue import method
from ulpt_search.workers.model.attention import attend_by
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.readouts import likelihood
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.model.readouts.likelihood import Likelihood
from ulpt_search.workers.model.readouts.texts import Texts
from ulpt_search.workers.tasks import Rows, Task, load_task

FAMILIES = (
    *("llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "mistral", "gpt2", "opt", "bloom", "falcon_h1", "mamba"),
    *("t5", "bart", "pegasus"),
)
PROMPT = 4
BUNDLES, TIMED = (16, 32, 64, 128, 256, 4096, 0), 24
"""Nodes in a sequence, 0 for one sequence a path; rows that are timed."""
WORDS = ("very negative", "very positive", "negative", "neither of the two")
"""Labels for real models."""


def rows() -> Rows:
    """Texts of 1 to 24 words."""
    words = [f"w{i * 7 % 60}" for i in range(60)]
    texts = tuple(" ".join(words[i : i + n]) for i, n in enumerate((1, 2, 3, 4, 5, 6, 13, 24)))
    return Rows(texts, (None,) * len(texts), (0,) * len(texts))


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", type=Path, help="a folder of transformers folders")
    options.add_argument("--speed", help="a task's folder")
    given = options.parse_args()
    if given.speed:
        print(f"{'model':<16} {'labels':>6} {'nodes':>6} {'in bundles of':>14} {'s a row':>8}")
        for folder in folders(given.models):
            pace(folder, load_task(TaskSpec(path=given.speed)))
        return
    print(f"{'family':<16} {'sequences':<10} {'padded':>9} {'unpadded':>9} {'prompt':>9}  largest log-likelihood")
    for name in FAMILIES:
        report(name, families.backbone(name), whole_labels.TIED)
    for folder in folders(given.models):
        report(folder.name, load(ModelSpec(str(folder), dtype="float32", device="cpu")), WORDS)


def folders(models: Path | None) -> list[Path]:
    """The model folders in a folder."""
    return [folder for folder in sorted(models.iterdir()) if (folder / "config.json").is_file()] if models else []


def pace(folder: Path, task: Task) -> None:
    """A line for each way to read a task's labels by one model, a pack of one frozen trial."""
    backbone = load(ModelSpec(str(folder), dtype="float32", device="cpu"))
    data = encode(backbone, task.validation.take(range(TIMED)), max_tokens=64)
    for nodes in BUNDLES:
        likelihood.NODES = nodes or likelihood.NODES
        readout = readout_of(backbone, replace(task, reading=Reading("sum")))
        assert isinstance(readout, Likelihood)
        readout.packed = readout.packed and bool(nodes)
        run, pack = replace(toy.trainer(backbone), readout=readout), toy.pack(backbone, [("ln_tuning", {}, 0)])
        began = time.perf_counter()
        run.predict(pack, data)
        seconds = (time.perf_counter() - began) / TIMED
        way = str(nodes) if nodes else "one a path"
        print(f"{folder.name:<16} {len(task.labels):>6} {len(readout.tree.nodes):>6} {way:>14} {seconds:8.3f}", flush=True)


def report(name: str, backbone: Backbone, texts: tuple[str, ...]) -> None:
    """One line: the largest differences of rows together, of rows alone, and behind a soft prompt."""
    readout = readout_of(backbone, whole_labels.task(texts, scoring="sum"))
    assert isinstance(readout, Likelihood)
    data = encode(backbone, rows(), max_tokens=48)
    plain, behind = (theirs(backbone, readout, data, prompt=prompt) for prompt in (None, soft(backbone)))
    together, alone, prompted = differences(backbone, readout, data, plain, behind)
    way = "one a row" if readout.packed or not readout.tree.nodes else f"{len(readout.tree.paths)} a row"
    print(f"{name:<16} {way:<10} {together:9.1e} {alone:9.1e} {prompted:9.1e}  {float(plain.abs().max()):.1f}", flush=True)


def differences(backbone: Backbone, readout: Likelihood, data: Encoded, plain: Tensor, behind: Tensor) -> Iterator[float]:
    """Of all rows in one padded batch, of each row alone, and of all rows behind a prompt."""
    every = range(len(data.ids))
    yield float((ours(backbone, readout, data, every) - plain).abs().max())
    yield max(float((ours(backbone, readout, data, [row]) - plain[row]).abs().max()) for row in every)
    yield float((prompted(backbone, readout, data) - behind).abs().max())


@torch.no_grad()
def ours(backbone: Backbone, readout: Likelihood, data: Encoded, chosen: range | list[int]) -> Tensor:
    """The product's own scores (rows, labels) of a padded batch."""
    ids, lengths, _ = data.batch(chosen, pad=int(backbone.tokenizer.pad_token_id or 0), device=backbone.device)
    return readout.scores(Texts(backbone.embed(ids), torch.zeros_like(lengths), lengths))


def prompted(backbone: Backbone, readout: Likelihood, data: Encoded) -> Tensor:
    """The same by the trainer, with a trial of soft prompts."""
    run = replace(toy.trainer(backbone), readout=readout)
    pack = toy.pack(backbone, [("prompt", {"prompt_length": PROMPT}, 0)])
    return run.predict(pack, data)[0]


def soft(backbone: Backbone) -> Tensor:
    """That trial's prompt (tokens, width)."""
    pack = toy.pack(backbone, [("prompt", {"prompt_length": PROMPT}, 0)])
    return method("prompt")().prompt(pack.of_trial(pack.flat, 0))  # type: ignore[attr-defined, no-any-return]


def theirs(backbone: Backbone, readout: Likelihood, data: Encoded, *, prompt: Tensor | None) -> Tensor:
    """Log-likelihoods (rows, labels) of transformers' own loss."""
    kernel = backbone.model.config._attn_implementation
    found = torch.stack([whole_labels.by_loss(backbone, row.tolist(), readout.tree.labels, prompt=prompt) for row in data.ids])
    attend_by(backbone.model, kernel)
    return found


if __name__ == "__main__":
    main()
