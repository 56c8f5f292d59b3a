"""The results of one step are found without looking at those of all others."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the index."""
    op.create_index("ulpt_results_by_step", "ulpt_results", ["study", "step", "split"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ulpt_results_by_step", "ulpt_results")
