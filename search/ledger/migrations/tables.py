"""The ledger's tables as this version knows them. A change here needs a step in `versions/`; a test compares the two."""

import math

import sqlalchemy as sa

VERSION_TABLE = "ulpt_version"
"""Ours alone, so that a PostgreSQL database may be shared with MLflow or Optuna."""


class Real(sa.types.TypeDecorator[float]):
    """A double whose NaN is kept as NULL, since SQLite has no NaN."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: sa.Dialect) -> float | None:
        """NaN -> NULL."""
        return None if value is None or math.isnan(value) else value

    def process_result_value(self, value: float | None, dialect: sa.Dialect) -> float:
        """NULL -> NaN."""
        return math.nan if value is None else value


def _study() -> "sa.Column[int]":
    return sa.Column("study", sa.Integer, sa.ForeignKey("ulpt_studies.id"), nullable=False)


metadata = sa.MetaData()

studies = sa.Table(
    "ulpt_studies",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("space", sa.JSON, nullable=False),
    sa.Column("budget", sa.BigInteger, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("task_digest", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("identity", sa.JSON(none_as_null=True)),
)

claims = sa.Table(
    "ulpt_claims",
    metadata,
    sa.Column("study", sa.Integer, sa.ForeignKey("ulpt_studies.id"), primary_key=True),
    sa.Column("token", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("machine", sa.String, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("started", sa.String, nullable=False),
    sa.Column("since", sa.String, nullable=False),
    sa.Column("heartbeat", sa.Double, nullable=False),
)

trials = sa.Table(
    "ulpt_trials",
    metadata,
    _study(),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("method", sa.String, nullable=False),
    sa.Column("hyperparameters", sa.JSON, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("parameters", sa.BigInteger, nullable=False),
    sa.Column("purpose", sa.String, nullable=False),
    sa.Column("finalist", sa.Integer),
    sa.PrimaryKeyConstraint("study", "number"),
)

results = sa.Table(
    "ulpt_results",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _study(),
    sa.Column("trial", sa.Integer, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("split", sa.String, nullable=False),
    sa.Column("score", Real),
    sa.Column("variance", Real),
    sa.Column("loss", Real),
    sa.Column("seconds", Real),
    sa.Column("adapter", sa.String, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("numerics", sa.String),
    sa.Column("others", sa.JSON(none_as_null=True)),
    sa.ForeignKeyConstraint(["study", "trial"], ["ulpt_trials.study", "ulpt_trials.number"]),
    sa.UniqueConstraint("study", "trial", "step", "split"),
    # A curve asks for one step alone. Step before split, so that no planner takes it for the way to a trial's own results.
    sa.Index("ulpt_results_by_step", "study", "step", "split"),
)

problems = sa.Table(
    "ulpt_problems",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _study(),
    sa.Column("trial", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("error", sa.String, nullable=False),
    sa.Column("fatal", sa.Boolean, nullable=False),
    sa.Column("alone", sa.Boolean, nullable=False),
    sa.Column("own", sa.Boolean, nullable=False),
    sa.ForeignKeyConstraint(["study", "trial"], ["ulpt_trials.study", "ulpt_trials.number"]),
    sa.UniqueConstraint("study", "trial", "attempt"),
)

references = sa.Table(
    "ulpt_references",
    metadata,
    _study(),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("about", sa.String, nullable=False),
    sa.Column("parameters", sa.BigInteger, nullable=False),
    sa.Column("score", Real),
    sa.Column("variance", Real),
    sa.Column("test_score", Real),
    sa.Column("test_variance", Real),
    sa.Column("seconds", Real),
    sa.Column("numerics", sa.String, nullable=False),
    sa.Column("others", sa.JSON(none_as_null=True)),
    sa.PrimaryKeyConstraint("study", "kind"),
)
