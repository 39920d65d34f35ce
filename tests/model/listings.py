"""Rules about the bucket: its versioning and its listings."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model.both import Both, delimiters, page_sizes, prefixes


class Listings(Both):
    """Versioning and what is listed."""

    @rule(status=st.sampled_from(("Enabled", "Enabled", "Suspended")))
    def set_versioning(self, status: str) -> None:
        document = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"

        def expected() -> None:
            self.here.versioning = status

        done = self.change(
            lambda: self.there.ask("PUT", None, {"versioning": ""}, body=document.encode()),
            expected,
        )
        assert done is None or done[0].status == 200

    @rule(prefix=prefixes, delimiter=delimiters, size=page_sizes)
    def list_objects(self, prefix: str, delimiter: str, size: int) -> None:
        expected = [
            (name, None if version is None else f'"{version.etag}"')
            for name, version in self.here.listed(prefix, delimiter)
        ]
        assert self.there.listing(prefix, delimiter, size) == expected

    @rule(prefix=prefixes, delimiter=delimiters, size=page_sizes)
    def list_versions(self, prefix: str, delimiter: str, size: int) -> None:
        assert self.there.versions(prefix, delimiter, size) == self.versions_here(prefix, delimiter)
