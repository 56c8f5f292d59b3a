"""One file per method: file name = registry key = YAML key = MLflow tag = test case."""
