"""Which trials go together."""

from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.search.brain.packing import depth, prompt_length, similar
from ulpt_search.search.brain.search_space import Proposal


def prompt(length: int) -> Proposal:
    """A soft prompt."""
    return Proposal("prompt", {"prompt_length": length, "lr": 0.1}, 0)


def lora(layers: str) -> Proposal:
    """An adapter of some layers."""
    return Proposal("lora", {"layers": layers, "lr": 0.1}, 0)


def test_prompts_of_similar_length_go_together() -> None:
    """The most urgent one decides with whom."""
    waiting = [prompt(n) for n in (30, 4, 28, 5, 100)]
    assert [prompt_length(one) for one in similar(waiting, size=2)] == [30, 28]


def test_shallow_trials_are_not_paid_for_by_deep_ones() -> None:
    """A last-layer adapter waits for another one."""
    waiting = [lora("last:1"), prompt(1), lora("all"), lora("last:1"), lora("last:50%")]
    assert similar(waiting, size=2) == [waiting[0], waiting[3]]


def test_depth_is_that_of_the_deepest_part() -> None:
    """A part that says nothing of layers is at the bottom, as prompts are."""
    assert [depth(lora(layers)) for layers in ("all", "first:2", "0,3", "last:50%", "last:1")] == [1, 1, 1, 0.5, 1 / 12]
    both = Proposal("lora+ia3", {"lora.layers": "last:50%", "ia3.layers": "last:25%"}, 0)
    assert depth(both) == 0.5
    assert depth(Proposal("prompt+ia3", {"prompt.prompt_length": 7, "ia3.layers": "last:25%"}, 0)) == 1
    assert prompt_length(Proposal("prompt+ia3", {"prompt.prompt_length": 7, "ia3.layers": "last:25%"}, 0)) == 7


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(1, 8))
def test_the_most_urgent_is_always_in(lengths: list[int], size: int) -> None:
    """No more than the size, urgent ones first, none twice."""
    waiting = [prompt(length) for length in lengths]
    chosen = similar(waiting, size=size)
    assert len(chosen) == min(size, len(waiting))
    assert chosen[:1] == waiting[:1]
    places = [next(i for i, one in enumerate(waiting) if one is pick) for pick in chosen]
    assert places == sorted(set(places))
