"""The ISA-L that pyeclib bundles, called directly: the same bytes, twice the speed, no GIL held.

Here: finding the library, the matrix of `isa_l_rs_cauchy`, one product of a matrix with cells.
Not here: the choice between this and pyeclib (`coding`), which proves them identical first.

ctypes releases the GIL for the call. Buffers are passed by address and must stay alive in the
caller's hands; all are of one length.
"""

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pyeclib_c

Buffer = bytes | bytearray | memoryview

# Expanded coefficients: ISA-L keeps 32 bytes of multiplication table per matrix entry.
_TABLE_BYTES = 32


class Unavailable(Exception):
    """There is no usable ISA-L here; pyeclib alone has to do."""


class Matrix:
    """Rows of coefficients over GF(2^8), ready to be multiplied with `width` cells."""

    __slots__ = ("_library", "_rows", "_tables", "_width")

    def __init__(self, library: ctypes.CDLL, width: int, coefficients: bytes) -> None:
        self._library = library
        self._width = width
        self._rows = len(coefficients) // width
        self._tables = ctypes.create_string_buffer(_TABLE_BYTES * len(coefficients))
        library.ec_init_tables(width, self._rows, coefficients, self._tables)

    def multiply(self, cells: Sequence[Buffer], out: Sequence[bytearray | memoryview]) -> None:
        """out[r] = sum of row[r][i] * cells[i]; every buffer has the length of the first."""
        length = len(cells[0])
        assert (len(cells), len(out)) == (self._width, self._rows)
        assert all(len(each) == length for each in (*cells, *out))
        keep = [_view(each) for each in cells]
        results = [(ctypes.c_char * length).from_buffer(each) for each in out]
        sources = (ctypes.c_void_p * self._width)(*(address for address, _ in keep))
        targets = (ctypes.c_void_p * self._rows)(*map(ctypes.addressof, results))
        self._library.ec_encode_data(
            length, self._width, self._rows, self._tables, sources, targets
        )


class IsaL:
    """Reed-Solomon with ISA-L's Cauchy matrix."""

    def __init__(self) -> None:
        self._library = _library()

    @lru_cache(maxsize=64)  # noqa: B019 (one instance for the life of the process)
    def encoder(self, needed: int, parity: int) -> Matrix:
        """The parity rows."""
        rows = self._generator(needed, parity)
        return Matrix(self._library, needed, rows[needed * needed :])

    @lru_cache(maxsize=1024)  # noqa: B019 (one instance for the life of the process)
    def decoder(
        self, needed: int, parity: int, have: tuple[int, ...], want: tuple[int, ...]
    ) -> Matrix:
        """Rows giving shards `want` from the `needed` shards `have`, in their order."""
        generator = self._generator(needed, parity)

        def row(index: int) -> bytes:
            return generator[index * needed : (index + 1) * needed]

        square = b"".join(map(row, have))
        inverse = ctypes.create_string_buffer(needed * needed)
        if self._library.gf_invert_matrix(square, inverse, needed) != 0:
            raise ArithmeticError(f"shards {have} of {needed}+{parity} cannot be inverted")
        columns = inverse.raw
        products = bytearray()
        for index in want:
            coefficients = row(index)
            for column in range(needed):
                total = 0
                for at in range(needed):
                    total ^= self._library.gf_mul(coefficients[at], columns[at * needed + column])
                products.append(total)
        return Matrix(self._library, needed, bytes(products))

    def _generator(self, needed: int, parity: int) -> bytes:
        width = needed + parity
        matrix = ctypes.create_string_buffer(width * needed)
        self._library.gf_gen_cauchy1_matrix(matrix, width, needed)
        return matrix.raw


def _view(buffer: Buffer) -> tuple[int, object]:
    """Address of a buffer, and what keeps it there. Read-only ones are reached without a copy."""
    if isinstance(buffer, bytes):
        return ctypes.cast(ctypes.c_char_p(buffer), ctypes.c_void_p).value or 0, buffer
    view = memoryview(buffer)
    if view.readonly:
        copy = bytes(view)
        return ctypes.cast(ctypes.c_char_p(copy), ctypes.c_void_p).value or 0, copy
    held = (ctypes.c_char * len(view)).from_buffer(view)
    return ctypes.addressof(held), held


def _library() -> ctypes.CDLL:
    beside = Path(pyeclib_c.__file__).parent
    for path in sorted(beside.glob("pyeclib.libs/libisal*")):
        try:
            return _declared(ctypes.CDLL(str(path)))
        except (OSError, AttributeError):
            continue
    raise Unavailable


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    integer, byte = ctypes.c_int, ctypes.c_ubyte
    text, pointer = ctypes.c_char_p, ctypes.c_void_p
    library.ec_init_tables.argtypes = [integer, integer, text, pointer]
    library.ec_init_tables.restype = None
    library.ec_encode_data.argtypes = [integer, integer, integer, pointer, pointer, pointer]
    library.ec_encode_data.restype = None
    library.gf_gen_cauchy1_matrix.argtypes = [pointer, integer, integer]
    library.gf_gen_cauchy1_matrix.restype = None
    library.gf_invert_matrix.argtypes = [text, pointer, integer]
    library.gf_invert_matrix.restype = integer
    library.gf_mul.argtypes = [byte, byte]
    library.gf_mul.restype = byte
    return library
