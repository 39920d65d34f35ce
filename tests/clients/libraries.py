"""Clients that are Python libraries of the test environment: boto3 (by itself and with the CRT's
transfers), minio-py, obstore, smart_open, django-storages.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import obstore
import requests
import smart_open
from boto3.s3.transfer import TransferConfig
from botocore.client import BaseClient
from botocore.session import Session
from django.core.files import File
from minio import Minio
from minio.commonconfig import CopySource
from obstore.store import S3Store
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)
from storages.backends.s3 import S3Storage

from tests.s3.accounts import Account

PART_BYTES = 5 * 1024 * 1024
WITHIN_S = 60


class Boto3:
    """boto3 as it comes: CRC checksums in trailers, its own transfer manager."""

    def __init__(self, account: Account, bucket: str, scratch: Path) -> None:
        self.s3: BaseClient = account.client(retries={"max_attempts": 5})
        self.bucket = bucket
        self.scratch = scratch

    def put(self, key: str, file: Path) -> None:
        with file.open("rb") as body:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def put_in_parts(self, key: str, file: Path) -> None:
        self.s3.upload_file(
            str(file),
            self.bucket,
            key,
            Config=TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES),
        )

    def get(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        wanted = f"bytes={start}-{stop - 1}"
        return self.s3.get_object(Bucket=self.bucket, Key=key, Range=wanted)["Body"].read()

    def keys(self, prefix: str) -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, PaginationConfig={"PageSize": 2}
        )
        return {item["Key"] for page in pages for item in page.get("Contents", ())}

    def copy(self, source: str, target: str) -> None:
        self.s3.copy({"Bucket": self.bucket, "Key": source}, self.bucket, target)

    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)


class Boto3Crt(Boto3):
    """boto3 whose transfers are made by the C runtime, as `preferred_transfer_client = crt` does.

    Built here from its parts, because boto3 falls back to Python without a word when another
    process of the machine holds the lock of the C runtime.
    """

    def __init__(self, account: Account, bucket: str, scratch: Path) -> None:
        super().__init__(account, bucket, scratch)
        session = Session()
        session.set_credentials(account.access_key, account.secret_key)
        self.engine = create_s3_crt_client(
            region="us-east-1",
            crt_credentials_provider=BotocoreCRTCredentialsWrapper(
                session.get_credentials()
            ).to_crt_credentials_provider(),
            part_size=PART_BYTES,
            target_throughput=2 * 125_000_000,
            use_ssl=False,
        )
        self.serializer = BotocoreCRTRequestSerializer(
            session, {"region_name": "us-east-1", "endpoint_url": account.endpoint}
        )

    def put(self, key: str, file: Path) -> None:
        with CRTTransferManager(self.engine, self.serializer) as transfers:
            transfers.upload(str(file), self.bucket, key).result(WITHIN_S)

    # Above its part size it uploads parts.
    put_in_parts = put

    def get(self, key: str) -> bytes:
        file = self.scratch / "landed"
        with CRTTransferManager(self.engine, self.serializer) as transfers:
            transfers.download(self.bucket, key, str(file)).result(WITHIN_S)
        return file.read_bytes()

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        """It fetches an object above its part size by ranges, several at a time."""
        return self.get(key)[start:stop]

    def delete(self, key: str) -> None:
        with CRTTransferManager(self.engine, self.serializer) as transfers:
            transfers.delete(self.bucket, key).result(WITHIN_S)


class MinioPy:
    def __init__(self, account: Account, bucket: str, scratch: Path) -> None:
        self.client = Minio(
            account.endpoint.removeprefix("http://"),
            access_key=account.access_key,
            secret_key=account.secret_key,
            secure=False,
        )
        self.bucket = bucket

    def put(self, key: str, file: Path) -> None:
        self.client.fput_object(bucket_name=self.bucket, object_name=key, file_path=str(file))

    def put_in_parts(self, key: str, file: Path) -> None:
        self.client.fput_object(
            bucket_name=self.bucket, object_name=key, file_path=str(file), part_size=PART_BYTES
        )

    def get(self, key: str) -> bytes:
        return self._read(key)

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        return self._read(key, offset=start, length=stop - start)

    def keys(self, prefix: str) -> set[str]:
        found = self.client.list_objects(bucket_name=self.bucket, prefix=prefix, recursive=True)
        return {item.object_name for item in found if item.object_name}

    def copy(self, source: str, target: str) -> None:
        self.client.copy_object(
            bucket_name=self.bucket,
            object_name=target,
            source=CopySource(bucket_name=self.bucket, object_name=source),
        )

    def delete(self, key: str) -> None:
        self.client.remove_object(bucket_name=self.bucket, object_name=key)

    def _read(self, key: str, *, offset: int = 0, length: int = 0) -> bytes:
        answer = self.client.get_object(
            bucket_name=self.bucket, object_name=key, offset=offset, length=length
        )
        try:
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()


class Obstore:
    def __init__(self, account: Account, bucket: str, scratch: Path) -> None:
        self.store = S3Store(
            bucket,
            endpoint=account.endpoint,
            access_key_id=account.access_key,
            secret_access_key=account.secret_key,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )

    def put(self, key: str, file: Path) -> None:
        obstore.put(self.store, key, file.read_bytes(), use_multipart=False)

    def put_in_parts(self, key: str, file: Path) -> None:
        obstore.put(self.store, key, file, use_multipart=True, chunk_size=PART_BYTES)

    def get(self, key: str) -> bytes:
        return bytes(obstore.get(self.store, key).bytes())

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        return bytes(obstore.get_range(self.store, key, start=start, end=stop))

    def keys(self, prefix: str) -> set[str]:
        return {item["path"] for page in obstore.list(self.store, prefix) for item in page}

    def copy(self, source: str, target: str) -> None:
        obstore.copy(self.store, source, target)

    def delete(self, key: str) -> None:
        obstore.delete(self.store, key)


class SmartOpen(Boto3):
    """Streams: what they have no verb for (list, copy, delete) is boto3's."""

    def put(self, key: str, file: Path) -> None:
        # One request, because the object is smaller than a part.
        with self._open(key, "wb", multipart_upload=False) as target:
            target.write(file.read_bytes())

    def put_in_parts(self, key: str, file: Path) -> None:
        with file.open("rb") as source, self._open(key, "wb", min_part_size=PART_BYTES) as target:
            shutil.copyfileobj(source, target)

    def get(self, key: str) -> bytes:
        with self._open(key, "rb") as source:
            return source.read()

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        with self._open(key, "rb") as source:
            source.seek(start)
            return source.read(stop - start)

    def _open(self, key: str, mode: str, **options: object):  # type: ignore[no-untyped-def]
        return smart_open.open(
            f"s3://{self.bucket}/{key}", mode, transport_params={"client": self.s3, **options}
        )


