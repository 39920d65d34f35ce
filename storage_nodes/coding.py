"""Reed-Solomon over cells: k data cells in, m parity cells out, and any k give the others back.

Here: the code itself, on cells without any header. Not here: how a segment is cut into cells
(`striping`), files (`shard_file`), reading and writing.

The code is liberasurecode's `isa_l_rs_cauchy`, byte for byte; pyeclib is the reference. It puts an
80-byte header before every fragment: drives hold the raw cells, and the headers, which depend only
on code, index and length, are put back from a template when pyeclib decodes. The same ISA-L called
through ctypes is faster and releases the GIL; it is used only where it answered a self-test at
start exactly as pyeclib did. `isa_l_rs_vand` is never used: with m >= 5 it cannot restore every
pattern of losses.

Every cell of one call has the same length. Nothing here keeps a reference to a caller's buffer.
"""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from pyeclib.ec_iface import ECDriver

from core.config import config
from core.errors import NotEnoughShards
from storage_nodes._isal import Buffer, IsaL, Unavailable

# Written into shard files: what an old reader must know to decode.
CODE_NAME = "isa_l_rs_cauchy"
CODE_ID = 1

_HEADER = 80  # liberasurecode's fragment header


class Coder(Protocol):
    """One code k+m."""

    needed: int
    parity: int

    def encode(self, cells: Sequence[Buffer], out: Sequence[bytearray | memoryview]) -> None:
        """Fill the `parity` buffers `out` from the `needed` data cells."""

    def restore(self, have: Mapping[int, Buffer], want: Sequence[int]) -> dict[int, bytes]:
        """The cells `want` (data or parity) from any `needed` of those in `have`."""


def coder(needed: int, parity: int) -> Coder:
    """The code for a policy: the fast one where allowed and proven, else pyeclib."""
    return _coder(needed, parity, config().coding.fast_path)


@lru_cache(maxsize=64)
def _coder(needed: int, parity: int, fast_path: bool) -> Coder:
    reference = PyeclibCoder(needed, parity)
    if not fast_path:
        return reference
    try:
        fast = IsalCoder(needed, parity)
    except Unavailable:
        return reference
    return fast if _agree(fast, reference) else reference


class PyeclibCoder:
    """The reference: correct wherever its wheel installs. Holds the GIL while it works."""

    def __init__(self, needed: int, parity: int) -> None:
        self.needed = needed
        self.parity = parity
        self._driver = ECDriver(k=needed, m=parity, ec_type=CODE_NAME)
        self._headers = lru_cache(maxsize=64)(self._make_headers)

    def encode(self, cells: Sequence[Buffer], out: Sequence[bytearray | memoryview]) -> None:
        length = len(cells[0])
        fragments = self._driver.encode(b"".join(cells))
        for target, fragment in zip(out, fragments[self.needed :], strict=True):
            target[:] = fragment[_HEADER : _HEADER + length]

    def restore(self, have: Mapping[int, Buffer], want: Sequence[int]) -> dict[int, bytes]:
        chosen = _chosen(have, self.needed, self.parity)
        length = len(have[chosen[0]])
        headers = self._headers(length)
        fragments = [headers[index] + have[index] for index in chosen]
        lost = [index for index in want if index not in chosen]
        restored = (
            dict(zip(lost, self._driver.reconstruct(fragments, lost), strict=True)) if lost else {}
        )
        return {
            index: restored[index][_HEADER : _HEADER + length]
            if index in restored
            else bytes(have[index])
            for index in want
        }

    def _make_headers(self, length: int) -> list[bytes]:
        return [fragment[:_HEADER] for fragment in self._driver.encode(bytes(length * self.needed))]


class IsalCoder:
    """ISA-L through ctypes. Releases the GIL while it works."""

    def __init__(self, needed: int, parity: int) -> None:
        self.needed = needed
        self.parity = parity
        self._isal = _isal()
        self._encoder = self._isal.encoder(needed, parity)

    def encode(self, cells: Sequence[Buffer], out: Sequence[bytearray | memoryview]) -> None:
        self._encoder.multiply(cells, out)

    def restore(self, have: Mapping[int, Buffer], want: Sequence[int]) -> dict[int, bytes]:
        chosen = _chosen(have, self.needed, self.parity)
        lost = tuple(index for index in want if index not in chosen)
        results = {index: bytearray(len(have[chosen[0]])) for index in lost}
        if lost:
            decoder = self._isal.decoder(self.needed, self.parity, tuple(chosen), lost)
            decoder.multiply([have[index] for index in chosen], list(results.values()))
        return {
            index: bytes(results[index]) if index in results else bytes(have[index])
            for index in want
        }


@lru_cache(maxsize=1)
def _isal() -> IsaL:
    return IsaL()


def _chosen(have: Mapping[int, Buffer], needed: int, parity: int) -> list[int]:
    """Data shards first: what is copied need not be computed."""
    usable = sorted(index for index in have if 0 <= index < needed + parity)
    if len(usable) < needed:
        raise NotEnoughShards(have=len(usable), needed=needed)
    return usable[:needed]


def _agree(fast: IsalCoder, reference: PyeclibCoder) -> bool:
    """The same parity of random cells, and the cells back from parity first."""
    length = 4096
    cells = [os.urandom(length) for _ in range(fast.needed)]
    ours = [bytearray(length) for _ in range(fast.parity)]
    theirs = [bytearray(length) for _ in range(fast.parity)]
    fast.encode(cells, ours)
    reference.encode(cells, theirs)
    if ours != theirs:
        return False
    everything: dict[int, Buffer] = dict(enumerate([*cells, *ours]))
    lost = list(range(min(fast.needed, fast.parity)))
    have = {index: cell for index, cell in everything.items() if index not in lost}
    return fast.restore(have, lost) == {index: cells[index] for index in lost}
