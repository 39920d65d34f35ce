"""Numbers in query strings and headers."""

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
