"""aws-chunked bodies, signed or not."""

from __future__ import annotations

import hashlib

from core import sigv4


def frames(*chunks: bytes, trailer: bytes = b"", signed: sigv4.ChunkChain | None = None) -> bytes:
    """An aws-chunked body of these chunks and the empty one."""
    body = b""
    for chunk in (*chunks, b""):
        signature = ""
        if signed is not None:
            signature = f";chunk-signature={signed.chunk(hashlib.sha256(chunk).hexdigest())}"
        body += f"{len(chunk):x}{signature}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailer and signed is not None:
        signature = signed.trailer(trailer + b"\n")
        return body + trailer + f"\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()
    return body + (trailer + b"\r\n" if trailer else b"") + b"\r\n"
