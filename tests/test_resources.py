"""What a run takes of a machine."""

from dataclasses import replace

import pytest

from ulpt_search.search.request import Request
from ulpt_search.search.running.resources import Resources, resources
from ulpt_search.spaces.errors import WrongInput

ASKED = Request("x", 1, "home")


@pytest.mark.parametrize(
    ("request_", "cpus", "gpus", "expected"),
    [
        (ASKED, 2, 0, Resources(2, 1.0, 0.0, 4)),
        (ASKED, 16, 1, Resources(1, 16.0, 1.0, 8)),
        (ASKED, 16, 4, Resources(4, 4.0, 1.0, 8)),
        (replace(ASKED, gpus_per_worker=0.5), 16, 2, Resources(4, 4.0, 0.5, 8)),
        (replace(ASKED, gpus_per_worker=0.0), 4, 1, Resources(4, 1.0, 0.0, 4)),
        (replace(ASKED, workers=3, pack=2), 2, 0, Resources(3, 1.0, 0.0, 2)),
        (replace(ASKED, workers=1), 8, 0, Resources(1, 8.0, 0.0, 4)),
        (replace(ASKED, address="h:6379", workers=10, gpus_per_worker=1.0), 2, 0, Resources(10, 1.0, 1.0, 8)),
    ],
)
def test_resources(request_: Request, cpus: int, gpus: int, expected: Resources) -> None:
    assert resources(request_, cpus=cpus, gpus=gpus) == expected


@pytest.mark.parametrize(("given", "workers", "share"), [(None, 1, 4.0), (2.0, 2, 2.0)])
def test_a_model_over_several_gpus_has_a_worker_that_sees_them(given: float | None, workers: int, share: float) -> None:
    found = resources(replace(ASKED, gpus_per_worker=given), cpus=16, gpus=4, split=True)
    assert (found.workers, found.gpus_per_worker) == (workers, share)


def test_gpus_that_are_not_there() -> None:
    with pytest.raises(WrongInput, match=r"^--gpus-per-worker 0.5: this machine shows no GPU; leave it out to train on the CPU$"):
        resources(replace(ASKED, gpus_per_worker=0.5), cpus=2, gpus=0)


def test_a_cluster_of_unknown_size() -> None:
    with pytest.raises(WrongInput, match=r"^--address h:1: also give --workers N"):
        resources(replace(ASKED, address="h:1"), cpus=2, gpus=0)


def test_a_person_is_told() -> None:
    assert str(Resources(2, 1.0, 0.0, 8)) == "2 workers of 1 CPU each, packs of up to 8"
    assert str(Resources(1, 16.0, 0.5, 4)) == "1 worker of 0.5 GPU each, packs of up to 4"
