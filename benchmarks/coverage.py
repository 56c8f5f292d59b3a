"""How often the 95 % intervals of the curve hold the truth: simulated finals of known accuracy, by rows, accuracy and seeds' spread.

    python benchmarks/coverage.py                 # the table of docs/coverage.md, about four minutes on one core
    python benchmarks/coverage.py --studies 200 --rows 30,300

A study has a few finals of one configuration, scored on the same rows. A seed's accuracy is drawn from a beta distribution with the
given mean and standard deviation; half of what decides a row is the row itself, so that rows are easy or hard for all seeds alike.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ulpt_search.dashboards.crossed import compare, over_table
from ulpt_search.dashboards.intervals import over_seeds

ROWS, SHARES, SPREADS = (30, 100, 300, 1_000, 10_000), (0.5, 0.8, 0.95, 0.99), (0.0, 0.02, 0.05, 0.2)


@dataclass(frozen=True)
class Cell:
    """One kind of study, and what share of its intervals holds the truth."""

    rows: int
    accuracy: float
    seeds_sd: float
    held: float
    width: float
    """Mean width of the interval."""
    without_rows: float
    """What share holds it where only the scores are known, not which rows were right."""
    told_apart: float
    """How often two configurations of the same accuracy are told apart by the paired comparison."""
    single_peaked: bool
    """Whether seeds spread around one accuracy. Elsewhere most seeds are perfect and a few useless, which three seeds cannot show."""


def cells(*, rows: list[int], studies: int, seeds: int) -> Iterator[Cell]:
    """Yield the table's cells; a spread that no accuracy of this mean can have is left out."""
    chance = np.random.default_rng(0)
    for count in rows:
        for share in SHARES:
            for spread in SPREADS:
                if spread**2 < share * (1 - share):
                    yield _cell(chance, count, share, spread, studies=studies, seeds=seeds)


def _cell(chance: np.random.Generator, rows: int, share: float, spread: float, *, studies: int, seeds: int) -> Cell:
    held, bare, width, apart = 0, 0, 0.0, 0
    for _ in range(studies):
        a, b = (_finals(chance, rows, _rates(chance, share, spread, seeds)) for _ in range(2))
        own, scores = over_table(a), a.mean(1)
        plain = over_seeds(list(scores), list(scores * (1 - scores) / rows))
        held += own.low <= share <= own.high
        bare += plain.low <= share <= plain.high
        width += own.high - own.low
        apart += compare(a, b).interval.excludes_zero
    shape = (1 - share) * (share * (1 - share) / spread**2 - 1) if spread else np.inf
    return Cell(rows, share, spread, held / studies, width / studies, bare / studies, apart / studies, bool(shape >= 1))


def _rates(chance: np.random.Generator, share: float, spread: float, seeds: int) -> NDArray[np.float64]:
    if not spread:
        return np.full(seeds, share)
    total = share * (1 - share) / spread**2 - 1
    return chance.beta(share * total, (1 - share) * total, seeds)


def _finals(chance: np.random.Generator, rows: int, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    shared, own, use = chance.random(rows), chance.random((len(rates), rows)), chance.random((len(rates), rows)) < 0.5
    return (np.where(use, shared, own) < rates[:, None]).astype(np.float64)


def _line(cell: Cell) -> str:
    mark = "" if cell.single_peaked else " \\*"
    figures = f"{cell.held:.3f} | {cell.without_rows:.3f} | {cell.width:.3f} | {cell.told_apart:.3f}"
    return f"| {cell.rows:,} | {cell.accuracy:g} | {cell.seeds_sd:g}{mark} | {figures} |"


def main() -> None:
    """Print the table, or its cells as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies a cell")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", default=",".join(map(str, ROWS)), help="numbers of test rows, joined by commas")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.json:
        print("| rows | accuracy | seeds' sd | interval holds the truth | from scores alone | mean width | equals told apart |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for cell in cells(rows=[int(each) for each in options.rows.split(",")], studies=options.studies, seeds=options.seeds):
        print(json.dumps(asdict(cell)) if options.json else _line(cell), flush=True)


if __name__ == "__main__":
    main()
