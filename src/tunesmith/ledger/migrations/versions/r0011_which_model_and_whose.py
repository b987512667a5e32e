"""Which content an opinion is about, and whose request it was where a key names its users."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of opinions whose request is still known, fill in the content."""
    op.add_column("feedback", sa.Column("model_hash", sa.Text))
    op.add_column("feedback", sa.Column("asker", sa.Text))
    op.add_column("requests", sa.Column("asker", sa.Text))
    op.add_column("keys", sa.Column("user_secret", sa.Text))
    op.execute(
        "UPDATE feedback SET model_hash = (SELECT requests.model_hash FROM requests "
        "WHERE requests.id = feedback.completion_id AND requests.choice = feedback.choice)"
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_column("keys", "user_secret")
    op.drop_column("requests", "asker")
    op.drop_column("feedback", "asker")
    op.drop_column("feedback", "model_hash")
