"""A ledger of before opinions told which content they are about: brought up, what can still be known is filled in."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from tunesmith.ledger import schema
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.requests import RequestRecord

OURS = "0011"


def test_opinions_of_requests_that_are_still_known_are_told_their_content(where: "str | Path") -> None:
    with Ledger.open(where) as ledger:
        ledger.requests.record(
            [
                RequestRecord(id=id_, choice=choice, tenant="t", key_id="k", model="champion", model_hash=content)
                for id_, choice, content in (("a", 0, "one"), ("a", 1, "two"), ("b", 0, None))
            ]
        )
        ledger.feedback.give(
            [
                FeedbackRecord(tenant="t", key_id="k", completion_id=id_, choice=choice, kind="thumbs", value="up", model="champion")
                for id_, choice in (("a", 0), ("a", 1), ("b", 0), ("forgotten", 0))
            ]
        )
        before = ledger.feedback.list()
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        former = ScriptDirectory.from_config(config).get_revision(OURS).down_revision
        with ledger.writing() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, str(former))
    with Ledger.open(where) as ledger:
        assert [one.model_hash for one in ledger.feedback.list()] == ["one", "two", None, None]
        assert [one.id for one in ledger.feedback.list()] == [one.id for one in before] and ledger.requests.count() == 3
        assert not any(key.names_users for key in ledger.keys.list())
