"""Numbers in query strings and headers, and tokens that say where a listing goes on."""

import base64
import binascii
from collections.abc import Mapping

from core.errors import InvalidArgument

_MAX = 2**31 - 1
# More digits than any number of ours has; int() of a long text costs the square of its length.
_DIGITS = 19


def limit(query: Mapping[str, str], name: str, *, default: int, least: int = 0) -> int:
    """Return how many a listing may return, as asked; the caller caps it."""
    text = query.get(name)
    if text is None or text == "":
        return default
    return number(name, text, least=least, most=_MAX)


def number(name: str, text: str, *, least: int, most: int) -> int:
    """Read a whole number within bounds."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    if not (is_number and least <= int(text) <= most):
        raise InvalidArgument(
            f"Provided {name} not an integer or within integer range",
            argument_name=name,
            argument_value=text,
        )
    return int(text)


def write_token(after: str) -> str:
    """Hide where a listing goes on: clients must not read meaning into it."""
    return base64.urlsafe_b64encode(b"1" + after.encode()).decode()


def read_token(token: str) -> str:
    """Return where a listing goes on; a damaged token is refused."""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        # No name holds NUL, and the database takes it in no text.
        if raw[:1] != b"1" or b"\0" in raw:
            raise ValueError(token)
        return raw[1:].decode()
    except (ValueError, binascii.Error) as error:
        raise InvalidArgument(
            "The continuation token provided is incorrect",
            argument_name="continuation-token",
            argument_value=token,
        ) from error
