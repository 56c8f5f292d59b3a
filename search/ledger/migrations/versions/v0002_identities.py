"""What a study rests on, and what computed a result; both unknown of those that were written before."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns, empty."""
    op.add_column("ulpt_studies", sa.Column("identity", sa.JSON(none_as_null=True)))
    op.add_column("ulpt_results", sa.Column("numerics", sa.String))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("ulpt_results", "numerics")
    op.drop_column("ulpt_studies", "identity")
