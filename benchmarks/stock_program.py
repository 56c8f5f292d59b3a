"""A sweep of small adapters as the documentation of Ray Tune, OptunaSearch, the Hugging Face Trainer and PEFT teaches it.

    python benchmarks/stock_program.py PLAN.json

It knows nothing of this package: `versus_stock.py` writes the plan (model folder, JSONL files, descriptions of the labels, steps
and trials) and reads the results, one JSON line. Each trial is a process of one core that loads the model, tokenises the rows, trains with
the Trainer and reports accuracy at each of the plan's steps. OptunaSearch is given the plan's trials as its points to evaluate, so
that they are the trials that others train too.
"""

from __future__ import annotations  # Ray sends `train` by value, and that forgets names that only a class body inside it uses

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(
    HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1", RAY_AIR_NEW_OUTPUT="0", RAY_USAGE_STATS_ENABLED="0",
    RAY_AUTH_MODE="disabled", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", TOKENIZERS_PARALLELISM="false",
)  # fmt: skip

import ray
import torch
from ray import tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

TEMPERATURE = 0.05
SPACE = {
    "method": tune.choice(["prompt", "ia3", "lora"]),
    "lr": tune.loguniform(1e-4, 0.3),
    "prompt_length": tune.randint(1, 101),
    "rank": tune.randint(1, 17),
    "alpha": tune.loguniform(1.0, 64.0),
    "seed": tune.randint(0, 1000),
}


class LabelScorer(nn.Module):
    """Cosine between the mean-pooled text and each label's description, over the temperature.

    Args:
        encoder: The PEFT model.
        matrix: Descriptions as unit vectors (labels, width).
        front: Virtual tokens that the encoder puts in front of the text; they are left out of the mean.
    """

    matrix: Tensor

    def __init__(self, encoder: nn.Module, matrix: Tensor, *, front: int) -> None:
        super().__init__()
        self.encoder, self.front = encoder, front
        self.register_buffer("matrix", matrix)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return the logits (rows, labels), and their loss where labels (rows,) are given."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, self.front :]
        logits = pooled(hidden, attention_mask) @ self.matrix.T / TEMPERATURE
        return {"logits": logits} if labels is None else {"loss": cross_entropy(logits, labels), "logits": logits}


def pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the text as unit vectors (rows, width)."""
    return normalize((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), dim=-1)


def adapter(config: dict[str, Any]) -> Any:
    """The PEFT configuration of a trial."""
    from peft import IA3Config, LoraConfig, PromptTuningConfig, TaskType

    if config["method"] == "prompt":
        length = config["prompt_length"]
        return PromptTuningConfig(task_type=TaskType.FEATURE_EXTRACTION, num_virtual_tokens=length, prompt_tuning_init="SAMPLE_VOCAB")
    if config["method"] == "ia3":
        down = r".*layer\.\d+\.output\.dense"
        return IA3Config(task_type=TaskType.FEATURE_EXTRACTION, target_modules=rf".*(key|value)|{down}", feedforward_modules=down)
    targets = ["query", "value"]
    return LoraConfig(task_type=TaskType.FEATURE_EXTRACTION, r=config["rank"], lora_alpha=config["alpha"], target_modules=targets)


def scorer(plan: dict[str, Any], config: dict[str, Any], tokenizer: Any) -> LabelScorer:
    """Load the frozen model, encode the descriptions with it and put the adapter on."""
    from peft import get_peft_model
    from transformers import AutoModel, set_seed

    set_seed(config["seed"])
    model = AutoModel.from_pretrained(plan["model"])
    batch = tokenizer(plan["descriptions"], padding=True, return_tensors="pt")
    with torch.no_grad():
        matrix = pooled(model.eval()(**batch).last_hidden_state, batch["attention_mask"])
    front = config["prompt_length"] if config["method"] == "prompt" else 0
    return LabelScorer(get_peft_model(model, adapter(config)), matrix, front=front)


def train(config: dict[str, Any], plan: dict[str, Any]) -> None:
    """One trial: train, evaluate at the plan's steps, report."""
    from datasets import disable_progress_bars, load_dataset
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments
    from transformers.utils import logging as transformers_logging

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_evaluate = state.global_step in plan["scored"]

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            tune.report({"accuracy": kwargs["metrics"]["eval_accuracy"], "step": state.global_step})

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(plan["model"])
    files = {split: plan[split] for split in ("train", "evaluation")}
    with tempfile.TemporaryDirectory() as folder:
        rows = load_dataset("json", data_files=files, cache_dir=folder)
        pair = ("text", "text_pair") if plan["pairs"] else ("text",)
        rows = rows.map(lambda row: tokenizer(*(row[name] for name in pair), truncation=True, max_length=plan["max_tokens"]), batched=True)
        arguments = TrainingArguments(
            output_dir=folder, max_steps=plan["steps"], learning_rate=config["lr"], seed=config["seed"], weight_decay=0.0,
            warmup_steps=max(1, round(plan["warmup"] * plan["steps"])), lr_scheduler_type="linear", max_grad_norm=plan["clip"],
            per_device_train_batch_size=plan["batch"], per_device_eval_batch_size=64, eval_strategy="no", save_strategy="no",
            logging_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(
            model=scorer(plan, config, tokenizer), args=arguments, train_dataset=rows["train"], eval_dataset=rows["evaluation"],
            data_collator=DataCollatorWithPadding(tokenizer), compute_metrics=accuracy, callbacks=[Report()],
        )  # fmt: skip
        trainer.train()


def accuracy(prediction: Any) -> dict[str, float]:
    """Share of rows whose best label is the right one."""
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def sweep(plan: dict[str, Any], folder: str) -> list[dict[str, Any]]:
    """Run all trials, as many at a time as the plan has workers of one core each; return each one's configuration and last accuracy."""
    ray.init(num_cpus=plan["workers"], include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, _temp_dir=plan["sockets"])
    search = OptunaSearch(metric="accuracy", mode="max", points_to_evaluate=plan["trials"])
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train, plan=plan), {"cpu": 1}),
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            search_alg=ConcurrencyLimiter(search, max_concurrent=plan["workers"]), num_samples=len(plan["trials"]), metric=None, mode=None
        ),
        run_config=tune.RunConfig(name="stock", storage_path=folder, verbose=0),
    )
    grid = tuner.fit()
    results = [grid[number] for number in range(len(grid))]
    return [
        {**(result.config or {}), "accuracy": (result.metrics or {}).get("accuracy"), "step": (result.metrics or {}).get("step")}
        for result in results
    ]


def main() -> None:
    """Do what the plan says."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf8"))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(sweep(plan, folder)), flush=True)
        ray.shutdown()


if __name__ == "__main__":
    main()
