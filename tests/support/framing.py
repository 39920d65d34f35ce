"""aws-chunked bodies, signed or not."""

from __future__ import annotations

from hashlib import sha256

from core import sigv4


def frames(*chunks: bytes, trailer: bytes = b"", signed: sigv4.ChunkChain | None = None) -> bytes:
    """An aws-chunked body of these chunks and the empty one, and a trailer line when given."""
    body = b""
    for chunk in (*chunks, b""):
        signature = ""
        if signed is not None:
            signature = f";chunk-signature={signed.chunk(sha256(chunk).hexdigest())}"
        body += f"{len(chunk):x}{signature}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailer:
        body += trailer + b"\r\n"
        if signed is not None:
            signature = signed.trailer(trailer + b"\n")
            body += f"x-amz-trailer-signature:{signature}\r\n".encode()
    return body + b"\r\n"
