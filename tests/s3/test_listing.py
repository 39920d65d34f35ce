"""ListObjects, ListObjectsV2 and ListObjectVersions."""

from __future__ import annotations

import concurrent.futures

import pytest

from tests.s3.refusals import refused

VERSIONS = ["list_objects", "list_objects_v2"]


def put(s3, bucket: str, *keys: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))


def keys_of(page: dict) -> list[str]:
    return [one["Key"] for one in page.get("Contents", [])]


def prefixes_of(page: dict) -> list[str]:
    return [one["Prefix"] for one in page.get("CommonPrefixes", [])]


@pytest.fixture
def listing(s3, request: pytest.FixtureRequest):
    return getattr(s3, request.param)


@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_keys_come_in_byte_order(s3, bucket, listing) -> None:
    put(s3, bucket, "b", "a", "B", "a/b", "a+b", "a0", "é", "z", "_")

    assert keys_of(listing(Bucket=bucket)) == ["B", "_", "a", "a+b", "a/b", "a0", "b", "z", "é"]


@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_an_empty_bucket_lists_nothing(bucket, listing) -> None:
    page = listing(Bucket=bucket)

    assert (keys_of(page), page["IsTruncated"], page["MaxKeys"]) == ([], False, 1000)


@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_a_delimiter_rolls_keys_up(s3, bucket, listing) -> None:
    put(s3, bucket, "asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla")

    page = listing(Bucket=bucket, Delimiter="/")

    assert keys_of(page) == ["asdf"]
    assert prefixes_of(page) == ["boo/", "cquux/"]
    assert page["Delimiter"] == "/"


@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_a_prefix_and_a_delimiter_show_one_level(s3, bucket, listing) -> None:
    put(s3, bucket, "asdf", "boo/bar", "boo/baz/xyzzy", "boo/", "cquux/thud")

    page = listing(Bucket=bucket, Prefix="boo/", Delimiter="/")

    assert keys_of(page) == ["boo/", "boo/bar"]
    assert prefixes_of(page) == ["boo/baz/"]


@pytest.mark.parametrize("delimiter", ["a", ".", " ", "%", "_", "--"])
@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_any_text_delimits(s3, bucket, listing, delimiter: str) -> None:
    put(s3, bucket, f"x{delimiter}1", f"x{delimiter}2", "foo")

    page = listing(Bucket=bucket, Delimiter=delimiter)

    assert (keys_of(page), prefixes_of(page)) == (["foo"], [f"x{delimiter}"])


@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_a_delimiter_that_occurs_nowhere_is_echoed(s3, bucket, listing) -> None:
    put(s3, bucket, "a", "b")

    page = listing(Bucket=bucket, Delimiter="/")

    assert (keys_of(page), page["Delimiter"]) == (["a", "b"], "/")


@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_an_empty_delimiter_is_none(s3, bucket, listing) -> None:
    put(s3, bucket, "a/b")

    page = listing(Bucket=bucket, Delimiter="")

    assert keys_of(page) == ["a/b"]
    assert "Delimiter" not in page


@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_a_page_size_of_none_lists_nothing(s3, bucket, listing) -> None:
    put(s3, bucket, "a")

    page = listing(Bucket=bucket, MaxKeys=0)

    assert (keys_of(page), page["IsTruncated"]) == ([], False)


@pytest.mark.parametrize("listing", VERSIONS, indirect=True)
def test_exactly_a_page_is_not_truncated(s3, bucket, listing) -> None:
    put(s3, bucket, "a", "b")

    assert listing(Bucket=bucket, MaxKeys=2)["IsTruncated"] is False


@pytest.mark.parametrize("value", ["blah", "-1", "1.5", "99999999999999999999"])
def test_a_page_size_that_is_no_number_is_refused(raw, bucket, value: str) -> None:
    answer = raw("GET", f"/{bucket}?max-keys={value}")

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_larger_page_is_cut_to_a_thousand(raw, bucket) -> None:
    assert raw("GET", f"/{bucket}?max-keys=5000").status == 200


