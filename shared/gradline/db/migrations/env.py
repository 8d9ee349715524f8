"""What Alembic runs to carry out a command; the connection and its transaction come from `migrations/__init__.py`."""

from alembic import context

from gradline.db.migrations import VERSION_TABLE
from gradline.db.models import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
