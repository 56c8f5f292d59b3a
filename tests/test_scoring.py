"""Metrics against worked examples and scikit-learn; their variances against brute force and simulation."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, log_loss, matthews_corrcoef, roc_auc_score

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.metrics import METRICS, Metric
from ulpt_search.workers.training import scoring
from ulpt_search.workers.training.scoring import Score, measured, read, score, value

Numbers = Sequence[float]
LABELS = [name for name, one in METRICS.items() if one.reads == "labels" and "classification" in one.kinds]


def labelled(rows: int, *, classes: int, seed: int) -> tuple[list[int], list[int]]:
    """Predictions that are right about 70 % of the time, and targets."""
    draw = np.random.default_rng(seed)
    targets = draw.integers(classes, size=rows)
    predictions = np.where(draw.random(rows) < 0.6, targets, draw.integers(classes, size=rows))
    return predictions.tolist(), targets.tolist()


@pytest.mark.parametrize(
    ("metric", "predictions", "targets", "value"),
    [
        ("accuracy", (0, 1, 1, 2), (0, 1, 2, 2), 0.75),
        ("f1", (1, 1, 0, 1, 0), (1, 0, 1, 1, 0), 2 / 3),  # label 1: two right of three predicted and three there
        ("f1", (0, 1, 2, 2), (0, 1, 1, 2), (1 + 2 / 3 + 2 / 3) / 3),
        ("matthews", (1, 1, 0, 1, 0), (1, 0, 1, 1, 0), 1 / 6),  # (2*1 - 1*1) / sqrt(3*3*2*2)
        ("matthews", (0, 1, 2), (0, 1, 2), 1.0),
        ("matthews", (1, 0), (0, 1), -1.0),
    ],
)
def test_worked_examples(metric: str, predictions: Numbers, targets: Numbers, value: float) -> None:
    assert score(metric, predictions, targets).value == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 77])
def test_f1_and_matthews_are_those_of_scikit_learn(classes: int) -> None:
    predictions, targets = labelled(150, classes=classes, seed=classes)
    f1 = f1_score(targets, predictions, average="binary" if classes == 2 else "macro")
    assert score("f1", predictions, targets).value == pytest.approx(f1, abs=1e-12)
    assert score("matthews", predictions, targets).value == pytest.approx(matthews_corrcoef(targets, predictions), abs=1e-12)


def test_the_variance_of_accuracy_is_that_of_a_share() -> None:
    assert score("accuracy", (0, 1, 1, 2), (0, 1, 2, 2)) == Score(0.75, 0.75 * 0.25 / 4)


@pytest.mark.parametrize("metric", ["f1", "matthews"])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_jackknife_leaves_out_each_row_in_turn(metric: str, classes: int) -> None:
    predictions, targets = labelled(30, classes=classes, seed=5)
    without = [
        score(metric, predictions[:i] + predictions[i + 1 :], targets[:i] + targets[i + 1 :], classes=classes).value for i in range(30)
    ]
    assert score(metric, predictions, targets, classes=classes).variance == pytest.approx(29 * np.var(without), rel=1e-9)


@pytest.mark.parametrize("metric", ["f1", "matthews"])
def test_with_many_classes_groups_of_rows_are_left_out(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [labelled(400, classes=12, seed=i) for i in range(4)]
    grouped = [score(metric, *sample).variance for sample in samples]
    monkeypatch.setattr(scoring, "KINDS", 400)
    exact = [score(metric, *sample).variance for sample in samples]
    # 64 groups give a variance to 18 %, the mean of four to 9 %.
    assert np.mean(grouped) == pytest.approx(np.mean(exact), rel=0.27)
    assert grouped != exact


@pytest.mark.parametrize(
    "metric", [pytest.param(one, marks=pytest.mark.slow) if one in ("f1_macro", "f1_micro") else one for one in LABELS]
)
def test_the_variance_is_that_of_fresh_rows_of_the_same_kind(metric: str) -> None:
    samples = [labelled(150, classes=3, seed=i) for i in range(150)]
    scores = [score(metric, predictions, targets) for predictions, targets in samples]
    observed = np.var([one.value for one in scores], ddof=1)
    # 150 samples give the observed variance to 12 %.
    assert np.mean([one.variance for one in scores]) == pytest.approx(observed, rel=0.3)


@pytest.mark.parametrize("metric", LABELS)
def test_a_perfect_score_is_one_and_the_order_of_rows_does_not_matter(metric: str) -> None:
    predictions, targets = labelled(90, classes=2, seed=3)
    assert score(metric, targets, targets).value == pytest.approx(1)
    assert score(metric, predictions[::-1], targets[::-1]).value == pytest.approx(score(metric, predictions, targets).value)


@pytest.mark.parametrize("metric", LABELS)
def test_a_constant_prediction_scores_without_a_warning(metric: str) -> None:
    result = score(metric, (0, 0, 0, 0), (0, 1, 0, 1))
    assert result.value == pytest.approx({"accuracy": 0.5, "f1_micro": 0.5, "f1_macro": 1 / 3}.get(metric, 0))
    assert np.isfinite(result.variance)


def test_f1_is_of_the_last_of_two_labels_and_macro_beyond() -> None:
    predictions, targets = (0, 0, 1, 1), (0, 0, 1, 0)
    assert score("f1", predictions, targets).value == pytest.approx(2 / 3)
    assert score("f1", predictions, targets, classes=3).value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert score("f1", (0, 0), (0, 0)).value == 0  # the positive label never occurs


@pytest.mark.parametrize("metric", LABELS)
def test_one_row_is_enough_to_score(metric: str) -> None:
    found = score(metric, (1,), (1,))
    assert np.isfinite(found.value)
    assert found.variance > 0


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        ((), (), r"accuracy needs as many predictions as targets, one or more: got \(0,\) and \(0,\)"),
        ((1, 0), (1,), r"got \(2,\) and \(1,\)"),
        ((float("nan"), 1), (1, float("inf")), r"accuracy needs finite numbers: 2 rows are not"),
    ],
)
def test_what_cannot_be_scored_is_a_programming_error(predictions: Numbers, targets: Numbers, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score("accuracy", predictions, targets)


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(WrongInput, match=r"metric acuracy: unknown; there are accuracy, f1, .*\. Did you mean accuracy\?"):
        score("acuracy", (1,), (1,))


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews"])
def test_what_the_rows_add_has_the_scores_mean_and_variance(metric: str) -> None:
    """Of accuracy exactly; pseudo-values have the jackknife's bias, which is of the order of one row."""
    chance = np.random.default_rng(0)
    targets = chance.integers(2, size=200)
    predictions = np.where(chance.random(200) < 0.8, targets, 1 - targets)
    found = score(metric, predictions.tolist(), targets.tolist())
    assert len(found.rows) == 200
    assert found.rows.mean() == pytest.approx(found.value, abs=0.005)
    assert found.rows.var() / len(found.rows) == pytest.approx(found.variance, rel=0.02)


