"""The sweep of `stock_program.py` by Syne Tune's local backend: a process a trial, each of one core.

    python benchmarks/syne_tune_program.py PLAN.json

Syne Tune is no dependency of this project: `pip install --no-deps --target FOLDER syne-tune`, and FOLDER on PYTHONPATH. Random search is
given the plan's trials as its points to evaluate. The same file is the entry point of a trial.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

NUMBERS = ("lr", "alpha")
WHOLE = ("prompt_length", "rank", "seed")


def trial() -> None:
    """Train the configuration on the command line and report it to Syne Tune."""
    import torch
    from stock_trial import train
    from syne_tune import Reporter

    parser = argparse.ArgumentParser()
    for name in ("plan", "method", *NUMBERS, *WHOLE):
        parser.add_argument(f"--{name}", type=float if name in NUMBERS else int if name in WHOLE else str)
    config = vars(parser.parse_known_args()[0])
    torch.set_num_threads(1)
    report = Reporter()
    train(config, json.loads(Path(config.pop("plan")).read_text(encoding="utf8")), report=lambda metrics: report(**metrics))


def sweep(plan: dict[str, Any], file: str) -> list[dict[str, Any]]:
    """Run all trials, as many at a time as the plan has workers; return each one's configuration and last accuracy."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import choice, loguniform, randint
    from syne_tune.optimizer.baselines import RandomSearch

    space = {
        "method": choice(["prompt", "ia3", "lora"]), "lr": loguniform(1e-4, 0.3), "prompt_length": randint(1, 100), "rank": randint(1, 16),
        "alpha": loguniform(1.0, 64.0), "seed": randint(0, 1000), "plan": file,
    }  # fmt: skip
    points = [{**one, "plan": file} for one in plan["trials"]]
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).resolve())),
        scheduler=RandomSearch(space, metrics=["accuracy"], do_minimize=False, points_to_evaluate=points),
        stop_criterion=StoppingCriterion(max_num_trials_started=len(points) - 1),  # it stops above this number
        n_workers=plan["workers"],
        sleep_time=1.0,
        print_update_interval=1e6,
        wait_trial_completion_when_stopping=True,
        save_tuner=False,
    )
    tuner.run()
    status = tuner.tuning_status.trial_rows.items()
    done = [{**row, **plan["trials"][number]} for number, row in sorted(status) if number < len(points)]
    return [{name: row.get(name) for name in (*plan["trials"][0], "accuracy", "step")} for row in done]


def main() -> None:
    """Do what the plan says."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf8"))
    os.environ.update(SYNETUNE_FOLDER=plan["sockets"], OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    print(json.dumps(sweep(plan, sys.argv[1])), flush=True)


if __name__ == "__main__":
    trial() if "--plan" in sys.argv else main()
