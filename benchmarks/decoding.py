"""Written answers on a real model: tokens a second of packed trials, and a task that a few thousand parameters learn.

    python -m ulpt_search.benchmarks.decoding MODEL [--trials 8] [--rows 16] [--tokens 32]

Random adapters of four kinds (prompt, LoRA, (IA)³, prefix), each of them twice, write so many tokens behind so many made-up prompts: all
together; one trial after the other; and one trial and one prompt after the other by transformers' own `generate` on the frozen model, which
has no adapter to carry. Nothing stops an answer early. Float32, one thread unless OMP_NUM_THREADS says more, the best of three.

    python -m ulpt_search.benchmarks.decoding MODEL --learn

Instead, the last of three to five letters is to be said: exact match on letters never seen together, before and after 200 steps.

    python -m ulpt_search.benchmarks.decoding MODEL --task FOLDER [--steps 200]

Instead, perplexity of a task's first 64 validation rows and its decoded metric on 16 of them, before and after.
"""

import argparse
import random
import time
from collections.abc import Callable

import torch

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.metrics import METRICS, Metric
from ulpt_search.spaces.space import Decoding, ModelSpec, TaskSpec, Training
from ulpt_search.workers.catalogue import count, parts, rule
from ulpt_search.workers.exports.stock_process import stock_model, written
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.decoding import Decoder, Limits
from ulpt_search.workers.model.fitting import fit_task
from ulpt_search.workers.model.pack import Pack, build_parts
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.readouts.written_rows import prompts_of
from ulpt_search.workers.model.written_text import limits_of, text_of
from ulpt_search.workers.tasks import Conversation, Rows, Task, Turn, load_task
from ulpt_search.workers.training.answer_scoring import right_of
from ulpt_search.workers.training.scoring import score
from ulpt_search.workers.training.trainer import Trainer, bound_values

