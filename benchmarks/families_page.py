"""`docs/models.md` from what `benchmarks/families.py` found."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

BEGINNING = """# Models: which families work, and how

`python -m ulpt_search.benchmarks.families > docs/models.md` makes this page: transformers {transformers}, PEFT {peft}, torch {torch}.
Each family is a tiny model of its real class with random weights, windows shorter than the texts and scales other than one.
{count} families, {cells} cells: {works} work, {refused} are refused in one line by `plan`, before anything is trained, and {failed} fail.

A family is served whatever its modules are called: blocks, linears, norms and attentions are found in its module tree. First of all,
the frozen scores of rows in padded batches of embeddings must be those of the plain model on single rows of token ids; `frozen` is the
largest difference as a share of the largest score, in float32.

A cell says what works with a method: `t`rained, exported as `n`ative, `p`eft and `m`erged files, each verified in a fresh process. A number
stands where something is refused, and says why below. Methods are at their defaults; where a model lacks the modules that a default
names, at those of the method's axis that it has.
"""
LETTERS = {"train": "t", "native": "n", "peft": "p", "merged": "m"}


def page(families: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """The page for rows as `--json` has them."""
    methods = list(dict.fromkeys(cell["method"] for family in families for cell in family["table"]))
    reasons: dict[str, int] = {}
    rows = [_row(family, methods, columns, reasons) for family in families]
    head = ["| family | class | frozen | " + " | ".join(methods) + " |", "|---" * (3 + len(methods)) + "|"]
    notes = [f"{number}. {why}" for why, number in reasons.items()]
    return "\n".join([_beginning(families), *head, *rows, "", "## Why not", "", *notes, ""])


def _beginning(families: Sequence[Mapping[str, Any]]) -> str:
    cells, failed, refused = (sum(family[name] for family in families) for name in ("cells", "failed", "refused"))
    works, versions = cells - failed - refused, {name: version(name) for name in ("transformers", "peft", "torch")}
    return BEGINNING.format(count=len(families), cells=cells, works=works, refused=refused, failed=failed, **versions)


def _row(family: Mapping[str, Any], methods: Sequence[str], columns: Sequence[str], reasons: dict[str, int]) -> str:
    far = "–" if family["frozen"] is None else f"{family['frozen']:.0e}"
    cells = [_cell([c for c in family["table"] if c["method"] == name], columns, reasons) for name in methods]
    return f"| {family['name']} | {family['model']} | {far} | " + " | ".join(cells) + " |"


def _cell(found: Sequence[Mapping[str, str]], columns: Sequence[str], reasons: dict[str, int]) -> str:
    works = "".join(LETTERS[column] for column in columns for cell in found if cell["column"] == column and cell["state"] == "works")
    lost = [cell["why"] for cell in found if cell["state"] == "refused"]
    failed = " FAILS" if any(cell["state"] == "failed" for cell in found) else ""
    numbers = ",".join(dict.fromkeys(str(reasons.setdefault(why, len(reasons) + 1)) for why in lost))
    return f"{works}{failed}{f' ({numbers})' if numbers else ''}".strip()
