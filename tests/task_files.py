"""Small data sets on disk, in every format, for the tests of tasks."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Record = Mapping[str, object]


def records(count: int, *, labels: Sequence[object] = ("bad", "good"), start: int = 0) -> list[Record]:
    """Rows of distinct texts (some with quotes, commas and line breaks) whose labels take turns."""
    texts = [f'text {i}, said "so"\nand so' if i % 7 == 3 else f"text {i}; plain" for i in range(start, start + count)]
    return [{"text_a": text, "label": labels[i % len(labels)]} for i, text in enumerate(texts)]


def write(path: Path, rows: Sequence[Record], *, delimiter: str = ",") -> Path:
    """Write rows in the format of the path's ending; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(dict(row)) + "\n" for row in rows), encoding="utf8")
    return path


def folder(path: Path, *, meta: object = None, **splits: Sequence[Record]) -> Path:
    """Write a folder of JSONL splits, and a meta.json where there is something to say; returns the folder."""
    for split, rows in splits.items():
        write(path / f"{split}.jsonl", rows)
    if meta is not None:
        (path / "meta.json").write_text(json.dumps(meta), encoding="utf8")
    return path
