"""The configuration: defaults, refusals, overriding, and its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import config_page
from core.config import NEVER, Config, config, override, settings
from core.errors import ConfigurationError
from tests.support.repository import REPOSITORY


def test_an_empty_environment_gives_the_defaults() -> None:
    found = Config.from_env({})

    assert (found.s3.port, found.s3.region, found.coding.default_policy) == (
        9000,
        "us-east-1",
        "ec-6-3",
    )


def test_a_variable_sets_its_field() -> None:
    found = Config.from_env({"OBJSTORE_S3_PORT": "9100", "OBJSTORE_CODING_INLINE_FROM": "1MiB"})

    assert (found.s3.port, found.coding.inline_from) == (9100, 1 << 20)


def test_files_lie_under_the_home() -> None:
    found = Config.from_env({"OBJSTORE_HOME": "/srv/store"})

    assert found.crypto.master_key_file == Path("/srv/store/keys/master.key")


def test_never_is_larger_than_any_object() -> None:
    found = Config.from_env({"OBJSTORE_CODING_INLINE_FROM": "never"})

    assert found.coding.inline_from == NEVER > 5 << 40


def test_the_urls_have_their_usual_names() -> None:
    found = Config.from_env({"DATABASE_URL": "postgresql://x", "REDIS_URL": "redis://y"})

    assert (found.database.url, found.redis.url) == ("postgresql://x", "redis://y")


def test_all_problems_are_named_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.from_env(
            {
                "OBJSTORE_UNHEARD_OF": "1",
                "OBJSTORE_S3_PORT": "many",
                "OBJSTORE_CODING_CELL_SIZE": "3 apples",
                "OBJSTORE_LOGS_LEVEL": "loud",
            }
        )

    message = str(caught.value)
    assert all(
        name in message
        for name in (
            "OBJSTORE_UNHEARD_OF",
            "OBJSTORE_S3_PORT",
            "OBJSTORE_CODING_CELL_SIZE",
            "OBJSTORE_LOGS_LEVEL",
        )
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OBJSTORE_S3_PORT", "65536"),
        ("OBJSTORE_S3_INFLIGHT", "0"),
        ("OBJSTORE_NODES_RESERVE_FRACTION", "1.5"),
        ("OBJSTORE_PACKING_LAG_S", "-1"),
        ("OBJSTORE_PACKING_LAG_S", "nan"),
        ("OBJSTORE_CONSOLE_DEBUG", "perhaps"),
        ("OBJSTORE_CRYPTO_MASTER_KEY_FILE", ""),
    ],
)
def test_a_value_out_of_bounds_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError):
        Config.from_env({name: value})


def test_an_override_lasts_as_long_as_its_block() -> None:
    before = config().s3.port

    with override(s3={"port": 1}) as inside:
        assert config() is inside
        assert config().s3.port == 1

    assert config().s3.port == before


def test_every_setting_has_a_name_of_its_own() -> None:
    names = [one.env for one in settings()]

    assert len(names) == len(set(names))


def test_the_page_says_what_the_code_does() -> None:
    page = REPOSITORY / "docs" / "configuration.md"

    assert page.read_text() == config_page.page(), (
        "run python -m core.config_page > docs/configuration.md"
    )
