"""One trial as the documentation of the Hugging Face Trainer and PEFT teaches it: load, tokenise, adapt, train, evaluate, report.

What schedules it, Ray Tune (`stock_program.py`) or Syne Tune (`syne_tune_program.py`), says how to report. It knows nothing of this
package.
"""

import os
import tempfile
from collections.abc import Callable
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1", TOKENIZERS_PARALLELISM="false")

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

TEMPERATURE = 0.05


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


def train(config: dict[str, Any], plan: dict[str, Any], *, report: Callable[[dict[str, Any]], object]) -> None:
    """One trial: train, evaluate at the plan's steps, and `report` accuracy and step each time."""
    from datasets import disable_progress_bars, load_dataset
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments
    from transformers.utils import logging as transformers_logging

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_evaluate = state.global_step in plan["scored"]

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            report({"accuracy": kwargs["metrics"]["eval_accuracy"], "step": state.global_step})

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
