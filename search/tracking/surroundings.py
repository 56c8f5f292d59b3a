"""What MLflow reads from the environment, set before it is imported and before anybody notes what the environment was like."""

import os

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Whoever calls us pauses and asks again; mlflow's own retries would block one call for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A connection kept open would go on writing into a database file that was deleted.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
}


def be_quiet() -> None:
    """Set what the user has not set: the mirror's thread imports MLflow while the cluster starts, which gives the environment back."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
