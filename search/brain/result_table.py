"""Results in columns: 33 bytes each in place of a kilobyte, for a search that goes on after a million of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ...spaces.records import Result

ROOM = 64  # results that there is room for at first; half as many again whenever it is full
TOGETHER = 1000  # results that are made at once

COLUMNS = {"trial": np.int32, "step": np.int32, "test": np.bool_, "score": np.float64, "variance": np.float64, "bytes": np.int64}

Cell = TypeVar("Cell", bound=np.generic)
Rows = NDArray[np.int64]


class ResultTable(Sequence[Result]):
    """Results in the order they came, without loss, seconds, numerics and further metrics, which decide nothing.

    Of each trial the adapter of its highest step alone is kept: from no other one it goes on.
    """

    def __init__(self) -> None:
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros(ROOM, kind) for name, kind in COLUMNS.items()}
        self._used = 0
        self._adapters: dict[int, tuple[int, str]] = {}  # trial -> its highest step, and the adapter of that

    @classmethod
    def of(cls, results: Iterable[Result]) -> "ResultTable":
        """Return these results as a table of its own."""
        table = cls()
        if isinstance(results, ResultTable):
            table._columns = {name: column.copy() for name, column in results._columns.items()}
            table._used, table._adapters = results._used, dict(results._adapters)
            return table
        for result in results:
            table.append(result)
        return table

    def __len__(self) -> int:
        return self._used

    @overload
    def __getitem__(self, place: int) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> list[Result]: ...

    def __getitem__(self, place: int | slice) -> Result | list[Result]:
        if isinstance(place, slice):
            return self.at(np.arange(*place.indices(self._used)))
        return self.at(np.array([range(self._used)[place]]))[0]

    def __iter__(self) -> Iterator[Result]:
        return (result for start in range(0, self._used, TOGETHER) for result in self[start : start + TOGETHER])

    def column(self, name: str) -> NDArray[Any]:
        """Return one of `COLUMNS`, a value a result; not to be written to."""
        return self._columns[name][: self._used]

    def at(self, rows: Rows) -> list[Result]:
        """Return the results in these rows."""
        return [self._result(*values) for values in zip(*(self._columns[name][rows].tolist() for name in COLUMNS), strict=True)]

    def adapter(self, trial: int) -> str:
        """Return the adapter of a trial's highest step; empty without any."""
        return self._adapters.get(trial, (0, ""))[1]

    def append(self, result: Result) -> None:
        """Enter a result."""
        values = (result.trial, result.step, result.split == "test", result.score, result.variance, result.bytes)
        self.extend([[value] for value in values])
        self.name(result.trial, result.step, result.adapter)

    def extend(self, columns: Sequence[Sequence[object]]) -> None:
        """Enter many results: a sequence for each of `COLUMNS`, None for NaN. Their adapters are told by `name`."""
        used, count = self._used, len(columns[0])
        if used + count > len(self._columns["trial"]):
            self._columns = {name: longer(column, used + count) for name, column in self._columns.items()}
        for (name, kind), values in zip(COLUMNS.items(), columns, strict=True):
            self._columns[name][used : used + count] = np.asarray(values, kind)
        self._used += count

    def name(self, trial: int, step: int, adapter: str) -> None:
        """Say what a trial's state at a step is called."""
        if step >= self._adapters.get(trial, (0, ""))[0]:
            self._adapters[trial] = (step, adapter)

    def _result(self, trial: int, step: int, test: bool, score: float, variance: float, size: int) -> Result:
        highest, adapter = self._adapters.get(trial, (step, ""))
        return Result(trial, step, "test" if test else "validation", score, variance, 0.0, 0.0, adapter if step == highest else "", size)


def distinct(results: ResultTable) -> ResultTable:
    """Return the first result of each trial, step and split."""
    trials, steps, tests = (results.column(name).astype(np.int64) for name in ("trial", "step", "test"))
    first = np.sort(np.unique((trials << 33) | (steps << 1) | tests, return_index=True)[1])
    return results if len(first) == len(results) else ResultTable.of(results.at(first))


def longer(column: NDArray[Cell], least: int) -> NDArray[Cell]:
    """Return the column with room for `least` values or half as many again, zeros behind its own."""
    return np.concatenate((column, np.zeros(max(least, 3 * len(column) // 2) - len(column), column.dtype)))
