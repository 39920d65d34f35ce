"""How keys and prefixes are spelled in answers: as they are, or percent-encoded when asked."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from core.errors import InvalidArgument
from s3.xml import escape

_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")


class Encoder:
    """Spells names the way the request asked; called once for each name, before escaping."""

    __slots__ = ("kind",)

    def __init__(self, kind: str | None) -> None:
        if kind not in (None, "url"):
            raise InvalidArgument(
                "Invalid Encoding Method specified in Request",
                argument_name="encoding-type",
                argument_value=kind,
            )
        self.kind = kind

    def __call__(self, name: str) -> str:
        """Return `name` as the answer shows it, not yet escaped for XML."""
        if self.kind is None or _PLAIN.fullmatch(name):
            return name
        return quote(name, safe="/~")

    def printed(self, name: str) -> str:
        """Return `name` ready to stand between tags."""
        if _PLAIN.fullmatch(name):
            return name
        return escape(name) if self.kind is None else quote(name, safe="/~")

    def common_prefixes(self, prefixes: Iterable[str]) -> str:
        """Print CommonPrefixes elements."""
        return "".join(
            f"<CommonPrefixes><Prefix>{self.printed(prefix)}</Prefix></CommonPrefixes>"
            for prefix in prefixes
        )
