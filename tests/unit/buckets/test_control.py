"""Creating, configuring, listing and deleting buckets."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from buckets import control
from buckets.models import Bucket, BucketDocument
from core.config import override
from core.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    IllegalVersioningConfigurationException,
    InvalidBucketName,
    InvalidBucketState,
    NoSuchBucket,
    TooManyBuckets,
)
from core.names import new_id
from jobs.models import Change
from tenants import accounts

REGION = "us-east-1"

rolled_back = pytest.mark.django_db
committed = pytest.mark.usefixtures("database")


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> UUID:
    # After whichever database the test asked for.
    request.getfixturevalue("database" if "database" in request.fixturenames else "db")
    return accounts.create_tenant("acme").tenant.id


@rolled_back
def test_a_new_bucket_is_private_unversioned_and_coded(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION)

    assert (made.versioning, made.storage_policy, made.ack) == ("", "ec-6-3", "fast")
    assert made.tenant_id == tenant
    assert made.documents == {}
    assert made.revision > 0


@rolled_back
def test_creating_ones_own_bucket_again_changes_nothing(tenant: UUID):
    first = control.create(tenant, "photos", region=REGION)

    again = control.create(tenant, "photos", region=REGION)

    assert again == first


@rolled_back
def test_creating_ones_own_bucket_with_another_setting_is_refused(tenant: UUID):
    control.create(tenant, "photos", region=REGION)

    with pytest.raises(BucketAlreadyOwnedByYou):
        control.create(tenant, "photos", region=REGION, documents={"acl": "public-read"})
    with pytest.raises(BucketAlreadyOwnedByYou):
        control.create(tenant, "photos", region=REGION, storage_policy="rep-3")


@rolled_back
def test_anothers_bucket_name_is_taken(tenant: UUID):
    control.create(tenant, "photos", region=REGION)
    other = accounts.create_tenant("other").tenant.id

    with pytest.raises(BucketAlreadyExists):
        control.create(other, "photos", region=REGION)


@rolled_back
@pytest.mark.parametrize("name", ["ab", "Photos", "a..b", "192.168.1.1", "health", "-a-"])
def test_forbidden_names_are_refused(tenant: UUID, name: str):
    with pytest.raises(InvalidBucketName):
        control.create(tenant, name, region=REGION)


@rolled_back
def test_a_tenant_has_so_many_buckets_and_no_more(tenant: UUID):
    with override(limits={"buckets": 1}):
        control.create(tenant, "one", region=REGION)

        with pytest.raises(TooManyBuckets):
            control.create(tenant, "two", region=REGION)


@rolled_back
def test_a_full_tenant_may_still_create_its_own_bucket_again(tenant: UUID):
    with override(limits={"buckets": 1}):
        first = control.create(tenant, "one", region=REGION)

        assert control.create(tenant, "one", region=REGION) == first


@rolled_back
def test_object_lock_brings_versioning(tenant: UUID):
    assert control.create(tenant, "photos", region=REGION, object_lock=True).versioning == "Enabled"


@rolled_back
def test_versioning_of_a_locked_bucket_cannot_be_suspended(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION, object_lock=True)

    with pytest.raises(InvalidBucketState):
        control.set_versioning(made.id, "Suspended")


@rolled_back
def test_versioning_is_enabled_and_suspended_and_raises_the_revision(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION)

    control.set_versioning(made.id, "Enabled")
    enabled = control.get("photos")
    control.set_versioning(made.id, "Suspended")
    suspended = control.get("photos")

    assert (enabled.versioning, suspended.versioning) == ("Enabled", "Suspended")
    assert made.revision < enabled.revision < suspended.revision


@rolled_back
def test_there_is_no_way_back_to_unversioned(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION)

    with pytest.raises(IllegalVersioningConfigurationException):
        control.set_versioning(made.id, "")


@rolled_back
def test_a_document_is_kept_replaced_and_deleted(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION)

    control.put_document(made.id, "tagging", "[1]")
    control.put_document(made.id, "tagging", "[2]")
    assert control.get("photos").documents == {"tagging": "[2]"}
    control.delete_document(made.id, "tagging")
    assert control.get("photos").documents == {}
    control.delete_document(made.id, "tagging")


@rolled_back
def test_a_documents_change_raises_its_buckets_revision_whoever_makes_it(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION, documents={"acl": "private"})

    BucketDocument.objects.filter(bucket_id=made.id).update(body="public-read")
    updated = control.get("photos").revision
    BucketDocument.objects.filter(bucket_id=made.id).delete()

    assert made.revision < updated < control.get("photos").revision


@rolled_back
def test_a_bucket_of_the_same_name_made_anew_never_repeats_a_revision(tenant: UUID):
    first = control.create(tenant, "photos", region=REGION)
    control.delete(first.id)

    again = control.create(tenant, "photos", region=REGION)

    assert again.id != first.id
    assert again.revision > first.revision


@rolled_back
def test_a_deleted_bucket_is_gone_with_its_documents(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION, documents={"acl": "private"})

    control.delete(made.id)

    with pytest.raises(NoSuchBucket):
        control.get("photos")
    with pytest.raises(NoSuchBucket):
        control.delete(made.id)


@rolled_back
def test_changing_a_bucket_that_is_gone_is_refused():
    with pytest.raises(NoSuchBucket):
        control.set_versioning(new_id(), "Enabled")
    with pytest.raises(NoSuchBucket):
        control.put_document(new_id(), "acl", "private")


@rolled_back
def test_bucket_changes_enter_the_journal(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION)
    control.delete(made.id)

    bodies = [
        change.body
        for change in Change.objects.filter(kind="configuration").order_by("id")
        if change.body["table"] == "bucket"
    ]

    assert [(body["operation"], body["row"]["name"]) for body in bodies] == [
        ("insert", "photos"),
        ("delete", "photos"),
    ]


@rolled_back
def test_buckets_are_listed_by_name_in_pages(tenant: UUID):
    for name in ("b-2", "a-1", "b.1", "b-1"):
        control.create(tenant, name, region=REGION)

    def names(prefix: str, after: str, limit: int) -> list[str]:
        return [entry.name for entry in control.list_for(tenant, prefix, after, limit)]

    assert names("", "", 10) == ["a-1", "b-1", "b-2", "b.1"]
    assert names("b", "", 10) == ["b-1", "b-2", "b.1"]
    assert names("", "b-1", 1) == ["b-2"]


@rolled_back
def test_a_tenant_sees_its_own_buckets_only(tenant: UUID):
    control.create(tenant, "photos", region=REGION)
    other = accounts.create_tenant("other").tenant.id

    assert control.list_for(other, "", "", 10) == []


@rolled_back
@pytest.mark.parametrize("name", ["AB", "a_b", "ab-", "x" * 64])
def test_the_database_refuses_bad_names_too(tenant: UUID, name: str):
    with pytest.raises(IntegrityError), transaction.atomic():
        Bucket.objects.create(tenant_id=tenant, name=name, region=REGION)


@rolled_back
def test_lock_ids_are_the_same_for_the_same_key_and_differ_otherwise():
    one, two = new_id(), new_id()

    def lock_key(bucket: UUID, key: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT lock_key(%s, %s)", [bucket, key])
            return cursor.fetchone()[0]

    assert lock_key(one, "a") == lock_key(one, "a")
    assert len({lock_key(one, "a"), lock_key(one, "b"), lock_key(two, "a")}) == 3


@committed
def test_a_change_waits_for_commits_that_hold_the_bucket_shared(tenant: UUID):
    made = control.create(tenant, "photos", region=REGION)
    finished = threading.Event()

    def change() -> None:
        try:
            control.set_versioning(made.id, "Enabled")
            finished.set()
        finally:
            connection.close()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock_shared(l.high, l.low) FROM lock_bucket(%s) l",
                [made.id],
            )
        changer = threading.Thread(target=change)
        changer.start()
        wait_for_lock_waiter()
        assert not finished.is_set()
        assert control.get("photos").versioning == ""
    changer.join()

    assert control.get("photos").versioning == "Enabled"


@committed
def test_of_many_creators_at_once_all_get_the_one_bucket(tenant: UUID):
    together = threading.Barrier(4)
    made: list[UUID] = []

    def create() -> None:
        try:
            connection.ensure_connection()
            together.wait(60)
            made.append(control.create(tenant, "photos", region=REGION).id)
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 4
    assert len(set(made)) == 1


def wait_for_lock_waiter() -> None:
    """Until some session waits for an advisory lock; the test's own time limit ends a hang."""
    pause = threading.Event()
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            if cursor.fetchone()[0]:
                return
        pause.wait(0.02)