def test_version_1_goes_on_after_the_marker(s3, bucket) -> None:
    put(s3, bucket, "a", "b", "c")

    first = s3.list_objects(Bucket=bucket, MaxKeys=2)
    rest = s3.list_objects(Bucket=bucket, Marker="b")

    assert (keys_of(first), first["IsTruncated"]) == (["a", "b"], True)
    assert "NextMarker" not in first
    assert (keys_of(rest), rest["Marker"], rest["IsTruncated"]) == (["c"], "b", False)


def test_version_1_names_the_next_marker_with_a_delimiter(s3, bucket) -> None:
    put(s3, bucket, "a/1", "a/2", "b", "c/1")

    pages = []
    marker = ""
    while True:
        page = s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=1, Marker=marker)
        pages.append((keys_of(page), prefixes_of(page)))
        if not page["IsTruncated"]:
            break
        marker = page["NextMarker"]

    assert pages == [([], ["a/"]), (["b"], []), ([], ["c/"])]


def test_version_1_echoes_an_empty_marker(raw, bucket) -> None:
    assert raw("GET", f"/{bucket}").xml.findtext("Marker") == ""


def test_a_line_break_as_marker_is_legal(s3, bucket) -> None:
    put(s3, bucket, "a")

    page = s3.list_objects(Bucket=bucket, Marker="\n")

    assert (keys_of(page), page["Marker"]) == (["a"], "\n")


def test_version_1_shows_owners(s3, account, bucket) -> None:
    put(s3, bucket, "a")

    owner = s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"]

    assert owner == {"ID": account.canonical_id, "DisplayName": account.display_name}


def test_version_2_goes_on_with_a_token(s3, bucket) -> None:
    put(s3, bucket, *(f"key-{number}" for number in range(5)))

    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=3)
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])

    assert (first["KeyCount"], rest["KeyCount"]) == (3, 2)
    assert keys_of(first) + keys_of(rest) == [f"key-{number}" for number in range(5)]
    assert rest["ContinuationToken"] == first["NextContinuationToken"]


def test_version_2_never_shows_a_prefix_twice(s3, bucket) -> None:
    put(s3, bucket, *(f"{letter}/{number}" for letter in "abc" for number in range(3)))

    pages = list(
        s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
        )
    )

    assert [prefix for page in pages for prefix in prefixes_of(page)] == ["a/", "b/", "c/"]


def test_version_2_counts_prefixes(s3, bucket) -> None:
    put(s3, bucket, "a/1", "b")

    assert s3.list_objects_v2(Bucket=bucket, Delimiter="/")["KeyCount"] == 2


def test_version_2_starts_after_a_key(s3, bucket) -> None:
    put(s3, bucket, "a", "b", "c")

    page = s3.list_objects_v2(Bucket=bucket, StartAfter="a")

    assert (keys_of(page), page["StartAfter"]) == (["b", "c"], "a")


def test_an_empty_token_is_none(raw, s3, bucket) -> None:
    put(s3, bucket, "a")

    page = raw("GET", f"/{bucket}?list-type=2&continuation-token=").xml

    assert page.findtext("ContinuationToken") == ""
    assert page.findtext("KeyCount") == "1"


@pytest.mark.parametrize("token", ["!!", "MA==", "Mf8="])
def test_a_damaged_token_is_refused(s3, bucket, token: str) -> None:
    with refused(400, "InvalidArgument"):
        s3.list_objects_v2(Bucket=bucket, ContinuationToken=token)


def test_version_2_shows_owners_when_asked(s3, account, bucket) -> None:
    put(s3, bucket, "a")

    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    shown = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]
    assert shown["Owner"]["ID"] == account.canonical_id


