"""A sweep of small adapters as the documentation of Ray Tune, OptunaSearch, the Hugging Face Trainer and PEFT teaches it.

    python benchmarks/stock_program.py PLAN.json

It knows nothing of this package: `versus_stock.py` writes the plan (model folder, JSONL files, descriptions of the labels, steps
and trials) and reads the results, one JSON line. Each trial is a process of one core that loads the model, tokenises the rows, trains with
the Trainer and reports accuracy at each of the plan's steps. OptunaSearch is given the plan's trials as its points to evaluate, so
that they are the trials that others train too.
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(RAY_AIR_NEW_OUTPUT="0", RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1")

import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch

SPACE = {
    "method": tune.choice(["prompt", "ia3", "lora"]),
    "lr": tune.loguniform(1e-4, 0.3),
    "prompt_length": tune.randint(1, 101),
    "rank": tune.randint(1, 17),
    "alpha": tune.loguniform(1.0, 64.0),
    "seed": tune.randint(0, 1000),
}


def train(config: dict[str, Any], plan: dict[str, Any]) -> None:
    """One trial, reported to Ray Tune."""
    import stock_trial

    stock_trial.train(config, plan, report=tune.report)


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
