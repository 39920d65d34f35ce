"""The operations table: complete, and never mistaken about what a request means."""

from urllib.parse import parse_qsl

import botocore.session
import pytest
from botocore.model import OperationModel

from core.errors import InvalidArgument, MethodNotAllowed, OperationNotImplemented
from s3 import compat_page
from s3.operations import TABLE, match
from tests.support.repository import REPOSITORY

MODEL = botocore.session.get_session().get_service_model("s3")
# Names Amazon keeps for its oldest clients, answered by the rows of their successors.
SUPERSEDED = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    # Told from ListBuckets by its endpoint, not by its request.
    "ListDirectoryBuckets": "ListBuckets",
}
# Recognised by a path of its own, which here names a key.
ELSEWHERE = {"WriteGetObjectResponse"}


def request_of(model: OperationModel) -> tuple[str, str, dict[str, str], set[str]]:
    """Return method, level, query and headers of an operation as Amazon's model says."""
    path, _, query = model.http["requestUri"].partition("?")
    level = "object" if "{Key" in path else "bucket" if "{Bucket}" in path else "service"
    names = dict(parse_qsl(query, keep_blank_values=True))
    headers = set()
    for name in model.input_shape.required_members if model.input_shape else ():
        place = model.input_shape.members[name].serialization
        if place.get("location") == "querystring":
            names[place["name"]] = "1"
        elif place.get("location") == "header":
            headers.add(place["name"].lower())
    return model.http["method"], level, names, headers


@pytest.mark.parametrize("name", sorted(set(MODEL.operation_names) - ELSEWHERE))
def test_every_operation_of_amazons_model_is_matched_by_its_own_row(name: str) -> None:
    method, level, query, headers = request_of(MODEL.operation_model(name))

    assert match(method, level, query, headers).name == SUPERSEDED.get(name, name)


def test_no_two_rows_mean_the_same_request() -> None:
    keys = [(row.method, row.level, frozenset(row.query), row.header) for row in TABLE]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.name} {row.level} {row.query}")
def test_each_row_is_found_by_its_own_request(row) -> None:
    headers = {row.header} if row.header else set()

    assert match(row.method, row.level, dict.fromkeys(row.query, "1"), headers) is row


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "POST"])
@pytest.mark.parametrize("level", ["service", "bucket", "object"])
def test_an_unknown_subresource_is_not_implemented(method: str, level: str) -> None:
    with pytest.raises(OperationNotImplemented):
        match(method, level, {"newThing": ""}, {})


def test_an_unknown_parameter_never_falls_through_to_a_delete() -> None:
    with pytest.raises(OperationNotImplemented):
        match("DELETE", "object", {"newThing": "value"}, {})


def test_parameters_that_begin_with_x_choose_nothing() -> None:
    query = {"x-id": "GetObject", "X-Amz-Signature": "0", "x-mine": "1"}

    assert match("GET", "object", query, {}).name == "GetObject"


def test_a_known_subresource_by_another_method_names_the_allowed_ones() -> None:
    with pytest.raises(MethodNotAllowed) as refusal:
        match("POST", "bucket", {"policy": ""}, {})

    assert dict(refusal.value.headers)["Allow"] == "DELETE, GET, PUT"


def test_a_plain_request_by_an_unknown_method_is_not_allowed() -> None:
    with pytest.raises(MethodNotAllowed):
        match("PATCH", "object", {}, {})


def test_a_version_is_no_target_of_a_put() -> None:
    with pytest.raises(InvalidArgument):
        match("PUT", "object", {"versionId": "a"}, {})


def test_two_subresources_conflict() -> None:
    with pytest.raises(InvalidArgument):
        match("GET", "object", {"acl": "", "tagging": ""}, {})


def test_a_version_has_an_action_of_its_own() -> None:
    assert match("GET", "object", {"versionId": "a"}, {}).action == "s3:GetObjectVersion"


def test_a_copy_is_told_from_a_put_by_its_header() -> None:
    assert match("PUT", "object", {}, {"x-amz-copy-source": "/b/k"}).name == "CopyObject"


def test_a_part_copy_is_told_from_a_part_by_its_header() -> None:
    query = {"partNumber": "1", "uploadId": "u"}

    assert match("PUT", "object", query, {"x-amz-copy-source": "/b/k"}).name == "UploadPartCopy"


def test_response_overrides_do_not_change_the_operation() -> None:
    query = {"response-content-type": "text/plain", "partNumber": "1"}

    assert match("GET", "object", query, {}).name == "GetObject"


def test_the_compatibility_page_is_current() -> None:
    page = REPOSITORY / "docs" / "s3-compatibility.md"

    assert page.read_text() == compat_page.page()
