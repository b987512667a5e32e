"""MLflow: a run named after the round, in `training/mlflow.db` (SQLite), or on the server that MLFLOW_TRACKING_URI names.

Look at a local one with `mlflow ui --backend-store-uri sqlite:///.../training/mlflow.db`. A server that does not answer
costs the run its patience of half a minute, once.
"""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tunesmith.pipeline.trackers import Setting

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "tunesmith"
_TAG = "tunesmith.round"
_BACK = "tunesmith.went_back_to_step"
_QUIETLY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
"""Where the environment does not say otherwise."""
_PARAMS_AT_ONCE, _METRICS_AT_ONCE = 100, 900
_SECONDS = 5.0
"""Numbers wait so long to be written together: each writing takes tens of milliseconds. A kill costs them, and the next execution hands them in again."""
_LONGEST = 250


class MLflow:
    """One run of the experiment `tunesmith`; its settings are params, each value a metric."""

    LIBRARY: ClassVar[str] = "mlflow"

    def __init__(self, client: "MlflowClient", run_id: str, held: dict[str, int]) -> None:
        self._client, self._run_id, self.held = client, run_id, held
        self._waiting: list[Any] = []
        self._written = time.monotonic()

    @classmethod
    def open(cls, folder: Path, run_name: str, settings: Mapping[str, Setting]) -> Self:
        """As `Tracker.open`; a run of the same round is found by its tag."""
        for name, value in _QUIETLY.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient
        from mlflow.entities import Param

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        client = MlflowClient(tracking_uri=uri)
        artefacts = None if os.environ.get("MLFLOW_TRACKING_URI") else (folder / "mlflow").resolve().as_uri()
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifact_location=artefacts)
        quoted = run_name.replace("'", "")
        runs = client.search_runs([experiment], filter_string=f"tags.`{_TAG}` = '{quoted}'", max_results=1)
        if runs:
            run_id = runs[0].info.run_id
            client.update_run(run_id, status="RUNNING")
            return cls(client, run_id, _held(client, run_id, list(runs[0].data.metrics)))
        run_id = client.create_run(experiment, run_name=run_name, tags={_TAG: quoted}).info.run_id
        params = [Param(name, str(value)[:_LONGEST]) for name, value in settings.items()]
        for start in range(0, len(params), _PARAMS_AT_ONCE):
            client.log_batch(run_id, params=params[start : start + _PARAMS_AT_ONCE])
        return cls(client, run_id, {})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """As `Tracker.log`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(name, value, now, step) for name, value in values.items()]
        if len(self._waiting) >= _METRICS_AT_ONCE or time.monotonic() - self._written >= _SECONDS:
            self._write()

    def go_back(self, step: int) -> None:
        """As `Tracker.go_back`. MLflow deletes no number: those taken again stand beside the abandoned ones, with a later time, and a tag tells."""
        self._write()
        self._client.set_tag(self._run_id, _BACK, str(step))
        self.held = {name: min(last, step) for name, last in self.held.items()}

    def _write(self) -> None:
        """One request, or one transaction."""
        self._client.log_batch(self._run_id, metrics=self._waiting)
        self._waiting, self._written = [], time.monotonic()

    def close(self) -> None:
        """As `Tracker.close`."""
        self._write()
        self._client.set_terminated(self._run_id)


def _held(client: "MlflowClient", run_id: str, names: list[str]) -> dict[str, int]:
    return {name: max(metric.step for metric in client.get_metric_history(run_id, name)) for name in names}
