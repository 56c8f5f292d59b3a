"""One command for the day when a GPU is at hand: is everything right on it, how fast is it, and how much memory does it take?

    python -m ulpt_search.benchmarks.gpu [--device cuda] [--quick] [--json FILE] [--minutes 9]

Needs torch, transformers, peft, safetensors and numpy (and what these bring), no files and no network. Parts, in this order: packed
trials equal to themselves alone, exports reloaded, every readout (`gpu_checks.py`); then packs of 1, 4 and 16 trials against a plain PEFT
loop in the shapes of Llama-3.2-1B and of an 8 B model, bfloat16, 512 tokens, and their peak memory beside what `plan` counts on paper
(`gpu_speed.py`). A part that does not fit in what is left of the time is skipped, one that fails does not end the others. `--quick`
takes a tiny shape instead, which a CPU can do. Prints a table a part; exits with 1 where a part has failed.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import peft
import psutil
import torch
import transformers

from ulpt_search.benchmarks import gpu_checks
from ulpt_search.benchmarks.gpu_speed import Left, Size, measured
from ulpt_search.spaces.errors import WrongInput, reason
from ulpt_search.workers.model.devices import device_of

Row = dict[str, Any]
SPARE = 20.0
"""Seconds at the end that no part begins in: what a part takes is estimated."""
QUICK = Size("tiny", tokens=32, batch=2, packs=(1, 4), steps=1, repeats=2)


@dataclass(frozen=True)
class Part:
    """What is tried, and how many seconds it should have; it yields rows that say whether they are `fine`, until time runs out."""

    name: str
    seconds: float
    run: Callable[[torch.device, Left], Iterator[Row]]


@dataclass(frozen=True)
class Found:
    """What came of a part: `done`, `skipped` or `failed`, and why."""

    name: str
    state: str
    seconds: float = 0.0
    why: str = ""
    rows: Sequence[Row] = field(default_factory=tuple)


def _check(run: Callable[[torch.device], Iterator[Row]], device: torch.device, left: Left) -> Iterator[Row]:
    return run(device)


CHECKS = (
    Part("packed = alone", 40.0, partial(_check, gpu_checks.packed_is_alone)),
    Part("exports", 20.0, partial(_check, gpu_checks.exports)),
    Part("readouts", 30.0, partial(_check, gpu_checks.readouts)),
)
FULL = (*CHECKS, Part("1b", 60.0, partial(measured, Size("1b"))), Part("8b", 100.0, partial(measured, Size("8b", steps=2, repeats=2))))
SHORT = (*CHECKS, Part("tiny", 10.0, partial(measured, QUICK)))


def tried(part: Part, device: torch.device, left: Left) -> Found:
    """Run a part where it fits in what is left; whatever it raises, the rows before that are kept."""
    if part.seconds > left():
        return Found(part.name, "skipped", why=f"needs about {part.seconds:.0f} s, {max(0.0, left()):.0f} s are left")
    began, rows, why = time.monotonic(), list[Row](), ""
    try:
        for row in part.run(device, left):
            rows.append(row)
    except Exception as problem:  # whatever it is, the parts behind it go on
        why = f"{type(problem).__name__}: {reason(problem)}"
    wrong = [row for row in rows if not row["fine"]]
    why = why or (f"{len(wrong)} of {len(rows)} are not fine" if wrong else "")
    _let_go(device)
    return Found(part.name, "failed" if why else "done", round(time.monotonic() - began, 2), why, tuple(rows))


def _let_go(device: torch.device) -> None:
    """A part's model may hang in circles, and the next one is measured by what is free."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def machine(device: torch.device) -> dict[str, Any]:
    """What it was measured on."""
    named: dict[str, Any] = {"device": str(device), "name": "CPU", "memory_bytes": None}
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        named |= {"name": about.name, "memory_bytes": about.total_memory}
    versions = {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
    }
    return {**named, **versions}


def report(parts: Sequence[Part], device: torch.device, left: Left) -> dict[str, Any]:
    """Try all parts; what is written with `--json`."""
    found = []
    for part in parts:
        found.append(tried(part, device, left))
        print(f"{part.name}: {found[-1].state} in {found[-1].seconds:.1f} s {found[-1].why}", file=sys.stderr, flush=True)
    return {"machine": machine(device), "parts": [asdict(one) for one in found], "seconds": round(sum(one.seconds for one in found), 1)}


def markdown(found: Mapping[str, Any]) -> str:
    """The report as tables, a part each."""
    about = found["machine"]
    lines = [f"{about['name']}, torch {about['torch']}, transformers {about['transformers']}, peft {about['peft']}"]
    for part in found["parts"]:
        lines += ["", f"{part['name']}: {part['state']} ({part['seconds']:.1f} s){'; ' + part['why'] if part['why'] else ''}", ""]
        lines += _table(part["rows"])
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if any(row.get(key) not in (None, "") for row in rows)]
    cells = [[_shown(key, row.get(key)) for key in columns] for row in rows]
    return (
        ["| " + " | ".join(line) + " |" for line in ([key.replace("_bytes", ", GiB") for key in columns], ["---"] * len(columns), *cells)]
        if rows
        else []
    )


def _shown(key: str, value: object) -> str:
    if key.endswith("_bytes") and isinstance(value, int):
        return f"{value / (1 << 30):.2f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(_shown("", one) for one in value)
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Try what is asked for, write and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="a tiny shape instead of 1 and 8 B")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--minutes", type=float, default=9.0, help="of all together (default: 9)")
    asked = parser.parse_args()
    try:
        device = device_of(asked.device)
    except WrongInput as error:
        sys.exit(f"gpu: {error}")
    end = psutil.Process().create_time() + 60 * asked.minutes - SPARE  # the libraries have taken their share
    found = report(SHORT if asked.quick else FULL, device, lambda: end - time.time())
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf8")
    print(markdown(found))
    sys.exit(any(part["state"] == "failed" for part in found["parts"]))


if __name__ == "__main__":
    main()
