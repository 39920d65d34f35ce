"""s3fs, the file system of the fsspec family: `BUCKET COMMAND ARGUMENTS...`.

Run by an environment of its own: aiobotocore wants another botocore than boto3 does.
"""

from __future__ import annotations

import json
import os
import sys

import s3fs

PART_BYTES = 5 * 1024 * 1024


class Files:
    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.files = s3fs.S3FileSystem(
            key=os.environ["AWS_ACCESS_KEY_ID"],
            secret=os.environ["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=os.environ["AWS_ENDPOINT_URL"],
            use_listings_cache=False,
        )

    def put(self, key: str, file: str) -> None:
        self.files.put_file(file, f"{self.bucket}/{key}")

    def put_in_parts(self, key: str, file: str) -> None:
        with (
            open(file, "rb") as source,
            self.files.open(f"{self.bucket}/{key}", "wb", block_size=PART_BYTES) as target,
        ):
            while chunk := source.read(PART_BYTES):
                target.write(chunk)

    def get(self, key: str) -> bytes:
        return self.files.cat_file(f"{self.bucket}/{key}")

    def get_range(self, key: str, start: str, stop: str) -> bytes:
        return self.files.cat_file(f"{self.bucket}/{key}", start=int(start), end=int(stop))

    def keys(self, prefix: str) -> bytes:
        found = self.files.find(f"{self.bucket}/{prefix}")
        return json.dumps([path.removeprefix(f"{self.bucket}/") for path in found]).encode()

    def copy(self, source: str, target: str) -> None:
        self.files.copy(f"{self.bucket}/{source}", f"{self.bucket}/{target}")

    def delete(self, key: str) -> None:
        self.files.rm_file(f"{self.bucket}/{key}")


if __name__ == "__main__":
    answer = getattr(Files(sys.argv[1]), sys.argv[2])(*sys.argv[3:])
    sys.stdout.buffer.write(answer or b"")
