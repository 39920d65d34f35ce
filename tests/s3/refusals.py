"""Expecting a refusal of a boto3 call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.s3.raw import status_and_code


@contextmanager
def refused(status: int, code: str) -> Iterator[dict[str, Any]]:
    """Expect the block to be refused so; gives the answer's parts afterwards."""
    answer: dict[str, Any] = {}
    with pytest.raises(ClientError) as error:
        yield answer
    assert status_and_code(error.value) == (status, code)
    answer.update(error.value.response)


def is_refused(call: Callable[..., object], status: int, code: str, **arguments: object) -> None:
    """Expect one call to be refused so."""
    with refused(status, code):
        call(**arguments)
