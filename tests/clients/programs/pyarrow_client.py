"""pyarrow's S3 file system with its default checksums: `BUCKET COMMAND ARGUMENTS...`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pyarrow import fs

CHUNK_BYTES = 1024 * 1024


class Arrow:
    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.files = fs.S3FileSystem(
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
            scheme="http",
            region="us-east-1",
        )

    def put(self, key: str, file: str) -> None:
        with self.files.open_output_stream(f"{self.bucket}/{key}") as target:
            target.write(Path(file).read_bytes())

    def put_in_parts(self, key: str, file: str) -> None:
        with (
            self.files.open_output_stream(f"{self.bucket}/{key}") as target,
            open(file, "rb") as source,
        ):
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)

    def get(self, key: str) -> bytes:
        with self.files.open_input_stream(f"{self.bucket}/{key}") as source:
            return source.read()

    def get_range(self, key: str, start: str, stop: str) -> bytes:
        with self.files.open_input_file(f"{self.bucket}/{key}") as source:
            return source.read_at(int(stop) - int(start), int(start))

    def keys(self, prefix: str) -> bytes:
        below = fs.FileSelector(f"{self.bucket}/{prefix}", recursive=True)
        return json.dumps(
            [
                found.path.removeprefix(f"{self.bucket}/")
                for found in self.files.get_file_info(below)
                if found.type == fs.FileType.File
            ]
        ).encode()

    def copy(self, source: str, target: str) -> None:
        self.files.copy_file(f"{self.bucket}/{source}", f"{self.bucket}/{target}")

    def delete(self, key: str) -> None:
        self.files.delete_file(f"{self.bucket}/{key}")


if __name__ == "__main__":
    answer = getattr(Arrow(sys.argv[1]), sys.argv[2])(*sys.argv[3:])
    sys.stdout.buffer.write(answer or b"")
