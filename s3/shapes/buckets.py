"""Documents about buckets themselves: the service listing, creation, location, versioning."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from core.errors import (
    IllegalVersioningConfigurationException,
    InvalidArgument,
    MalformedXML,
    OperationNotImplemented,
)
from s3 import xml
from s3.xml import element, timestamp


@dataclass(frozen=True, kw_only=True, slots=True)
class Party:
    """An owner or initiator as S3 shows it."""

    canonical_id: str
    display_name: str

    def shown(self, name: str = "Owner") -> str:
        """Print it as the element `name`."""
        return (
            f"<{name}>{element('ID', self.canonical_id)}"
            f"{element('DisplayName', self.display_name)}</{name}>"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketRow:
    """One bucket of the service listing."""

    name: str
    created: datetime
    region: str


def buckets_result(
    owner: Party, buckets: Iterable[BucketRow], *, prefix: str | None, token: str | None
) -> bytes:
    """Print ListAllMyBucketsResult."""
    rows = "".join(
        f"<Bucket>{element('Name', bucket.name)}"
        f"{element('CreationDate', timestamp(bucket.created))}"
        f"{element('BucketRegion', bucket.region)}</Bucket>"
        for bucket in buckets
    )
    return xml.document(
        "ListAllMyBucketsResult",
        (
            owner.shown(),
            f"<Buckets>{rows}</Buckets>",
            element("Prefix", prefix),
            element("ContinuationToken", token),
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateBucketConfiguration:
    """What a CreateBucket body may ask for."""

    location: str | None


def parse_create(body: bytes) -> CreateBucketConfiguration:
    """Read a CreateBucket body; an empty one asks for nothing."""
    if not body:
        return CreateBucketConfiguration(location=None)
    node = xml.parse(body, "CreateBucketConfiguration")
    node.only("LocationConstraint", "Location", "Bucket", "Tags")
    if any(node.child(name) for name in ("Location", "Bucket", "Tags")):
        raise OperationNotImplemented("Directory buckets and tags at creation are not implemented.")
    return CreateBucketConfiguration(location=node.value("LocationConstraint"))


def location_result(region: str) -> bytes:
    """Print LocationConstraint, empty for the region that has no constraint."""
    shown = "" if region == "us-east-1" else xml.escape(region)
    return xml.document("LocationConstraint", shown)


def versioning_result(status: str) -> bytes:
    """Print VersioningConfiguration; a bucket that never had versioning shows no status."""
    return xml.document("VersioningConfiguration", element("Status", status or None))


def parse_versioning(body: bytes) -> str:
    """Read the asked status: Enabled or Suspended."""
    node = xml.parse(body, "VersioningConfiguration")
    node.only("Status", "MfaDelete", "MFADelete")
    if (node.value("MfaDelete") or node.value("MFADelete") or "Disabled") != "Disabled":
        raise MalformedXML("MFA delete is not offered.")
    status = node.value("Status")
    if status is None:
        raise IllegalVersioningConfigurationException()
    if status not in ("Enabled", "Suspended"):
        raise MalformedXML()
    return status


ENFORCED = "BucketOwnerEnforced"
_OWNERSHIPS = frozenset((ENFORCED, "BucketOwnerPreferred", "ObjectWriter"))


def checked_ownership(name: str) -> str:
    """Return `name` if it is one of the three ways objects can be owned."""
    if name not in _OWNERSHIPS:
        raise InvalidArgument(argument_name="x-amz-object-ownership", argument_value=name)
    return name


def ownership_result(name: str) -> bytes:
    """Print OwnershipControls."""
    return xml.document("OwnershipControls", f"<Rule>{element('ObjectOwnership', name)}</Rule>")


def parse_ownership(body: bytes) -> str:
    """Read OwnershipControls, which hold exactly one rule."""
    node = xml.parse(body, "OwnershipControls")
    node.only("Rule")
    rule = node.child("Rule")
    if rule is None:
        raise MalformedXML()
    name = rule.required("ObjectOwnership")
    if name not in _OWNERSHIPS:
        raise MalformedXML()
    return name
