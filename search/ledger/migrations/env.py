"""What Alembic runs to apply the steps: on the connection, inside the transaction, that `database.py` hands over."""

from alembic import context

_given = context.config.attributes
context.configure(connection=_given["connection"], target_metadata=_given["metadata"], version_table=_given["version_table"])
context.run_migrations()
