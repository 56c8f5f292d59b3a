"""A ready-made page in MLflow's UI: the view state behind the link that opens with the curve drawn.

The UI reads `mlflow.sharedViewState.<key>` from an experiment's tags: JSON, deflated, in base64. Found by trying with MLflow
3.17; a UI that no longer knows it shows its usual page instead.
"""

import base64
import json
import zlib
from typing import Any

from ...spaces.hashing import sha256_of_json


def tags(study: str) -> dict[str, str]:
    """Return the experiment tags that describe the page of the study with this identity."""
    text = json.dumps(_page_state(study), separators=(",", ":"), sort_keys=True)
    state = "deflate;" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return {f"mlflow.sharedViewState.{study}": state, "mlflow.experimentKind": "custom_model_development"}


def page(experiment: str, study: str) -> str:
    """Return the page's path and query, relative to the server's address."""
    return f"/#/experiments/{experiment}/runs?viewStateShareKey={study}&compareRunsMode=CHART&workflowType=machine_learning"


def _page_state(study: str) -> dict[str, Any]:
    size, digits = _metric("trainable_parameters"), _metric("log10_trainable_parameters")
    score, test = _metric("validation_score"), _metric("test_score")
    return {
        # Sorted by date, children hide under their parent and every chart is empty.
        "orderByKey": "metrics.`validation_score`",
        "orderByAsc": False,
        "searchFilter": f"tags.`ulpt_search.study` = '{study}' and tags.`ulpt_search.key` != 'study'",
        "runsHiddenMode": "SHOWALL",
        "isAccordionReordered": True,
        "compareRunSections": [
            _section("curve", "Score over trainable parameters", columns=2, height=420),
            _section("test", "Finalists on the test split", columns=2, height=360),
            _section("training", "Training", columns=2, height=360),
        ],
        "compareRunCharts": [
            _chart("curve", "SCATTER", {"xaxis": size, "yaxis": score}),
            _chart("curve", "SCATTER", {"xaxis": digits, "yaxis": score}),
            _chart("test", "SCATTER", {"xaxis": size, "yaxis": test}),
            _chart("test", "SCATTER", {"xaxis": score, "yaxis": test}),
            _chart("training", "LINE", _by_step("validation_score")),
            _chart("training", "LINE", _by_step("loss")),
        ],
    }


def _metric(key: str) -> dict[str, str]:
    return {"key": key, "type": "METRIC"}


def _section(uuid: str, name: str, *, columns: int, height: int) -> dict[str, Any]:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True, "columns": columns, "cardHeight": height}


def _by_step(metric: str) -> dict[str, Any]:
    return {"metricKey": metric, "selectedMetricKeys": [metric], "xAxisKey": "step", "lineSmoothness": 0, "displayPoints": True}


def _chart(section: str, kind: str, options: dict[str, Any]) -> dict[str, Any]:
    name = sha256_of_json([section, kind, options])[:16]
    fixed = {"deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    return {"uuid": name, "type": kind, "metricSectionId": section, **fixed, **options}
