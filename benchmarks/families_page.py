"""`docs/models.md` from what `benchmarks/families.py` found and kept: `python -m ulpt_search.benchmarks.families_page > docs/models.md`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).with_name("families.jsonl")
COLUMNS = ("train", "native", "peft", "merged")
BEGINNING = """# Models: which families work, and how

`python -m ulpt_search.benchmarks.families --records benchmarks/families.jsonl > docs/models.md` makes this page out of its
records: {libraries}, all by one state of the code (`{code}`).
Each family is a tiny model of its real class with random weights, windows shorter than the texts and scales other than one.
{count} families, {cells} cells: {works} work, {refused} are refused in one line by `plan`, before anything is trained, and {failed} fail.

A family is served whatever its modules are called: blocks, linears, norms and attentions are found in its module tree. Three gates
come first, in float32, each a largest difference as a share of the largest value:

- `frozen`: scores of rows in padded batches of embeddings, against the plain model's on single rows of token ids.
- `packed`: scores and gradients of a prompt, a LoRA, a prefix and norms in one pack, each on rows of other lengths, against each alone.
- `alive`: how many tensors those adapters have. Each gets a gradient, and each adapter changes the scores.

A cell says what works with a method: `t`rained, exported as `n`ative, `p`eft and `m`erged files, each verified in a fresh process. A number
stands where something is refused, and says why below. Methods are at their defaults; where a model lacks the modules that a default
names, at those of the method's axis that it has.
"""
END = """
## What the names of linears mean

- Where one linear computes several of q, k and v, or a gate and what it multiplies, each name is its outputs of it: a LoRA on `v` changes
  no other output, and leaves as PEFT and merged files exactly. `qkv` and `gate_up` name the whole.
- Latent attention (DeepSeek, Kimi, MiniCPM3, Mistral 4): `q` are the queries (of `q_b_proj`, where they come from a latent); `k` and
  `v` are the outputs of `kv_b_proj` that are each head's key, but for its rotary part, and value. The rotary part of the keys is one for
  all heads and stands in `kv_a_proj_with_mqa`, which keeps its name, as `q_a_proj` and the whole `kv_b_proj` do. Such keys and values
  differ in width and are kept as the latent that they come from, so prefixes are refused.
- Mixtures of experts: experts are one tensor for all, to which tokens come in an order of their own. No method touches them, or the
  router; attention, shared experts and layers without experts are adapted as everywhere. `plan` and `methods` name what is left alone.

## How long a text may be

As long as the model has positions for, virtual tokens included. Where rotary frequencies follow the longest row of a batch (LongRoPE,
as in Phi-3 and MiniCPM3; dynamic NTK), up to the length of pretraining: beyond, a row would be computed in one way beside long rows and in
another beside short ones. Texts are cut there, and prompts that do not fit beside them are refused by `plan`.
"""
LETTERS = {"train": "t", "native": "n", "peft": "p", "merged": "m"}


def main() -> None:
    """Print the page."""
    sys.stdout.write(page(read(RECORDS)))


def read(records: Path) -> list[dict[str, Any]]:
    """Rows as `families.py` has written them."""
    return [json.loads(line) for line in records.read_text(encoding="utf8").splitlines()]


def page(families: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """The page for rows as `--json` has them."""
    methods = list(dict.fromkeys(cell["method"] for family in families for cell in family["table"]))
    reasons: dict[str, int] = {}
    rows = [_row(family, methods, columns, reasons) for family in families]
    head = ["family", "class", "frozen", "packed", "alive", *methods]
    notes = [f"{number}. {why}" for why, number in reasons.items()]
    table = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]
    return "\n".join([_beginning(families), *table, "", "## Why not", "", *notes, END.rstrip("\n"), ""])


def _beginning(families: Sequence[Mapping[str, Any]]) -> str:
    cells, failed, refused = (sum(family[name] for family in families) for name in ("cells", "failed", "refused"))
    libraries = ", ".join(f"{name} {number}" for name, number in families[0]["libraries"].items())
    told = {"libraries": libraries, "code": families[0]["code"], "works": cells - failed - refused}
    return BEGINNING.format(count=len(families), cells=cells, refused=refused, failed=failed, **told)


def _row(family: Mapping[str, Any], methods: Sequence[str], columns: Sequence[str], reasons: dict[str, int]) -> str:
    cells = [_cell([c for c in family["table"] if c["method"] == name], columns, reasons) for name in methods]
    return f"| {' | '.join([family['name'], family['model'], *_gates(family), *cells])} |"


def _gates(family: Mapping[str, Any]) -> list[str]:
    """frozen, packed, alive; dashes where the family is refused whole."""
    found = family["gates"]
    if found is None:
        return ["–"] * 3
    living = f"{found['tensors']}" if not found["dead"] and not found["idle"] else f"DEAD {', '.join([*found['dead'], *found['idle']])}"
    return [f"{family['frozen']:.0e}", f"{max(found['scores'], found['gradients']):.0e}", living]


def _cell(found: Sequence[Mapping[str, str]], columns: Sequence[str], reasons: dict[str, int]) -> str:
    works = "".join(LETTERS[column] for column in columns for cell in found if cell["column"] == column and cell["state"] == "works")
    lost = [cell["why"] for cell in found if cell["state"] == "refused"]
    failed = " FAILS" if any(cell["state"] == "failed" for cell in found) else ""
    numbers = ",".join(dict.fromkeys(str(reasons.setdefault(why, len(reasons) + 1)) for why in lost))
    return f"{works}{failed}{f' ({numbers})' if numbers else ''}".strip()


if __name__ == "__main__":
    main()
