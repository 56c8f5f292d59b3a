"""What the sampler is told stays bounded and keeps the best."""

import random

from ulpt_search.dashboards.frontier import frontier
from ulpt_search.dashboards.points import points
from ulpt_search.search.brain.sampler_history import BEST, RECENT, SamplerHistory
from ulpt_search.spaces.records import Result, Trial


def test_the_archive_keeps_the_frontier_and_the_latest() -> None:
    """After thousands of results the frontier of all of them is still there, and the latest are; the size stays bounded."""
    chance, archive = random.Random(0), SamplerHistory()
    trials: dict[int, Trial] = {}
    results: list[Result] = []
    for n in range(3000):
        parameters = chance.randint(10, 10_000)
        trials[n] = Trial(n, "lora", {"lr": n / 3000}, 0, parameters)
        results.append(Result(n, 25, "validation", chance.gauss(0.5 + parameters / 1e5, 0.1), 1e-4, 0.5, 1.0, "", 0))
        archive.add(trials[n], results[n])
        if n % 250 == 0:
            kept = [trial.number for trial, _ in archive.chosen()]
            assert kept == sorted(set(kept))
            assert len(kept) <= 2 * BEST + RECENT
            assert {point.trial for point in frontier(points(trials.values(), results))} <= set(kept)
            assert set(range(max(0, n + 1 - RECENT), n + 1)) <= set(kept)
    assert len(archive) == 3000
    assert 2999 in archive
    assert 3000 not in archive


def test_the_second_layer_is_kept_before_the_third() -> None:
    """Points in nested layers, entered in any order: the layers that fit are kept whole."""
    archive = SamplerHistory()
    places = [(layer, i) for layer in range(10) for i in range(24)]
    random.Random(1).shuffle(places)
    for n, (layer, i) in enumerate(places):
        archive.add(Trial(n, "lora", {}, 0, 100 * (i + 1)), Result(n, 25, "validation", i - 0.05 * layer, 1e-4, 0.5, 1.0, "", 0))
    kept = {places[trial.number] for trial, _ in archive.chosen()}
    assert {(layer, i) for layer in range(2) for i in range(24)} <= kept