KINDS: list[tuple[str, Hyperparameters]] = [("prompt", {}), ("lora", {"rank": 2}), ("ia3", {}), ("prefix", {"prefix_length": 4})]
LORA: Hyperparameters = {"rank": 3, "lr": 0.01, "modules": "q,v,o,up"}
"""Of the task that is learnt."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENDED = (
    "{%- for m in messages %}{{ m.content if m.role == 'user' else '\\n' + m.content + bos_token }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '\\n' }}{% endif %}"
)
"""Models that read stories end them with the token that begins the next one."""


def speeds(backbone: Backbone, trials: int, rows: int, tokens: int) -> None:
    """Print tokens a second, all trials together and one by one."""
    draw, limits = random.Random(0), Limits(tokens, frozenset())
    prompts = [[draw.randrange(3, backbone.shape.vocabulary) for _ in range(draw.randrange(8, 25))] for _ in range(rows)]
    configs = [KINDS[trial % len(KINDS)] for trial in range(trials)]
    packs = [_random(backbone, configs), *(_random(backbone, [config]) for config in configs)]
    decoder = Decoder(backbone)
    plain, pad = stock_model(backbone.source, backbone.family), int(backbone.tokenizer.pad_token_id or 0)

    def stock() -> None:
        for prompt in prompts:
            written(plain, prompt, backbone.family, tokens=tokens, stops=[], pad=pad)

    together = _best(lambda: decoder.write(packs[0], bound_values(packs[0]), prompts, limits))
    alone = _best(lambda: [decoder.write(pack, bound_values(pack), prompts, limits) for pack in packs[1:]])
    one = _best(stock) * trials
    total, trained = trials * rows * tokens, _trained(backbone, packs[0], configs)
    print(f"{trials} trials, {rows} prompts, {tokens} new tokens each, cache: {decoder.caches}")
    print("| | tokens a second |\n|---|---|")
    for name, seconds in (("packed", together), ("one trial at a time", alone), ("`generate`, one prompt at a time, frozen", one)):
        print(f"| {name} | {total / seconds:,.0f} |")
    print(f"| trained, packed | {trained:,.0f} |")


def _trained(backbone: Backbone, pack: Pack, configs: list[tuple[str, Hyperparameters]]) -> float:
    """Tokens a second of the same pack in training."""
    task, steps, batch = last_letter_task(), 3, 16
    data, follow = encode(backbone, task.train, max_tokens=0, template=task.template), rule(*configs[0])
    trainer = Trainer(backbone, readout_of(backbone, task), Training(steps=steps, rungs=(steps,), batch=batch))
    seeds = list(range(pack.size))
    trained = trainer.train(pack, follow, follow.start(pack), seeds, data, start=0, stop=steps)
    return pack.size * steps * batch * sum(data.lengths) / len(data.lengths) / trained.seconds


def _random(backbone: Backbone, configs: list[tuple[str, Hyperparameters]]) -> Pack:
    built = [build_parts(place, parts(*config), backbone.shape, place) for place, config in enumerate(configs)]
    pack = Pack(built, device=backbone.device)
    pack.flat += 0.02 * torch.randn(pack.flat.shape, generator=torch.Generator().manual_seed(0))
    return pack


def _best(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def last_letters(count: int, seed: int, without: frozenset[str] = frozenset()) -> Rows:
    """Rows of three to five letters, of which the last is to be said."""
    draw, asked = random.Random(seed), dict[str, str]()
    while len(asked) < count:
        word = " ".join(draw.choices(LETTERS, k=draw.randrange(3, 6)))
        if word not in without:
            asked[word] = word[-1]
    talks = tuple(Conversation((Turn("user", word), Turn("assistant", letter))) for word, letter in asked.items())
    return Rows(tuple(asked), (None,) * count, (0.0,) * count, conversations=talks)


def last_letter_task() -> Task:
    """The task, whose answers end with the token that ends stories."""
    train = last_letters(1000, 0)
    held = last_letters(200, 1, frozenset(train.texts_a))
    limits = Decoding(max_new_tokens=4)
    return Task("last letter", "generation", (), (), "exact_match", train, held, held, "", template=ENDED, decoding=limits)


def learn(backbone: Backbone, task: Task, values: Hyperparameters, *, steps: int, rows: int, decoded: int) -> list[tuple[float, float]]:
    """Perplexity of `rows` validation rows and the task's decoded metric on `decoded` of them, before and after so many steps of LoRA."""
    held, some = task.validation.take(range(rows)), task.validation.take(range(decoded))
    data, measured = (encode(backbone, own, max_tokens=0, template=task.template) for own in (task.train, held))
    trainer = Trainer(backbone, readout_of(backbone, task), Training(steps=steps, rungs=(steps,), batch=16))
    pack, follow = Pack([build_parts(0, parts("lora", values), backbone.shape, 0)], device=backbone.device), rule("lora", values)
    state, limits, found = follow.start(pack), limits_of(backbone, task.decoding, data), []
    prompts = prompts_of(backbone, some.conversations, task.template)
    for stop in (0, steps):
        if stop:
            trainer.train(pack, follow, state, [0], data, start=0, stop=stop)
        losses = trainer.predict(pack, measured)[0].double().numpy()
        (ids,) = Decoder(backbone).write(pack, bound_values(pack), prompts, limits)
        answers = [text_of(backbone.tokenizer, own, limits) for own in ids]
        found.append((-score("perplexity", losses, [0.0] * rows).value, right_of(_decoded(task), some, answers).value))
    return found


def _decoded(task: Task) -> Metric:
    return METRICS["last_number" if task.name == "gsm8k" else "exact_match"]


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--task")
    parser.add_argument("--steps", type=int, default=200)
    asked = parser.parse_args()
    backbone = load(ModelSpec(asked.model, dtype="float32", device="cpu"))
    if asked.learn or asked.task is not None:
        learnt(backbone, asked.task, asked.steps)
    else:
        speeds(backbone, asked.trials, asked.rows, asked.tokens)


def learnt(backbone: Backbone, folder: str | None, steps: int) -> None:
    """Print what training changes of the last letter, or of a task in a folder."""
    task, values, rows, decoded = last_letter_task(), LORA, 200, 200
    if folder is not None:
        spec = TaskSpec("gsm8k", path=folder, max_tokens=384, max_new_tokens=64)
        task = fit_task(load_task(spec), backbone, max_tokens=384)
        values, rows, decoded = {"rank": 1, "lr": 0.01, "modules": "q,v"}, 64, 16
    before, after = learn(backbone, task, values, steps=steps, rows=rows, decoded=decoded)
    print(f"{task.name}, {count('lora', values, backbone.shape):,} parameters, {steps} steps")
    print("| | before | after |\n|---|---|---|")
    print(f"| perplexity | {before[0]:,.2f} | {after[0]:,.2f} |\n| {_decoded(task).name} | {before[1]:.2f} | {after[1]:.2f} |")


if __name__ == "__main__":
    main()
