"""Words for people that follow a number."""


def counted(number: int, what: str) -> str:
    """`1 segment`, `2 segments`; for things whose plural only takes an s."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
