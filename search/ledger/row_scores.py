"""What each row added to the scores of finals, read from their files in the store: the ledger names the files, this looks into them."""

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

from ...dashboards.points import RowScores
from ...spaces.errors import Failure, WrongInput, reason
from ...spaces.records import Result, Split
from ...workers.training.row_scores import Scores, of_file
from ...workers.training.store import AdapterStore


def row_scores(store: str, results: Iterable[Result]) -> RowScores:
    """Return the scores by (trial, split) that the results' files hold; none of a file that is old, gone or out of reach."""
    found: dict[tuple[int, Split], Scores] = {}
    for result in results:
        with suppress(Failure, WrongInput):  # the curve is shown all the same, with intervals from the scores alone
            found |= {(result.trial, split): own for split, own in _of_adapter(store, result.adapter).items() if split == result.split}
    return found


@lru_cache(maxsize=4096)
def _of_adapter(store: str, digest: str) -> dict[str, Scores]:

    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = AdapterStore(store).read(digest)
    try:
        return of_file(load(data))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"adapter {digest[:12]}: its file holds no adapter ({reason(error)}); restore it from a copy") from error