class DjangoStorages:
    """`STORAGES = {...}` of django-storages."""

    def __init__(self, account: Account, bucket: str, scratch: Path) -> None:
        self.storage = S3Storage(**storage_options(account, bucket))

    def put(self, key: str, file: Path) -> None:
        with file.open("rb") as body:
            assert self.storage.save(key, File(body)) == key

    # Its transfers are boto3's: parts above 5 MiB by the settings below.
    put_in_parts = put

    def get(self, key: str) -> bytes:
        with self.storage.open(key) as stored:
            return bytes(stored.read())

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        """A browser's way: the signed address of the file, and a Range header."""
        answer = requests.get(
            self.storage.url(key),
            headers={"Range": f"bytes={start}-{stop - 1}"},
            timeout=WITHIN_S,
        )
        assert answer.status_code == 206, answer.text
        return answer.content

    def keys(self, prefix: str) -> set[str]:
        """Every file below a directory, level by level, as `listdir` gives them."""
        directory = prefix.rstrip("/")
        below, files = self.storage.listdir(directory)
        found = {f"{directory}/{name}" for name in files}
        return found.union(*(self.keys(f"{directory}/{name}/") for name in below))

    def copy(self, source: str, target: str) -> None:
        with self.storage.open(source) as stored:
            self.storage.save(target, stored)

    def delete(self, key: str) -> None:
        self.storage.delete(key)


def storage_options(account: Account, bucket: str) -> dict[str, object]:
    """What a Django project writes under `STORAGES[...]["OPTIONS"]`."""
    return {
        "access_key": account.access_key,
        "secret_key": account.secret_key,
        "bucket_name": bucket,
        "endpoint_url": account.endpoint,
        "region_name": "us-east-1",
        "addressing_style": "path",
        "signature_version": "s3v4",
        "file_overwrite": True,
        "transfer_config": TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES
        ),
    }
