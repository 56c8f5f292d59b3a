"""What stands beside a study's curve."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "ulpt_references",
        sa.Column("study", sa.Integer, sa.ForeignKey("ulpt_studies.id"), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("about", sa.String, nullable=False),
        sa.Column("parameters", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Double),
        sa.Column("variance", sa.Double),
        sa.Column("test_score", sa.Double),
        sa.Column("test_variance", sa.Double),
        sa.Column("seconds", sa.Double),
        sa.Column("numerics", sa.String, nullable=False),
        sa.Column("others", sa.JSON(none_as_null=True)),
        sa.PrimaryKeyConstraint("study", "kind"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("ulpt_references")
