"""No version that this package allows has a hole that is in the pinned table; `make audit` asks a database for newer ones."""

import csv
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
with (ROOT / "tests" / "data" / "known-holes.csv").open(encoding="utf8", newline="") as _file:
    HOLES = [(row["package"], row["fixed in"], row["hole"]) for row in csv.DictReader(_file)]


def requirements() -> list[Requirement]:
    """All that may be installed with the package, and what builds it."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))
    extras = [one for extra in told["project"]["optional-dependencies"].values() for one in extra]
    return [Requirement(text) for text in (*told["build-system"]["requires"], *told["project"]["dependencies"], *extras)]


def floor(requirement: Requirement) -> Version:
    """The lowest version that it allows."""
    return min(Version(one.version) for one in requirement.specifier if one.operator in (">=", "=="))


@pytest.mark.parametrize(("package", "fixed", "hole"), HOLES)
def test_no_version_that_is_allowed_has_a_known_hole(package: str, fixed: str, hole: str) -> None:
    own = [one for one in requirements() if canonicalize_name(one.name) == package]
    assert own, f"{package} is not asked for any more: take {hole} out of the table"
    assert {str(floor(one)) for one in own if floor(one) < Version(fixed)} == set(), hole
    assert Version(version(package)) >= Version(fixed), hole


def test_every_requirement_has_a_floor() -> None:
    assert all(floor(one) for one in requirements())


def test_the_table_is_in_order_and_says_where_to_read_more() -> None:
    assert sorted(HOLES, key=lambda row: (row[0], Version(row[1]), row[2])) == HOLES
    assert all(re.fullmatch(r"CVE-\d{4}-\d{4,}", hole) for _, _, hole in HOLES)
