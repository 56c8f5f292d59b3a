"""The tables and the picture of `docs/ulpt.md`, from the records of `ulpt_ablation.py`.

    python benchmarks/ulpt_page.py --records FILE [--plot PNG]

A table for each length of training, then each variant's difference to a shift alone, what more steps add, and the token-specific
shares. Where the right rows are kept, intervals are crossed over seeds and rows, and differences pair the rows; from scores alone a
difference takes both sides as independent, which errs towards a tie.
"""

import argparse
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ulpt_search.dashboards.crossed import Table, compare, over_table
from ulpt_search.dashboards.intervals import Interval, difference, over_seeds
from ulpt_search.workers.training.row_scores import unpacked

SHIFT = "s, b alone"
LENGTHS = {1: "", 2: ", twice the steps", 4: ", four times the steps", 8: ", eight times the steps"}
"""How many times the usual steps -> how such a cell's name ends."""

Record = Mapping[str, Any]
Cells = Mapping[tuple[str, str], Record]
"""(task, cell) -> its record."""


def page(records: Sequence[Record]) -> Iterator[str]:
    """The lines of all tables."""
    cells = {(record["task"], record["cell"]): record for record in records if record["task"] != "shares"}
    tasks, names = list(dict.fromkeys(task for task, _ in cells)), list(dict.fromkeys(_plain(name) for _, name in cells))
    for said in LENGTHS.values():
        own = {(task, name): cells[task, name + said] for task in tasks for name in names if (task, name + said) in cells}
        if own:
            yield from (f"### {_steps(own)} steps", "", *scores(own, tasks, names), "", *differences(own, tasks, names), "")
    yield from longer(cells, tasks, names)
    yield from ("", "| model and r | token-specific share before | with units |", "|---|---|---|")
    for record in (record for record in records if record["task"] == "shares"):
        before, after = (sum(record[key]) / len(record[key]) for key in ("before", "after"))
        yield f"| {record['cell']} | {before:.1%} | {after:.1%} |"


def scores(cells: Cells, tasks: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Test scores, a row a variant."""
    yield f"| variant | parameters | {' | '.join(tasks)} | token-specific |"
    yield f"|---|---|{'---|' * len(tasks)}---|"
    for name in names:
        own = {task: cells[task, name] for task in tasks if (task, name) in cells}
        if own:
            share = sum(sum(record["share"]) / len(record["share"]) for record in own.values()) / len(own)
            shown = " | ".join(_shown(own[task]) if task in own else "–" for task in tasks)
            yield f"| {name} | {next(iter(own.values()))['parameters']:,} | {shown} | {f'{share:.0%}' if share else '–'} |"


def differences(cells: Cells, tasks: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Each variant's test score less a shift alone's, in points, with the 95 % interval; a mark where that leaves out zero."""
    yield f"| less {SHIFT}, points | {' | '.join(tasks)} |"
    yield f"|---|{'---|' * len(tasks)}"
    for name in (name for name in names if name != SHIFT):
        found = [_gap(cells[task, name], cells[task, SHIFT]) if {(task, name), (task, SHIFT)} <= cells.keys() else None for task in tasks]
        if any(found):
            yield f"| {name} | {' | '.join(_points(gap) for gap in found)} |"


def longer(cells: Cells, tasks: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """What more steps add, a row a variant and task."""
    yield from ("| variant | task | usual steps | twice | four times | eight times |", "|---|---|---|---|---|---|")
    for name, task in ((name, task) for name in names for task in tasks):
        own = [cells.get((task, f"{name}{said}")) for said in LENGTHS.values()]
        if own[1]:
            yield f"| {name} | {task} | {' | '.join(_shown(record) if record else '–' for record in own)} |"


def plot(records: Sequence[Record], path: Path, *, said: str) -> None:
    """Draw test score over parameters with 95 % intervals, a panel a task: cells whose names end in `said`, forms of ULPT apart."""
    from matplotlib.figure import Figure

    found = [r for r in records if r["task"] != "shares" and r["cell"] == _plain(r["cell"]) + said]
    tasks = list(dict.fromkeys(record["task"] for record in found))
    figure = Figure(figsize=(3 * len(tasks), 3.2), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), sharex=True, squeeze=False)[0], tasks, strict=True):
        for number, kind in enumerate((SHIFT, "ulpt", "prompt", "ia3")):
            own = [record for record in found if record["task"] == task and record["cell"].startswith(kind)]
            shown = [_interval(record) for record in own]
            heights = {
                "y": [one.centre for one in shown],
                "yerr": np.abs([[one.centre - one.low, one.high - one.centre] for one in shown]).T,
            }
            if own:
                axes.errorbar([r["parameters"] for r in own], **heights, fmt="o", capsize=2, alpha=0.8, color=f"C{number}", label=kind)
        axes.set(xscale="log", title=task, xlabel="parameters")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), title=f"test accuracy, 95 %{said}", loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=130)


def table(record: Record) -> Table | None:
    """Which rows each seed has right, (seeds, rows); None where they were not kept."""
    kept = record.get("right")
    return np.stack([unpacked(np.frombuffer(base64.b64decode(one), dtype=np.uint8)) for one in kept]) if kept else None


def _interval(record: Record) -> Interval:
    kept = table(record)
    return over_seeds(record["test"], record["variance"]) if kept is None else over_table(kept)


def _gap(of: Record, against: Record) -> Interval:
    a, b = table(of), table(against)
    if a is None or b is None or a.shape[1] != b.shape[1]:
        return difference(_interval(of), _interval(against))
    return compare(a, b).interval


def _points(gap: Interval | None) -> str:
    """`**+1.2** [+0.1, +2.3]`: in points, bold where zero is outside."""
    if gap is None:
        return "–"
    centre = f"{100 * gap.centre:+.1f}"
    return f"{f'**{centre}**' if gap.excludes_zero else centre} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"


def _shown(record: Record) -> str:
    """`0.812 ±0.020 (0.3)`: mean test score, half its 95 % interval, the rate."""
    found = _interval(record)
    return f"{found.centre:.3f} ±{(found.high - found.low) / 2:.3f} ({record['rate']:g})"


def _plain(name: str) -> str:
    """The variant of a cell, without its number of steps."""
    return next((name.removesuffix(said) for said in LENGTHS.values() if said and name.endswith(said)), name)


def _steps(cells: Cells) -> str:
    """How many steps these cells were trained for; a task may have its own number."""
    return " or ".join(str(steps) for steps in sorted({record["steps"] for record in cells.values()}))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw scores over parameters instead")
    parser.add_argument("--longer", type=int, choices=LENGTHS, default=1, help="how many times the usual steps the picture shows")
    asked = parser.parse_args()
    records = [json.loads(line) for line in asked.records.read_text(encoding="utf8").splitlines()]
    if asked.plot:
        plot(records, asked.plot, said=LENGTHS[asked.longer])
        return
    print("\n".join(page(records)))


if __name__ == "__main__":
    main()
