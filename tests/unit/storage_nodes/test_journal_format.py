"""The format of journal files: what is written is read, what is damaged is refused, and what an
earlier version wrote stays readable (tests/golden).
"""

from __future__ import annotations

import io
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadFormat, ShardCorrupt
from storage_nodes.journal_format import (
    FOOTER_SIZE,
    HEADER_SIZE,
    Decoder,
    Encoder,
    Entry,
    JournalHeader,
    Place,
    decode,
    parse_header,
)
from storage_nodes.shard_name import JournalName
from tests.support.repository import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden" / "journal-1"
HEADER = JournalHeader(
    kind="jrn", cluster=UUID(int=7), lineage=UUID(int=8), number=3, after=Place(10, 20)
)
ENTRIES = [Entry(11, 21, b'{"kind":"put"}'), Entry(11, 25, b""), Entry(15, 22, b"x" * 5000)]


def written(entries: list[Entry], header: JournalHeader = HEADER) -> bytes:
    encoder = Encoder(header)
    return b"".join([encoder.head(), *(encoder.entry(*entry) for entry in entries), encoder.foot()])


def read(content: bytes) -> list[Entry]:
    return list(decode(len(content), io.BytesIO(content).read))


def test_what_is_written_is_read() -> None:
    assert read(written(ENTRIES)) == ENTRIES


@pytest.mark.parametrize("kind", ["jrn", "snap"])
def test_the_header_says_what_the_file_is(kind: str) -> None:
    header = JournalHeader(
        kind="jrn" if kind == "jrn" else "snap",
        cluster=UUID(int=1),
        lineage=UUID(int=2),
        number=1 << 40,
        after=Place(1 << 60, 1 << 50),
    )

    assert parse_header(written([], header)) == header


def test_the_footer_says_how_far_the_file_reaches() -> None:
    content = written(ENTRIES)
    decoder = Decoder(len(content))
    assert len(list(decoder.feed(content))) == 3
    footer = decoder.finish()

    assert (footer.last, footer.count) == (Place(15, 22), 3)


def test_a_file_without_entries_reaches_no_further_than_what_it_follows() -> None:
    content = written([])
    decoder = Decoder(len(content))
    assert list(decoder.feed(content)) == []

    assert decoder.finish().last == HEADER.after


@given(
    st.lists(
        st.builds(
            Entry,
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**64 - 1),
            st.binary(max_size=60),
        ),
        max_size=6,
    ),
    st.integers(1, 200),
)
def test_pieces_of_any_length_give_the_same_entries(entries: list[Entry], piece: int) -> None:
    content = written(entries)
    decoder = Decoder(len(content))
    found = [
        entry
        for start in range(0, len(content), piece)
        for entry in decoder.feed(content[start : start + piece])
    ]
    decoder.finish()

    assert found == entries


def test_any_flipped_byte_is_noticed() -> None:
    content = written([Entry(11, 21, b"abc"), Entry(12, 22, b"defghijk")])
    unnoticed = []
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1
        try:
            read(bytes(damaged))
        except (ShardCorrupt, BadFormat):
            continue
        unnoticed.append(at)

    assert unnoticed == []


@given(st.integers(0, len(written(ENTRIES)) - 1))
def test_a_file_cut_anywhere_is_not_there(length: int) -> None:
    with pytest.raises((ShardCorrupt, BadFormat)):
        read(written(ENTRIES)[:length])


def test_an_entry_put_in_another_place_is_noticed() -> None:
    one, other = Entry(11, 21, b"abcdefgh"), Entry(11, 22, b"abcdefgh")
    content = written([one, other])
    first = content[HEADER_SIZE : HEADER_SIZE + 32]
    second = content[HEADER_SIZE + 32 : -FOOTER_SIZE]

    with pytest.raises(ShardCorrupt):
        read(content[:HEADER_SIZE] + second + first + content[-FOOTER_SIZE:])


def test_a_newer_format_is_refused_by_its_version() -> None:
    content = bytearray(written(ENTRIES))
    content[8] = 2

    with pytest.raises(BadFormat, match="newer"):
        read(bytes(content))


def test_an_unknown_feature_is_refused() -> None:
    content = bytearray(written(ENTRIES))
    content[12] = 1

    with pytest.raises(BadFormat, match="newer"):
        read(bytes(content))


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*-*")), ids=lambda file: file.name)
def test_every_file_an_earlier_version_wrote_is_read(file: Path) -> None:
    """What the entries mean is tested by rebuilding from them (tests of objstore_site)."""
    content = file.read_bytes()

    assert str(JournalName.parse(file.name)) == file.name
    assert parse_header(content).number == JournalName.parse(file.name).number
    assert all(entry.payload.startswith(b"{") for entry in read(content))
