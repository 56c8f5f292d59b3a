"""What a task may be measured by: one list, which space files, tasks and workers all read, and what other distributions bring.

Values follow scikit-learn and SciPy. 0/0 is 0 (F1 of a label that nobody names, a correlation with predictions that are all the same);
targets that are all the same are refused before anything is trained.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from . import answer_metrics, plugins
from .errors import WrongInput, did_you_mean

Kind = Literal["classification", "regression", "multiple_choice", "multi_label", "generation"]
Reads = Literal["labels", "probabilities", "numbers", "losses", "answers"]
Array = NDArray[Any]
Compute = Callable[[Array, Array, Array, int], float]
"""Targets, predictions as `Metric.reads` says, how often each row counts (rows,), the number of labels -> the value.

Targets are (rows,); where a row has any number of labels, targets and predictions are (rows, labels) of 0 and 1, of which probabilities
are those of 1, each label's by itself.
"""

LABELLED: tuple[Kind, ...] = ("classification", "multiple_choice")
SHARE, SIGNED, LOSS, ANYTHING = (0.0, 1.0), (-1.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)
"""Ranges of metrics."""
LARGEST = 100.0
"""Mean loss of a token beyond which perplexity does not rise: e to it is a number that can still be squared."""


@dataclass(frozen=True)
class Metric:
    """One metric. The scores that a study keeps and compares are `turned` so that higher is better."""

    name: str
    kinds: tuple[Kind, ...]
    """Tasks that it measures."""
    compute: Compute
    reads: Reads = "labels"
    """What it compares with the targets: label numbers (rows,), probabilities (rows, labels), or numbers (rows,).

    Of written answers, which are their own targets: `losses` are loss and number of each row's tokens (rows, 2), `answers` how right each
    row's decoded answer is (rows,), by `right`.
    """
    higher_is_better: bool = True
    constant_targets: bool = True
    """Whether it says something of rows that all have one target."""
    span: tuple[float, float] = ANYTHING
    """What no value can be below, and above."""
    right: Callable[[str, str], float] | None = None
    """Of an answer and the wanted one, how right it is, from 0 to 1."""

    def __post_init__(self) -> None:
        if not self.kinds or not set(self.kinds) <= set(get_args(Kind)) or self.reads not in get_args(Reads) or not callable(self.compute):
            wanted = f"kinds among {', '.join(get_args(Kind))}, reads {' or '.join(get_args(Reads))}, a function to compute"
            raise ValueError(f"metric {self.name}: got kinds {self.kinds}, reads {self.reads}; wanted {wanted}")
        if (self.reads == "answers") != (self.right is not None):
            raise ValueError(f"metric {self.name}: what reads answers says how right each is, and nothing else does; see of_answers")

    @property
    def decodes(self) -> bool:
        """Whether answers must be written to be measured."""
        return self.right is not None

    def turned(self, value: float) -> float:
        """Return the value, or its negative where lower is better: what is compared."""
        return value if self.higher_is_better else -value

    @property
    def ends(self) -> tuple[float, float]:
        """What no compared score can be below, and above."""
        low, high = self.span
        return (low, high) if self.higher_is_better else (-high, -low)

    @property
    def title(self) -> str:
        """What a compared score is called: scikit-learn's name for a turned one."""
        return self.name if self.higher_is_better else f"neg_{self.name}"


