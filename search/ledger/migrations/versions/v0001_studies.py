"""Studies, the claims on them, trials, results and problems."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first tables."""
    _studies()
    _trials()
    _results()
    _problems()


def downgrade() -> None:
    """Drop them."""
    for table in ("problems", "results", "trials", "claims", "studies"):
        op.drop_table(f"ulpt_{table}")


def _study() -> "sa.Column[int]":
    return sa.Column("study", sa.Integer, sa.ForeignKey("ulpt_studies.id"), nullable=False)


def _of_trial() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["study", "trial"], ["ulpt_trials.study", "ulpt_trials.number"])


def _studies() -> None:
    op.create_table(
        "ulpt_studies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("space", sa.JSON, nullable=False),
        sa.Column("budget", sa.BigInteger, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("task_digest", sa.String, nullable=False),
        sa.Column("created", sa.String, nullable=False),
    )
    op.create_table(
        "ulpt_claims",
        sa.Column("study", sa.Integer, sa.ForeignKey("ulpt_studies.id"), primary_key=True),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("machine", sa.String, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("started", sa.String, nullable=False),
        sa.Column("since", sa.String, nullable=False),
        sa.Column("heartbeat", sa.Double, nullable=False),
    )


def _trials() -> None:
    op.create_table(
        "ulpt_trials",
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


def _results() -> None:
    op.create_table(
        "ulpt_results",
        sa.Column("id", sa.Integer, primary_key=True),
        _study(),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("split", sa.String, nullable=False),
        sa.Column("score", sa.Double),
        sa.Column("variance", sa.Double),
        sa.Column("loss", sa.Double),
        sa.Column("seconds", sa.Double),
        sa.Column("adapter", sa.String, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        _of_trial(),
        sa.UniqueConstraint("study", "trial", "step", "split"),
    )


def _problems() -> None:
    op.create_table(
        "ulpt_problems",
        sa.Column("id", sa.Integer, primary_key=True),
        _study(),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("error", sa.String, nullable=False),
        sa.Column("fatal", sa.Boolean, nullable=False),
        _of_trial(),
        sa.UniqueConstraint("study", "trial", "attempt"),
    )
