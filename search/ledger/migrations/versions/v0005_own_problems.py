"""Whether a trial was alone when a problem met it, and whether the problem was its own."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_WORKERS = ("its worker %", "Ray ended its worker %")
"""How the versions before wrote of a worker that was lost, which was held against its trials then."""


def upgrade() -> None:
    """Add the columns. A third attempt was made alone, and a lost worker is nobody's doing."""
    with op.batch_alter_table("ulpt_problems") as table:
        table.add_column(sa.Column("alone", sa.Boolean, nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("own", sa.Boolean, nullable=False, server_default=sa.true()))
    problems = sa.table("ulpt_problems", sa.column("attempt"), sa.column("error"), sa.column("alone"), sa.column("own"))
    op.execute(problems.update().where(problems.c.attempt >= 3).values(alone=True))
    op.execute(problems.update().where(sa.or_(*(problems.c.error.like(words) for words in _WORKERS))).values(own=False))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("ulpt_problems", "own")
    op.drop_column("ulpt_problems", "alone")
