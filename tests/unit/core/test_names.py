"""Names of buckets and keys, and ids."""

from __future__ import annotations

import os

import pytest

from core import names
from core.errors import InvalidBucketName, InvalidURI, KeyTooLongError


@pytest.mark.parametrize(
    "name",
    ["abc", "a" * 63, "a.b", "my-bucket", "1bucket", "bucket1", "a.b-c", "192.168.5", "buckets"],
)
def test_a_good_bucket_name_is_accepted(name: str) -> None:
    assert names.check_bucket_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 64, "Abc", "a_b", "-abc", "abc-", ".abc", "abc.", "a..b", "a.-b", "a-.b",
     "192.168.5.4", "bücket", "a b", "xn--abc", "abc-s3alias", "health", "ready", "a\nbc"],
)  # fmt: skip
def test_a_bad_bucket_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidBucketName):
        names.check_bucket_name(name)


@pytest.mark.parametrize("key", ["a", "/", "../x", "ä" * 512, "a" * 1024, "\n\t ", "%+?"])
def test_every_key_up_to_1024_bytes_is_accepted(key: str) -> None:
    assert names.check_key(key) == key


@pytest.mark.parametrize("key", ["a" * 1025, "ä" * 513])
def test_a_longer_key_is_refused_by_its_bytes(key: str) -> None:
    with pytest.raises(KeyTooLongError):
        names.check_key(key)


@pytest.mark.parametrize("key", ["", "a\0b"])
def test_what_no_database_can_hold_is_no_key(key: str) -> None:
    with pytest.raises(InvalidURI):
        names.check_key(key)


def test_ids_of_one_process_ascend() -> None:
    made = [names.new_id() for _ in range(5000)]

    assert made == sorted(set(made))


def test_an_id_is_a_uuid_of_version_seven() -> None:
    made = names.new_id()

    assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_hex_is_lower_case_of_the_given_length() -> None:
    assert names.is_hex("00ff", 4)
    assert not names.is_hex("00FF", 4)
    assert not names.is_hex("00ff0", 4)


def test_a_forked_process_draws_random_bits_of_its_own() -> None:
    names.new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, names.new_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    theirs, mine = os.read(reading, 16), names.new_id().bytes
    os.close(reading)
    os.close(writing)

    assert theirs[8:] != mine[8:]
