"""Answers for what this store does not offer: the documented refusal, or "not configured".

Promise: nothing here changes anything, and nothing pretends: a configuration that would have no
effect is refused when it is sent, and reported as absent when it is asked for.
"""

from collections.abc import Callable

from core.errors import InvalidRequest, MethodNotAllowed, OperationNotImplemented, StoreError
from objects.store import Store
from s3 import xml
from s3.wire import Call, Reply, xml_reply


class StandIn:
    """A handler that only ever gives one answer; `says` is that answer for the documents."""

    __slots__ = ("answer", "says")

    def __init__(self, says: str, answer: Callable[[Call], Reply]) -> None:
        self.says = says
        self.answer = answer

    async def __call__(self, call: Call, store: Store) -> Reply:
        """Give the answer."""
        return self.answer(call)


def refusing(code: str) -> StandIn:
    """A handler that says the bucket has no such configuration."""
    error = StoreError.table[code]

    def answer(call: Call) -> Reply:
        raise error(bucket_name=call.bucket)

    return StandIn(f"{error.status} {code}", answer)


def answering(root: str, inside: str = "") -> StandIn:
    """A handler that gives the document of something never configured."""
    document = xml.document(root, inside)
    shown = f" with `{inside}`" if inside else ", empty"
    return StandIn(f"200 `{root}`{shown}", lambda call: xml_reply(document))


def _refuse(call: Call) -> Reply:
    raise OperationNotImplemented(method=call.method)


def _no_lock(call: Call) -> Reply:
    raise InvalidRequest("Bucket is missing Object Lock Configuration", bucket_name=call.bucket)


def _no_torrent(call: Call) -> Reply:
    raise MethodNotAllowed(method=call.method, resource_type="TORRENT")


not_implemented = StandIn("501 NotImplemented", _refuse)
no_content = StandIn("204, nothing was configured", lambda call: Reply(204, body=None))
without_object_lock = StandIn("400 InvalidRequest: no bucket has object lock", _no_lock)
torrent = StandIn("405 MethodNotAllowed", _no_torrent)
