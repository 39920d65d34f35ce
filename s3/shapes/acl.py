"""Access control lists: canned names, the grants they stand for, and the XML of both.

Promise: a list that cannot be kept as one of the canned names is refused, never half kept.
"""

from dataclasses import dataclass

from core.errors import InvalidArgument, MalformedACLError, MalformedXML, OperationNotImplemented
from s3 import xml
from s3.shapes.buckets import Party
from s3.xml import Node, element

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
PERMISSIONS = frozenset(("READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"))
MAX_GRANTS = 100

# What each canned name grants to groups, beside the owner's FULL_CONTROL.
GROUP_GRANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "private": (),
    "public-read": ((ALL_USERS, "READ"),),
    "public-read-write": ((ALL_USERS, "READ"), (ALL_USERS, "WRITE")),
    "authenticated-read": ((AUTHENTICATED_USERS, "READ"),),
    "aws-exec-read": (),
    "bucket-owner-read": (),
    "bucket-owner-full-control": (),
    "log-delivery-write": ((LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")),
}
BUCKET_CANNED = frozenset(GROUP_GRANTS)
OBJECT_CANNED = frozenset(GROUP_GRANTS) - {"log-delivery-write"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One grant of a list: a canonical id or a group, and what it may do."""

    grantee: str
    permission: str


def checked_canned(name: str, offered: frozenset[str]) -> str:
    """Return `name` if it is a canned list of this kind of resource."""
    if name not in offered:
        raise InvalidArgument(argument_name="x-amz-acl", argument_value=name)
    return name


def acl_result(owner: Party, canned: str) -> bytes:
    """Print AccessControlPolicy for a canned list."""
    grants = [_printed_owner(owner)]
    grants += [_printed_group(uri, permission) for uri, permission in GROUP_GRANTS[canned]]
    return xml.document(
        "AccessControlPolicy",
        f"{owner.shown()}<AccessControlList>{''.join(grants)}</AccessControlList>",
    )


def _printed_owner(owner: Party) -> str:
    return (
        '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:type="CanonicalUser">{element("ID", owner.canonical_id)}'
        f"{element('DisplayName', owner.display_name)}</Grantee>"
        "<Permission>FULL_CONTROL</Permission></Grant>"
    )


def _printed_group(uri: str, permission: str) -> str:
    return (
        '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:type="Group"><URI>{uri}</URI></Grantee>'
        f"<Permission>{permission}</Permission></Grant>"
    )


def parse_acl(body: bytes, owner: Party) -> str:
    """Read an AccessControlPolicy and return the canned name that says the same."""
    try:
        grants = _parsed_grants(xml.parse(body, "AccessControlPolicy"))
    except MalformedXML as error:
        raise MalformedACLError() from error
    full = Grant(grantee=owner.canonical_id, permission="FULL_CONTROL")
    groups = frozenset(grant for grant in grants if grant != full)
    for name in ("private", "public-read", "public-read-write", "authenticated-read",
                 "log-delivery-write"):  # fmt: skip
        if full in grants and groups == {
            Grant(grantee=uri, permission=permission) for uri, permission in GROUP_GRANTS[name]
        }:
            return name
    raise OperationNotImplemented("Grants other than those of a canned ACL are not implemented.")


def _parsed_grants(node: Node) -> frozenset[Grant]:
    node.only("Owner", "AccessControlList")
    listed = node.child("AccessControlList")
    if listed is None or node.child("Owner") is None:
        raise MalformedXML()
    listed.only("Grant")
    if len(listed.children) > MAX_GRANTS:
        raise MalformedXML()
    return frozenset(map(_parsed_grant, listed.children))


def _parsed_grant(node: Node) -> Grant:
    node.only("Grantee", "Permission")
    grantee = node.child("Grantee")
    permission = node.required("Permission").strip()
    if grantee is None or permission not in PERMISSIONS:
        raise MalformedXML()
    kind = next((v for k, v in grantee.attributes.items() if k.rpartition(":")[2] == "type"), None)
    if kind == "CanonicalUser":
        return Grant(grantee=grantee.required("ID").strip(), permission=permission)
    if kind == "Group":
        uri = grantee.required("URI").strip()
        if uri not in (ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY):
            raise InvalidArgument("Invalid group uri", argument_name="uri", argument_value=uri)
        return Grant(grantee=uri, permission=permission)
    if kind == "AmazonCustomerByEmail":
        raise OperationNotImplemented("Grants by e-mail address are not implemented.")
    raise MalformedXML()
