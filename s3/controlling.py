"""Changing configuration from a handler: the synchronous verbs, off the loop, actor named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from objects.store import Store
from s3.wire import Call


async def change(
    call: Call, store: Store, verb: Callable[..., Any], *args: Any, **named: Any
) -> Any:
    """Run one control verb and record who asked for it."""
    actor = f"{call.caller.account_id}/{call.caller.user_name}"
    return await store.control(partial(verb, *args, actor=actor, **named))
