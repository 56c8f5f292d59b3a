"""A study of seconds on a model of kilobytes, for tests that run the whole command."""

import json
import random
from pathlib import Path

from . import zoo

COLOURS = ("red", "green", "blue")
SPACE = """
methods:
  ulpt:
    dim: {int: [2, 4]}
    prompt_length: 4
  prompt:
    prompt_length: {int: [1, 3]}
  lora:
    rank: 1
    layers: "last:1"
    init: kaiming
    dora: false
steps: 8
rungs: [2, 4, 8]
batch: 4
trials: 6
finalists: 2
"""


def prepare(folder: Path) -> None:
    """Write `space.yaml`, the model `encoder/` and the task `colours.jsonl` into a folder."""
    (folder / "space.yaml").write_text(SPACE, encoding="utf8")
    zoo.save("encoder", folder / "encoder")
    chance = random.Random(0)
    rows = [_row(chance, number) for number in range(160)]
    (folder / "colours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")


OPTIONS = [
    *("--space", "space.yaml", "--model", "./encoder", "--task", "colours.jsonl"),
    *("--budget", "200", "--study", "tiny", "--home", "home"),
]
"""Of a run in that folder."""
COMMAND = ["-W", "default", "-m", "ulpt_search.search.cli", "run", *OPTIONS]
"""The whole command line behind the interpreter."""


def _row(chance: random.Random, number: int) -> dict[str, str | None]:
    words = " ".join(f"w{chance.randrange(10, 60)}" for _ in range(chance.randrange(3, 9)))
    return {"text_a": f"w{number % 3} {words}", "text_b": None, "label": COLOURS[number % 3]}
