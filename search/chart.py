"""A ready-made page in MLflow's UI: the view state behind the link that opens with the curve drawn.

The UI reads `mlflow.sharedViewState.<key>` from an experiment's tags: JSON, deflated, in base64. Found by trying with MLflow
3.17; a UI that no longer knows it shows its usual page instead.
"""

import base64
import json
import zlib
from typing import Any

_TAG = "mlflow.sharedViewState."


def view_state(study: str) -> tuple[str, str]:
    """Return key and value of the experiment tag that describes the page of the study with this identity."""
    text = json.dumps(_page_state(study), separators=(",", ":"), sort_keys=True)
    return _TAG + study, "deflate;" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def page(experiment: str, study: str) -> str:
    """Return the page's path and query, relative to the server's address."""
    return f"/#/experiments/{experiment}/runs?viewStateShareKey={study}&compareRunsMode=CHART"


def _page_state(study: str) -> dict[str, Any]:
    sections = [("curve", "Score over trainable parameters"), ("training", "Training"), ("choices", "Choices")]
    score = {"key": "validation_score", "type": "METRIC"}
    size = {"key": "trainable_parameters", "type": "METRIC"}
    charts = [
        _chart("curve", "SCATTER", "curve", xaxis=size, yaxis=score),
        _chart("learning", "LINE", "training", metricKey="validation_score", selectedMetricKeys=["validation_score"], xAxisKey="step"),
        _chart("loss", "LINE", "training", metricKey="loss", selectedMetricKeys=["loss"], xAxisKey="step"),
        _chart("choices", "PARALLEL", "choices", selectedParams=["method"], selectedMetrics=[size["key"], score["key"]]),
    ]
    return {
        # Sorted by date, children hide under their parent and every chart is empty.
        "orderByKey": "metrics.`validation_score`",
        "orderByAsc": False,
        "searchFilter": f"tags.`ulpt_search.study` = '{study}' and tags.`ulpt_search.key` != 'study'",
        "runsHiddenMode": "SHOWALL",
        "compareRunSections": [{"uuid": uuid, "name": name, "display": True, "isReordered": True} for uuid, name in sections],
        "compareRunCharts": charts,
        "isAccordionReordered": True,
    }


def _chart(uuid: str, kind: str, section: str, **options: Any) -> dict[str, Any]:
    common = {"uuid": uuid, "type": kind, "metricSectionId": section, "deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    return {**common, **options}
