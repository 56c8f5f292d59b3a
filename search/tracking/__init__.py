"""The mirror of the ledger in MLflow, and MLflow's own UI on it. The only folder that imports mlflow."""