def _accuracy(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    return float(np.average(targets == predictions, weights=weights))


def _f1(targets: Array, predictions: Array, weights: Array, classes: int, *, average: str) -> float:
    from sklearn.metrics import f1_score  # a second of imports that most tasks do not need

    two = average == "own" and classes <= 2
    how = "macro" if average == "own" else average
    value = f1_score(targets, predictions, average=how, labels=[1] if two else None, sample_weight=weights, zero_division=0)
    return float(value)


def _subset_accuracy(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    """The share of rows whose labels are all right, and no more."""
    return float(np.average((targets == predictions).all(-1), weights=weights))


def _matthews(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    from sklearn.metrics import matthews_corrcoef

    one_label = len(np.union1d(targets, predictions)) == 1  # 0/0, about which scikit-learn warns
    return 0.0 if one_label else float(matthews_corrcoef(targets, predictions, sample_weight=weights))


def _auroc(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    """One against the rest, the plain mean over labels (of two labels the last one alone); those that are not there count not."""
    from sklearn.metrics import roc_auc_score

    wanted = [1] if classes <= 2 else range(classes)
    split = [label for label in wanted if 0 < np.count_nonzero(targets == label) < len(targets)]
    areas = [roc_auc_score(targets == label, predictions[:, label], sample_weight=weights) for label in split]
    return float(np.mean(areas)) if areas else float("nan")


def _log_loss(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(targets, predictions, labels=range(classes), sample_weight=weights))


def _pearson(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    from scipy.stats import pearsonr

    return _correlation(pearsonr, targets, predictions, weights)


def _spearman(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    from scipy.stats import spearmanr

    return _correlation(spearmanr, targets, predictions, weights)


def _rmse(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    """Root mean squared error, in the targets' own units."""
    return float(np.sqrt(np.average((targets - predictions) ** 2, weights=weights)))


def _correlation(of: Callable[[Array, Array], Any], targets: Array, predictions: Array, weights: Array) -> float:
    """SciPy's statistic; 0 where one side is constant. `weights` are whole numbers."""
    x, y = (np.repeat(one, weights.astype(np.int64)) for one in (targets, predictions))
    return 0.0 if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0 else float(of(x, y)[0])


def _perplexity(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    """exp of the loss of all tokens over their number, whichever rows they are of; never a mean of rows' means."""
    loss, tokens = weights @ predictions
    return float(np.exp(min(loss / max(tokens, 1.0), LARGEST)))


def _mean(targets: Array, predictions: Array, weights: Array, classes: int) -> float:
    return float(np.average(predictions, weights=weights))


def of_answers(name: str, right: Callable[[str, str], float]) -> Metric:
    """A metric of written answers: the mean over rows of how right each is beside the wanted one, from 0 to 1."""
    return Metric(name, ("generation",), _mean, reads="answers", right=right, span=SHARE)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", LABELLED, _accuracy, span=SHARE),
        Metric("f1", ("classification",), partial(_f1, average="own"), span=SHARE),
        Metric("f1_micro", ("classification", "multi_label"), partial(_f1, average="micro"), span=SHARE),
        Metric("f1_macro", ("classification", "multi_label"), partial(_f1, average="macro"), span=SHARE),
        Metric("matthews", ("classification",), _matthews, constant_targets=False, span=SIGNED),
        Metric("auroc", ("classification",), _auroc, reads="probabilities", constant_targets=False, span=SHARE),
        Metric("log_loss", LABELLED, _log_loss, reads="probabilities", higher_is_better=False, span=LOSS),
        Metric("pearson", ("regression",), _pearson, reads="numbers", constant_targets=False, span=SIGNED),
        Metric("spearman", ("regression",), _spearman, reads="numbers", constant_targets=False, span=SIGNED),
        Metric("rmse", ("regression",), _rmse, reads="numbers", higher_is_better=False, span=LOSS),
        Metric("subset_accuracy", ("multi_label",), _subset_accuracy, span=SHARE),
        Metric("perplexity", ("generation",), _perplexity, reads="losses", higher_is_better=False, span=(1.0, np.inf)),
        of_answers("exact_match", answer_metrics.exact_match),
        of_answers("token_f1", answer_metrics.token_f1),
        of_answers("rouge_l", answer_metrics.rouge_l),
        of_answers("last_number", answer_metrics.last_number),
    )
}
"""Name -> metric. `f1` of two labels is that of the last one (its positive one), of more that of `f1_macro`; the first that measures a kind
of task is its default."""


def metric(name: str) -> Metric:
    """Return a metric, ours or another distribution's; `WrongInput` names the nearest where there is none."""
    if name in METRICS:
        return METRICS[name]
    part = plugins.load(plugins.SCORERS, name)
    if part is None:
        raise WrongInput(f"metric {name}: unknown; there are {offered(name)}")
    if not isinstance(part, Metric):
        whose = plugins.sources(plugins.SCORERS)[name]
        raise WrongInput(f"metric {name}: {whose} brings {type(part).__name__}, wanted a Metric of ulpt_search.spaces.metrics")
    return replace(part, name=name)  # it is called what it is asked for by


def names(among: Iterable[str] = METRICS) -> tuple[str, ...]:
    """Return the names of metrics, those of other distributions at the end; nothing of theirs is imported."""
    return tuple(dict.fromkeys((*among, *plugins.names(plugins.SCORERS))))


def offered(given: str, among: Iterable[str] = METRICS) -> str:
    """List the metrics that there are, and name the nearest to what was given."""
    known = names(among)
    return f"{', '.join(known)}.{did_you_mean(given, known)}"


def exists(name: str) -> bool:
    """Whether there is a metric of this name."""
    return name in METRICS or name in names()


def found(name: str | None) -> Metric | None:
    """Return a metric; None where this installation has none of the name, or cannot load it: what is kept of it can be shown anyway."""
    try:
        return None if name is None else metric(name)
    except WrongInput:
        return None


def metrics_of(kind: Kind) -> tuple[str, ...]:
    """Return the names of our metrics of a kind of task, its default first."""
    return tuple(name for name, one in METRICS.items() if kind in one.kinds)