def test_names_are_percent_encoded_once_when_asked(raw, s3, bucket) -> None:
    put(s3, bucket, "a b/c+d%é\n")

    page = raw("GET", f"/{bucket}?list-type=2&encoding-type=url&prefix=a%20").xml

    assert page.findtext("Contents/Key") == "a%20b/c%2Bd%25%C3%A9%0A"
    assert page.findtext("Prefix") == "a%20"
    assert page.findtext("EncodingType") == "url"


def test_control_characters_leave_as_references(raw, s3, bucket) -> None:
    put(s3, bucket, "a\nb")

    assert b"<Key>a&#xA;b</Key>" in raw("GET", f"/{bucket}").body


def test_another_encoding_is_refused(raw, bucket) -> None:
    answer = raw("GET", f"/{bucket}?encoding-type=rot13")

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_another_list_type_is_refused(raw, bucket) -> None:
    assert raw("GET", f"/{bucket}?list-type=3").status == 400


def test_a_page_holds_at_most_a_thousand_entries_and_the_rest_follows(s3, versioned) -> None:
    keys = [f"{number:05}" for number in range(1005)]
    for some in (keys[:1000], keys[1000:]):
        objects = [{"Key": key} for key in some]
        s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})

    first = s3.list_object_versions(Bucket=versioned, MaxKeys=5000)
    rest = s3.list_object_versions(
        Bucket=versioned,
        KeyMarker=first["NextKeyMarker"],
        VersionIdMarker=first["NextVersionIdMarker"],
    )

    assert len(first["DeleteMarkers"]) == 1000
    assert [one["Key"] for page in (first, rest) for one in page["DeleteMarkers"]] == keys


def test_versions_are_listed_newest_first(s3, account, versioned) -> None:
    ids = [s3.put_object(Bucket=versioned, Key="a", Body=b"x")["VersionId"] for _ in range(3)]
    marker = s3.delete_object(Bucket=versioned, Key="a")["VersionId"]

    listed = s3.list_object_versions(Bucket=versioned)

    assert [one["VersionId"] for one in listed["Versions"]] == ids[::-1]
    assert [one["IsLatest"] for one in listed["Versions"]] == [False] * 3
    (shown,) = listed["DeleteMarkers"]
    assert (shown["VersionId"], shown["IsLatest"]) == (marker, True)
    assert shown["Owner"]["ID"] == account.canonical_id


def test_an_unversioned_object_is_listed_as_its_null_version(s3, bucket) -> None:
    put(s3, bucket, "a")

    (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]

    assert (version["VersionId"], version["IsLatest"], version["Size"]) == ("null", True, 1)


def test_versions_page_across_keys(s3, versioned) -> None:
    for key in "ab":
        for _ in range(3):
            s3.put_object(Bucket=versioned, Key=key, Body=b"x")
    whole = s3.list_object_versions(Bucket=versioned)["Versions"]

    pages = list(
        s3.get_paginator("list_object_versions").paginate(
            Bucket=versioned, PaginationConfig={"PageSize": 2}
        )
    )

    assert [len(page["Versions"]) for page in pages] == [2, 2, 2]
    assert [one for page in pages for one in page["Versions"]] == whole


def test_versions_are_rolled_up_too(s3, versioned) -> None:
    for key in ("a/1", "a/1", "b"):
        s3.put_object(Bucket=versioned, Key=key, Body=b"x")

    page = s3.list_object_versions(Bucket=versioned, Delimiter="/")

    assert prefixes_of(page) == ["a/"]
    assert [one["Key"] for one in page["Versions"]] == ["b"]


def test_a_version_marker_needs_a_key_marker(s3, bucket) -> None:
    with refused(400, "InvalidArgument"):
        s3.list_object_versions(Bucket=bucket, VersionIdMarker="null")


def test_deleted_keys_are_not_listed(s3, versioned) -> None:
    put(s3, versioned, "a", "b")
    s3.delete_object(Bucket=versioned, Key="a")

    assert keys_of(s3.list_objects_v2(Bucket=versioned)) == ["b"]
