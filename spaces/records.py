"""What a search writes down: trials, results and jobs, as frozen values that go to JSON and back unchanged."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .axes import Hyperparameters
from .references import Reference, ReferenceKind

Split = Literal["validation", "test"]
Purpose = Literal["search", "final"]
State = Literal["waiting", "running", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration: a method with its hyperparameters and a seed.

    In a composition such as `ulpt+bitfit` the hyperparameters carry their part's name: `ulpt.dim`, `bitfit.lr`.
    """

    number: int
    method: str
    hyperparameters: Hyperparameters
    seed: int
    parameters: int
    """Trainable elements during training, known before launch."""
    purpose: Purpose = "search"
    finalist: int | None = None
    """For a `final` trial: the number of the search trial whose configuration it repeats under a fresh seed."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "hyperparameters": dict(self.hyperparameters)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Trial":
        """Return the trial that `to_json` wrote."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Result:
    """A trial's score at one step on one split. `(trial, step, split)` is unique in a study."""

    trial: int
    step: int
    split: Split
    score: float
    """The task's metric; higher is better: of one where lower is, its negative."""
    variance: float
    """Sampling variance of `score` over the rows of the split."""
    loss: float
    """Mean training loss since the previous rung."""
    seconds: float
    """This trial's share of the wall clock since the previous rung."""
    adapter: str
    """sha256 of the trial's state (values and optimiser) in the store."""
    bytes: int
    """Size of the trained values alone, as a native export stores them."""
    numerics: str | None = None
    """What computed it, as `Numerics` says it; None for results that are older than this field."""
    others: Mapping[str, float] | None = field(default=None, hash=False)
    """Further metrics of the same predictions, by name, as they are; they decide nothing."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Result":
        """Return the result that `to_json` wrote."""
        return cls(**values)


@dataclass(frozen=True)
class Assignment:
    """A trial's part in a job: continue from `start` steps with the state named `adapter` (None: from scratch)."""

    trial: Trial
    start: int = 0
    adapter: str | None = None


@dataclass(frozen=True)
class Job:
    """A pack of trials to be trained together up to step `stop` and then scored on `splits`."""

    number: int
    assignments: tuple[Assignment, ...]
    stop: int
    splits: tuple[Split, ...] = ("validation",)
    references: tuple[ReferenceKind, ...] = ()
    """Measure these instead, for no trial."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        parts = [{"trial": a.trial.to_json(), "start": a.start, "adapter": a.adapter} for a in self.assignments]
        return {
            "number": self.number,
            "assignments": parts,
            "stop": self.stop,
            "splits": list(self.splits),
            "references": list(self.references),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Job":
        """Return the job that `to_json` wrote."""
        parts = (Assignment(Trial.from_json(a["trial"]), a["start"], a["adapter"]) for a in values["assignments"])
        return cls(values["number"], tuple(parts), values["stop"], tuple(values["splits"]), tuple(values["references"]))


@dataclass(frozen=True)
class Problem:
    """Why one trial of a job has no result; `spaces.attempts` says what becomes of the trial."""

    trial: int
    error: str
    fatal: bool = False
    """Whether another attempt cannot help (NaN loss, wrong shape)."""
    alone: bool = False
    """Whether nobody else was in its pack."""
    own: bool = True
    """Whether the trial is known to have brought it about; a killed worker may be anybody's doing."""


@dataclass(frozen=True)
class Outcome:
    """What came of a job: results for the trials that made it, problems for those that did not."""

    job: int
    results: tuple[Result, ...] = ()
    problems: tuple[Problem, ...] = ()
    pack_limit: int | None = None
    """Largest pack of `heavy` that fits the device's memory, when this job found out."""
    refused: str | None = None
    """Why this worker may train nothing of this study, in one line; ends the run, and costs no trial an attempt."""
    references: tuple[Reference, ...] = ()
    heavy: tuple[str, ...] = ()
    """The methods of the pack that did not fit."""
    unable: str | None = None
    """Why nothing could be done here, whatever the trials: model, store or device cannot be used. Costs no trial an attempt."""
    lost: str | None = None
    """Why no worker answered, in one line. Whose doing that was, nobody said."""
    failed: str | None = None
    """Why a job without trials came to nothing, or to some of its references only: of others, problems say it."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "job": self.job,
            "results": [result.to_json() for result in self.results],
            "problems": [asdict(problem) for problem in self.problems],
            "pack_limit": self.pack_limit,
            "refused": self.refused,
            "references": [reference.to_json() for reference in self.references],
            "heavy": list(self.heavy),
            "unable": self.unable,
            "lost": self.lost,
            "failed": self.failed,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Outcome":
        """Return the outcome that `to_json` wrote."""
        results = tuple(Result.from_json(result) for result in values["results"])
        problems = tuple(Problem(**problem) for problem in values["problems"])
        references = tuple(Reference.from_json(one) for one in values["references"])
        return cls(
            values["job"],
            results,
            problems,
            values["pack_limit"],
            values["refused"],
            references,
            tuple(values["heavy"]),
            values["unable"],
            values["lost"],
            values["failed"],
        )


@dataclass(frozen=True)
class Point:
    """One row of a curve: a configuration with what it costs and what it scored, at one step.

    Before the finals it is one search trial. After them it is what was measured over fresh seeds: validation and test scores are
    means over the same adapters, and one of these stands for it when it is exported.
    """

    trial: int
    """The search trial whose configuration it is."""
    method: str
    hyperparameters: Hyperparameters
    seed: int
    trainable_parameters: int
    bytes: int
    steps: int
    """The step of all its scores."""
    score: float
    """Validation: mean over the finals, or the search trial's own score before them."""
    score_low: float
    score_high: float
    """95 % interval of `score`."""
    test_score: float | None = None
    """Mean over the same finals on the test split; None before them."""
    test_low: float | None = None
    test_high: float | None = None
    """95 % interval of `test_score`."""
    seeds: tuple[int, ...] = field(default=())
    """The fresh seeds of the finals."""
    finals: tuple[int, ...] = field(default=())
    """Their trial numbers, in the order of `seeds`."""
    exported: int = -1
    """The trial whose adapter stands for the point: the median final by validation, before the finals the search trial itself."""
    exported_score: float | None = None
    """That adapter's own validation score."""
    exported_test: float | None = None
    """That adapter's own test score; None before the finals."""
    others: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Further metrics as they are: means over the finals on the test split, before the finals of validation."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        lists = {"seeds": list(self.seeds), "finals": list(self.finals)}
        return {**asdict(self), "hyperparameters": dict(self.hyperparameters), "others": dict(self.others), **lists}
