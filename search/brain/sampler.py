"""Proposals from records: Optuna's multi-objective TPE, as a pure function of what is known at one step.

The in-memory Optuna study is rebuilt for every batch of proposals, so nothing has to be kept in step with the ledger. The
model is multivariate and grouped: the method is one group, the hyperparameters of each method with the seed another, and only the
group of the method that was drawn is sampled. Trials in flight (and proposals of the same batch) stand in the study as RUNNING, so
that the constant liar keeps new proposals away from them.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from ...spaces.axes import Axis, Choice, Int
from .search_space import Accept, Proposal, SearchSpace

Direction = Literal["maximize", "minimize"]
Distributions = dict[str, BaseDistribution]
REJECTIONS = 4  # unacceptable draws in a row before a proposal is drawn uniformly instead
SHARED = 16  # in a batch of so many, two proposals share a drawn method, three in one of twice as many: it costs as much as its values

METHOD, SEED = "method", "seed"


@dataclass(frozen=True)
class Observation:
    """A configuration and what came of it at the step that is modelled."""

    proposal: Proposal
    values: tuple[float, ...] | None
    """One finite number per objective; None while it is in flight, or where it failed: then it only pushes others away."""


def propose(
    search_space: SearchSpace, observations: Sequence[Observation], *, directions: Sequence[Direction], accept: Accept, seed: int, n: int
) -> list[Proposal]:
    """Return up to `n` different proposals that `accept` lets through; fewer only when the space has been tried out.

    The same arguments give the same proposals. Costs about 3 ms a proposal with 150 observations.
    """
    chance = random.Random(seed)
    study = _study(search_space, observations, directions=directions)
    sampler = TPESampler(multivariate=True, constant_liar=True, n_startup_trials=0, seed=chance.getrandbits(32))
    found: dict[tuple[object, ...], Proposal] = {}

    def fresh(proposal: Proposal) -> bool:
        return proposal.identity not in found and accept(proposal)

    while len(found) < n:
        method = _method(search_space, study, sampler)
        for _ in range(min(1 + n // SHARED, n - len(found))):
            drawn = (one for one in _draws(search_space, method, study, sampler) if fresh(one))
            proposal = next(drawn, None) or search_space.draw(accept=fresh, chance=chance)
            if proposal is None:
                return list(found.values())
            found[proposal.identity] = proposal
            study.add_trial(_frozen(search_space, Observation(proposal, None)))
    return list(found.values())


def _study(search_space: SearchSpace, observations: Sequence[Observation], *, directions: Sequence[Direction]) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=list(directions))
    study.add_trial(create_trial(state=TrialState.RUNNING))  # the trial that is being asked for; the sampler leaves it out
    study.add_trials(_frozen(search_space, one) for one in observations if search_space.contains(one.proposal))
    return study


def _method(search_space: SearchSpace, study: optuna.Study, sampler: TPESampler) -> str:
    return str(_sample(sampler, study, _outer(search_space)).get(METHOD, next(iter(search_space.methods))))


def _draws(search_space: SearchSpace, method: str, study: optuna.Study, sampler: TPESampler) -> Iterator[Proposal]:
    axes, group = search_space.axes(method), _inner(search_space, method)
    for _ in range(REJECTIONS):
        drawn = _sample(sampler, study, group)
        values = {name: drawn.get(f"{method}/{name}", axis.corners()[0]) for name, axis in axes.items()}
        yield Proposal(method, values, drawn.get(SEED, 0))


def _sample(sampler: TPESampler, study: optuna.Study, group: Distributions) -> dict[str, Any]:
    """Sample one group; a parameter with a single value is left out, as Optuna asks."""
    asking = study.get_trials(deepcopy=False)[0]
    return sampler.sample_relative(study, asking, {name: one for name, one in group.items() if not one.single()})


def _outer(search_space: SearchSpace) -> Distributions:
    return {METHOD: CategoricalDistribution(tuple(search_space.methods))}


def _inner(search_space: SearchSpace, method: str) -> Distributions:
    values = {f"{method}/{name}": _distribution(axis) for name, axis in search_space.axes(method).items()}
    return {SEED: CategoricalDistribution(tuple(range(search_space.seeds))), **values}


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Choice):
        return CategoricalDistribution(axis.options)
    if isinstance(axis, Int):
        return IntDistribution(axis.low, axis.high, log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _frozen(search_space: SearchSpace, observation: Observation) -> FrozenTrial:
    one = observation.proposal
    inner = {f"{one.method}/{name}": value for name, value in one.hyperparameters.items()}
    return create_trial(
        state=TrialState.RUNNING if observation.values is None else TrialState.COMPLETE,
        params={METHOD: one.method, SEED: one.seed, **inner},
        distributions={**_outer(search_space), **_inner(search_space, one.method)},
        values=observation.values,
    )