@pytest.mark.parametrize("right", [0, 1])
def test_ten_alike_of_ten_are_not_certain(right: int) -> None:
    """(10 + 2) / 14 is Wilson's midpoint; once the variance was 0 and the interval [1, 1]."""
    found = score("accuracy", (1,) * 10, (right,) * 10)
    assert found.variance == pytest.approx(12 / 14 * 2 / 14 / 14)


def test_what_a_row_adds_by_hand() -> None:
    """F1 of one row right in two: with it 2/3, without the right one 0, without the wrong one 1."""
    found = score("f1", (1, 1), (1, 0))
    assert found.value == pytest.approx(2 / 3)
    assert found.rows.tolist() == pytest.approx([2 * 2 / 3 - 0, 2 * 2 / 3 - 1])


def scored(rows: int = 120, *, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Label scores (rows, labels) that favour the right label, and targets."""
    draw = np.random.default_rng(seed)
    targets = draw.integers(classes, size=rows)
    return draw.normal(size=(rows, classes)) + 1.2 * np.eye(classes)[targets], targets.tolist()


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores)
    chances: np.ndarray = powers / powers.sum(1, keepdims=True)
    return chances


@pytest.mark.parametrize("classes", [2, 5])
def test_every_metric_of_labels_is_that_of_the_library(classes: int) -> None:
    scores, targets = scored(classes=classes)
    chances, best = softmax(scores), scores.argmax(1)
    area = roc_auc_score(targets, chances[:, 1]) if classes == 2 else roc_auc_score(targets, chances, multi_class="ovr")
    wanted = {
        "accuracy": np.mean(best == targets),
        "f1": f1_score(targets, best, average="binary" if classes == 2 else "macro"),
        "f1_macro": f1_score(targets, best, average="macro"),
        "f1_micro": f1_score(targets, best, average="micro"),
        "matthews": matthews_corrcoef(targets, best),
        "auroc": area,
        "log_loss": log_loss(targets, chances),
    }
    assert wanted.keys() == {name for name, one in METRICS.items() if "classification" in one.kinds}
    found = {name: value(name, scores, targets, classes=classes) for name in wanted}
    assert found == pytest.approx(wanted, abs=1e-12)


def test_correlations_are_scipys_and_of_constant_predictions_zero() -> None:
    draw = np.random.default_rng(1)
    targets = draw.uniform(0, 5, 80)
    numbers = targets + draw.normal(size=80)
    assert value("pearson", numbers[:, None], targets.tolist(), classes=0) == pytest.approx(pearsonr(numbers, targets)[0])
    assert value("spearman", numbers[:, None], targets.tolist(), classes=0) == pytest.approx(spearmanr(numbers, targets)[0])
    assert value("pearson", np.ones((80, 1)), targets.tolist(), classes=0) == 0
    assert score("spearman", numbers, targets.tolist()).value == value("spearman", numbers[:, None], targets.tolist(), classes=0)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("auroc", marks=pytest.mark.slow),
        pytest.param("log_loss", marks=pytest.mark.slow),
        pytest.param("pearson", marks=pytest.mark.slow),
        "spearman",
    ],
)
def test_the_variance_of_metrics_without_kinds_is_that_of_fresh_rows(name: str) -> None:
    def one(seed: int) -> Score:
        scores, targets = scored(150, classes=2, seed=seed)
        return measured([name], scores[:, 1:] if METRICS[name].reads == "numbers" else scores, targets, classes=2)

    found = [one(seed) for seed in range(60)]
    # 60 samples give the observed variance to 18 %, 64 groups each estimate to 18 %.
    assert np.mean([each.variance for each in found]) == pytest.approx(np.var([each.value for each in found], ddof=1), rel=0.45)
    assert np.mean(found[0].rows) == pytest.approx(found[0].value, abs=0.02)


def test_a_loss_is_turned_round_where_it_decides_and_told_as_it_is() -> None:
    good, targets = scored(200, seed=2)
    bad = good[::-1].copy()
    better, worse = (measured(["log_loss", "accuracy"], own, targets, classes=3) for own in (good, bad))
    assert better.value > worse.value
    told = measured(["accuracy", "log_loss"], good, targets, classes=3)
    assert told.others == {"log_loss": pytest.approx(-better.value)}
    assert METRICS["log_loss"].title == "neg_log_loss"


def test_an_area_takes_labels_that_are_missing_from_a_split_as_not_asked() -> None:
    scores, targets = scored(60, classes=3, seed=4)
    kept = [row for row, target in enumerate(targets) if target != 2]
    some = [targets[row] for row in kept]
    areas = [roc_auc_score(np.equal(some, label), softmax(scores[kept])[:, label]) for label in (0, 1)]
    assert value("auroc", scores[kept], some, classes=3) == pytest.approx(np.mean(areas))


def test_a_further_metric_that_these_rows_cannot_tell_is_left_out() -> None:
    """Of one label alone there is no area under the curve; a NaN would be no JSON that every database takes."""
    scores = np.log(np.array([[0.7, 0.3], [0.4, 0.6]]))
    assert measured(["accuracy", "auroc", "f1"], scores, [1, 1], classes=2).others.keys() == {"f1"}


@pytest.mark.parametrize(("name", "value"), [("f1", 1.0), ("f1_macro", 1.0), ("matthews", 1.0), ("auroc", 1.0), ("pearson", 0.0)])
def test_a_score_that_no_row_moves_is_not_certain(name: str, value: float) -> None:
    """All right, or all predictions alike: the error is that of as many rows as the rarest label has, and shrinks with them."""
    errors = []
    for rows in (20, 80):
        targets = [int(row % 5 == 0) for row in range(rows)]
        scores = np.zeros((rows, 1)) if name == "pearson" else np.eye(2)[targets] * 3
        found = measured([name], scores, targets, classes=2)
        assert found.value == pytest.approx(value)
        errors.append(found.variance**0.5)
    assert 0.01 < errors[1] < 0.6 * errors[0] < 0.6


def test_without_ends_nothing_is_known_of_a_score_that_no_row_moves() -> None:
    assert measured(["log_loss"], np.zeros((8, 2)), [0, 1] * 4, classes=2).variance == 0


def test_of_several_labels_the_rarest_mark_says_how_many_rows_there_are() -> None:
    """All right: a label that 2 of 40 rows have moves the score as rows of 2 would, however many marks of other labels stand beside it."""
    targets = np.zeros((40, 3), dtype=int)
    targets[:20, :2], targets[:2, 2] = 1, 1
    found = measured(["f1_macro"], targets - 0.5, targets, classes=3)  # type: ignore[arg-type]
    alone = measured(["f1_macro"], np.eye(2)[[1, 1, 0, 0]], [1, 1, 0, 0], classes=2)
    assert found.value == alone.value == 1
    assert found.variance == pytest.approx(alone.variance)


def test_probabilities_of_several_labels_are_each_labels_own(monkeypatch: pytest.MonkeyPatch) -> None:
    brier = Metric("brier", ("multi_label",), lambda y, p, w, _: float(np.average((y - p) ** 2, weights=w, axis=0).mean()), "probabilities")
    monkeypatch.setattr("ulpt_search.workers.training.scoring.metric_called", lambda name: brier)
    chances = np.array([[0.9, 0.2], [0.4, 0.7], [0.5, 0.5]])
    targets = [(1, 0), (0, 1), (1, 1)]
    found = measured(["brier"], np.log(chances / (1 - chances)), targets, classes=2)
    assert found.value == pytest.approx(((chances - np.array(targets)) ** 2).mean())
    assert np.isfinite(read("brier", np.array([[-1e4, 1e4]]), several=True)).all()
