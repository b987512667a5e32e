"""Makes tunesmith.json, the Grafana dashboard: one row of panels a question. Run it after a change, and keep what it writes.

python examples/grafana/make_dashboard.py
"""

import json
from pathlib import Path
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${source}"}
MODEL = '{model=~"$model"}'


def p(share: float, metric: str, by: str) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{MODEL}[$__rate_interval])))"


def rate(metric: str, by: str, where: str = MODEL) -> str:
    """A counter by the second."""
    return f"sum by ({by}) (rate({metric}{where}[$__rate_interval]))"


PANELS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("Requests a second", "reqps", ((rate("tunesmith_request_seconds_count", "route, status"), "{{route}} {{status}}"),)),
    ("Failed requests a second", "reqps", ((rate("tunesmith_errors_total", "kind"), "{{kind}}"),)),
    (
        "Time of requests",
        "s",
        (
            (p(0.5, "tunesmith_request_seconds", "model"), "median {{model}}"),
            (p(0.95, "tunesmith_request_seconds", "model"), "p95 {{model}}"),
        ),
    ),
    ("Time to the first token", "s", ((p(0.95, "tunesmith_first_token_seconds", "model"), "p95 {{model}}"),)),
    ("Tokens a second", "short", ((rate("tunesmith_tokens_total", "model, direction"), "{{model}} {{direction}}"),)),
    ("Waiting and being answered", "short", ((f"sum by (model, state) (tunesmith_queue{MODEL})", "{{model}} {{state}}"),)),
    (
        "Confidence of answers",
        "percentunit",
        ((p(0.5, "tunesmith_confidence", "model"), "median {{model}}"), (p(0.1, "tunesmith_confidence", "model"), "least tenth {{model}}")),
    ),
    (
        "Abstentions, of all answers",
        "percentunit",
        ((f"{rate('tunesmith_abstentions_total', 'model')} / {rate('tunesmith_answers_total', 'model')}", "{{model}}"),),
    ),
    ("Blocked by rule", "reqps", ((rate("tunesmith_blocked_total", "side, rule", ""), "{{side}} {{rule}}"),)),
    (
        "Findings and redactions",
        "reqps",
        (
            (rate("tunesmith_findings_total", "rule", ""), "found {{rule}}"),
            (rate("tunesmith_redactions_total", "side", ""), "redacted {{side}}"),
        ),
    ),
    ("Feedback by kind and state", "short", (("sum by (kind, state) (tunesmith_feedback)", "{{kind}} {{state}}"),)),
    (
        "Drift in the last look",
        "bool",
        ((f"max by (model, signal, against) (tunesmith_drift{MODEL})", "{{model}} {{signal}} ({{against}})"),),
    ),
    (
        "Lost to the ledger and to sketches",
        "short",
        (("sum by (why) (tunesmith_kept_lost_total)", "{{why}}"), ("sum(tunesmith_unwatched_total)", "not sketched")),
    ),
)


def dashboard() -> dict[str, Any]:
    """The whole of it."""
    panels = [
        {
            "id": at + 1,
            "type": "timeseries",
            "title": title,
            "datasource": SOURCE,
            "gridPos": {"h": 8, "w": 12, "x": 12 * (at % 2), "y": 8 * (at // 2)},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [
                {"refId": chr(65 + number), "expr": expression, "legendFormat": legend, "datasource": SOURCE}
                for number, (expression, legend) in enumerate(asked)
            ],
        }
        for at, (title, unit, asked) in enumerate(PANELS)
    ]
    asked = "label_values(tunesmith_request_seconds_count, model)"
    variables = [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "model",
            "type": "query",
            "datasource": SOURCE,
            "query": asked,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "refresh": 2,
        },
    ]
    return {
        "uid": "tunesmith",
        "title": "tunesmith gateway",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "tags": ["tunesmith"],
        "templating": {"list": variables},
        "annotations": {"list": []},
        "panels": panels,
    }


if __name__ == "__main__":
    Path(__file__).with_name("tunesmith.json").write_text(json.dumps(dashboard(), indent=1) + "\n")
