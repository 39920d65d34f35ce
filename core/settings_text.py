"""How a setting is written: parsers from text to value, each refusing with a sentence.

Here: sizes, numbers, ports, lists. Not here: which settings exist (core.config).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

NEVER = 1 << 62
_UNITS = {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


def string(raw: str) -> str:
    return raw


def whole(raw: str) -> int:
    try:
        return int(raw)
    except ValueError:
        raise ValueError("not a whole number") from None


def positive(raw: str) -> int:
    value = whole(raw)
    if value < 1:
        raise ValueError("must be at least 1")
    return value


def port(raw: str) -> int:
    value = whole(raw)
    if not 0 <= value <= 65535:
        raise ValueError("not a port number")
    return value


def count_or_half_the_cores(raw: str) -> int:
    return max(1, len(os.sched_getaffinity(0)) // 2) if raw == "auto" else positive(raw)


def number(raw: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        raise ValueError("not a number") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError("must be 0 or more")
    return value


def positive_number(raw: str) -> float:
    value = number(raw)
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


def fraction(raw: str) -> float:
    value = number(raw)
    if value > 1:
        raise ValueError("must lie between 0 and 1")
    return value


def size(raw: str) -> int:
    """`8MiB`, `128KiB`, `4096`."""
    lowered = raw.strip().lower()
    digits = lowered.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = lowered[len(digits) :].strip() or "b"
    if unit not in _UNITS or not digits.isdigit():
        raise ValueError("not a size such as 4096, 128KiB, 8MiB, 2GiB")
    return int(digits) * _UNITS[unit]


def size_or_never(raw: str) -> int:
    return NEVER if raw.lower() == "never" else size(raw)


def boolean(raw: str) -> bool:
    lowered = raw.lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("not true or false")


def path(raw: str) -> Path:
    if not raw:
        raise ValueError("a path is needed")
    return Path(raw).expanduser().absolute()


def words(raw: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in raw.split(",") if word.strip())


def one_of(*allowed: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw.lower() not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return raw.lower()

    return parse


BY_TYPE: dict[object, Callable[[str], object]] = {
    str: string,
    int: whole,
    float: number,
    bool: boolean,
    Path: path,
    tuple[str, ...]: words,
}
