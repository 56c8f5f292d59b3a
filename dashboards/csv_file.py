"""The frontier as comma-separated values."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from ..spaces.records import Point
from .curve import Curve


def csv_text(points: Iterable[Point]) -> str:
    """Return one line a point under the columns of `frontier --json`; hyperparameters and seeds as JSON."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Point)], lineterminator="\n")
    writer.writeheader()
    for point in points:
        row = point.to_json()
        writer.writerow(
            {
                **row,
                "hyperparameters": json.dumps(row["hyperparameters"]),
                "seeds": json.dumps(row["seeds"]),
                "others": json.dumps(row["others"]),
            }
        )
    return text.getvalue()


def write_csv(curve: Curve, path: Path) -> None:
    """Write the frontier, cheapest first."""
    path.write_text(csv_text(curve.front), encoding="utf-8")
