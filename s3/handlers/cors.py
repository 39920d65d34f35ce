"""Preflight requests of browsers. No bucket has a CORS configuration, so none is ever allowed."""

from core.errors import AccessForbidden, BadRequest
from objects.store import Store
from s3.wire import Call, Reply


async def preflight(call: Call, store: Store) -> Reply:
    """OPTIONS: refuse it, saying first what is missing from the question itself."""
    if not call.headers.get("origin"):
        raise BadRequest("Insufficient information. Origin request header needed.")
    asked = call.headers.get("access-control-request-method")
    if not asked:
        raise BadRequest("Invalid Access-Control-Request-Method: null")
    raise AccessForbidden(
        "CORSResponse: CORS is not enabled for this bucket.",
        method=asked,
        resource_type="BUCKET" if call.key is None else "OBJECT",
    )
