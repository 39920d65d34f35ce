"""The one typed configuration, read once from the environment. Nothing else reads it.

Every field is declared with its default as text, its meaning, and the variable that sets it: the
name of section and field (`OBJSTORE_S3_PORT`), or the one given. `docs/configuration.md` is
generated from here.

Promise: an unknown `OBJSTORE_*` variable or a value that cannot be used refuses the start, all
problems in one message. What operators change at run time (weights, pauses) are rows, not
configuration.
"""

# ruff: noqa: RUF009  one line per setting; `setting` makes a dataclass field

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from core import settings_text as text
from core.errors import ConfigurationError

# A size no object reaches: `inline_from = never`.
NEVER = text.NEVER


def setting(
    default: str,
    doc: str,
    *,
    kind: Callable[[str], object] | None = None,
    env: str | None = None,
) -> Any:
    """A field of a section; `$home` in the default is the home directory."""
    return field(metadata={"default": default, "doc": doc, "kind": kind, "env": env})


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Database:
    """PostgreSQL, the metadata and the queue of record."""
    url: str = setting("", "PostgreSQL to use; empty: `make run` starts one of its own under the home.", env="DATABASE_URL")
    lookup_connections: int = setting("1", "Connections of one gateway worker for coalesced look-ups.", kind=text.positive)
    commit_connections: int = setting("1", "Connections of one gateway worker for commit batches.", kind=text.positive)
    waiting_connections: int = setting("1", "Connections of one gateway worker for commits that wait for a lock.", kind=text.positive)
    misc_connections: int = setting("2", "Connections of one gateway worker for listings and everything else.", kind=text.positive)
    connect_timeout_s: float = setting("5", "How long one attempt to connect may take.", kind=text.positive_number)
    answer_timeout_s: float = setting("30", "How long one statement of the data path may take before its outcome is unknown.", kind=text.positive_number)
    lock_timeout_s: float = setting("2", "How long a waiting commit waits for a key or bucket before 503 SlowDown.", kind=text.positive_number)
    idle_transaction_s: float = setting("5", "How long a transaction may sit idle before the server ends it.", kind=text.positive_number)


@dataclass(frozen=True, kw_only=True)
class Redis:
    """Redis: delivery of job ids; nothing that may not be lost."""
    url: str = setting("", "Redis to use; empty: `make run` starts one of its own under the home.", env="REDIS_URL")


@dataclass(frozen=True, kw_only=True)
class S3:
    """The S3 port."""
    host: str = setting("127.0.0.1", "Address the gateway listens on.")
    port: int = setting("9000", "Port the gateway listens on.", kind=text.port)
    workers: int = setting("auto", "Gateway worker processes; `auto` is one per two cores, which leaves the others to PostgreSQL, nodes and the kernel.", kind=text.count_or_half_the_cores)
    region: str = setting("us-east-1", "Region name clients sign for.")
    domains: tuple[str, ...] = setting("localhost,s3.localhost", "Host names under which `bucket.NAME` is virtual-host addressing.")
    inflight: int = setting("1024", "Requests one worker serves at once; more are answered 503 SlowDown.", kind=text.positive)
    retry_after_s: int = setting("1", "Seconds in the `Retry-After` header of a 503.", kind=text.positive)
    max_skew_s: int = setting("900", "How far a signature's time may be from ours.", kind=text.positive)
    idle_timeout_s: float = setting("60", "How long a request's body may send nothing before the request fails.", kind=text.positive_number)
    keep_alive_s: float = setting("75", "How long a connection may stay open without a request.", kind=text.positive_number)
    access_log: bool = setting("true", "One JSON line per request at level info.")
    backlog: int = setting("1024", "Connections the kernel queues before they are accepted.", kind=text.positive)


@dataclass(frozen=True, kw_only=True)
class Console:
    """The console port: Django admin."""
    host: str = setting("127.0.0.1", "Address the console listens on.")
    port: int = setting("9001", "Port the console listens on.", kind=text.port)
    workers: int = setting("1", "Console worker processes.", kind=text.positive)
    allowed_hosts: tuple[str, ...] = setting("*", "Host names the console answers to.")
    secret_key_file: Path = setting("$home/keys/django.key", "File with Django's secret key; made on first start.")
    debug: bool = setting("false", "Django's debug pages; never on a machine others can reach.")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The metrics port."""
    host: str = setting("127.0.0.1", "Address of the metrics port.")
    port: int = setting("9091", "Port of `/metrics`, `/health`, `/ready`.", kind=text.port)
    write_every_s: float = setting("1", "How often a process writes its counters down.", kind=text.positive_number)


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Storage nodes and how others reach them."""
    host: str = setting("127.0.0.1", "Address node daemons listen on.")
    port: int = setting("9101", "Port of the first node daemon of this host; the others follow.", kind=text.port, env="OBJSTORE_NODE_PORT")
    key_file: Path = setting("$home/keys/node.key", "File with the key that authenticates gateways and workers to nodes.")
    socket_dir: Path = setting("$home/run", "Directory of the Unix sockets that hand out file descriptors.")
    descriptors: bool = setting("true", "Use file descriptors from nodes of the same host instead of HTTP.")
    io_uring: bool = setting("true", "Let threads of the kernel, where it has them, do the durable writes of packs on this host.")
    gone_after_s: float = setting("10", "A drive whose identity is not found this long is gone, and its shards are repaired.", kind=text.positive_number)
    poll_s: float = setting("1", "How often the health loop asks each node.", kind=text.positive_number)
    reserve_fraction: float = setting("0.05", "Part of a drive kept free; writes stop there.", kind=text.fraction)
    reserve_bytes: int = setting("2GiB", "Bytes of a drive kept free, if that is more.", kind=text.size)
    request_timeout_s: float = setting("10", "How long one request to a node may take.", kind=text.positive_number)


@dataclass(frozen=True, kw_only=True)
class Coding:
    """Storage policies and erasure coding."""
    default_policy: str = setting("ec-6-3", "Storage policy of new buckets.")
    inline_from: int = setting("8MiB", "Bodies from this size on are coded as they arrive; `never`: all are packed first; `0`: none.", kind=text.size_or_never)
    cell_size: int = setting("128KiB", "Bytes of a stripe on one drive.", kind=text.size)
    segment_size: int = setting("64MiB", "Bytes of one segment.", kind=text.size)
    fast_path: bool = setting("true", "Call ISA-L directly where it was proven identical to pyeclib.")


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Open pack segments of small objects."""
    seal_after_s: float = setting("30", "A pack segment with enough in it is sealed at this age.", kind=text.positive_number)
    seal_min_bytes: int = setting("4MiB", "What enough is.", kind=text.size)
    open_max_s: float = setting("900", "Age at which any pack segment is sealed.", kind=text.positive_number)
    lag_s: float = setting("1.0", "A copy this far behind the second durable one is closed.", kind=text.positive_number)
    lease_s: float = setting("30", "Lease of a worker on its open segments.", kind=text.positive_number)
    memory_budget: int = setting("64MiB", "Bytes of small bodies one worker holds in memory; more go to an unlinked file.", kind=text.size)


@dataclass(frozen=True, kw_only=True)
class Caches:
    """Caches of one gateway worker."""
    identities: int = setting("10000", "Access keys and buckets whose rules are remembered.", kind=text.positive)


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Background work."""
    workers: int = setting("2", "Worker processes of one Celery worker.", kind=text.positive)
    poll_s: float = setting("1", "How often the dispatcher looks for due jobs without being told.", kind=text.positive_number)
    sweep_after_s: float = setting("60", "Jobs sent this long ago, and lost on the way, are sent again.", kind=text.positive_number)
    save_every_s: float = setting("5", "How often a running job saves its progress.", kind=text.positive_number)
    drive_timeout_s: float = setting("30", "How long background work waits for one read, write or flush of a drive on the same host.", kind=text.positive_number)
    keep_days: int = setting("7", "Days finished jobs are kept.", kind=text.positive)
    grace_s: float = setting("60", "How long replaced copies stay readable.", kind=text.number)
    trash_s: float = setting("86400", "How long trash is kept at most before it is unlinked.", kind=text.number)
    trash_fraction: float = setting("0.05", "Part of a drive trash may take.", kind=text.fraction)
    upload_ttl_s: float = setting("86400", "Age at which an unfinished multipart upload is swept.", kind=text.positive_number)


@dataclass(frozen=True, kw_only=True)
class Crypto:
    """Keys outside the database."""
    master_key_file: Path = setting("$home/keys/master.key", "File with the key that seals access-key secrets; made on first start.")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of what a client may ask."""
    put_bytes: int = setting("5GiB", "Largest body of one PUT or part.", kind=text.size)
    part_min_bytes: int = setting("5MiB", "Smallest part of a multipart upload but the last.", kind=text.size)
    header_bytes: int = setting("16KiB", "Header values of one request.", kind=text.size)
    buckets: int = setting("1000", "Buckets of one tenant.", kind=text.positive)


@dataclass(frozen=True, kw_only=True)
class Logs:
    """Logs: JSON, one line per event."""
    level: str = setting("info", "debug, info, warning or error.", kind=text.one_of("debug", "info", "warning", "error"))


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What `make run` sets up on first start."""
    nodes: int = setting("3", "Node daemons, each in a zone of its own.", kind=text.positive)
    drives: int = setting("4", "Drives of each node.", kind=text.positive)
    tenant: str = setting("default", "Name of the first tenant.")
    access_key: str = setting("", "Access key of the first tenant's root; empty: one is made up.", env="OBJSTORE_ROOT_ACCESS_KEY")
    secret_key: str = setting("", "Secret of that key; empty: one is made up.", env="OBJSTORE_ROOT_SECRET_KEY")
    admin_password: str = setting("", "Password of the console's user `admin`; empty: one is made up.", env="OBJSTORE_ADMIN_PASSWORD")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Switches of the test campaigns. Nobody else wants them."""
    failpoints: str = setting("", "Failpoints armed from the start, `name=action@n;...`.", env="OBJSTORE_FAILPOINTS")
    skip_fsync: bool = setting("false", "Leave out every fsync: the campaigns must then fail.")
    skip_epoch_check: bool = setting("false", "Leave out the epoch check at commit: the campaigns must then fail.")
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a process is told at start."""

    home: Path = setting("var", "Directory of everything this store keeps on this machine.")
    database: Database
    redis: Redis
    s3: S3
    console: Console
    metrics: Metrics
    nodes: Nodes
    coding: Coding
    packing: Packing
    caches: Caches
    jobs: Jobs
    crypto: Crypto
    limits: Limits
    logs: Logs
    cluster: Cluster
    proof: Proof

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Config:
        """The configuration these variables describe; `ConfigurationError` lists all problems."""
        problems = [f"{name}: no such setting" for name in _unknown(env)]
        home = Path(env.get("OBJSTORE_HOME") or _home_field().metadata["default"])
        home = home.expanduser().absolute()
        sections = {
            name: section(**_read_section(name, section, env, home, problems))
            for name, section in SECTIONS.items()
        }
        if problems:
            raise ConfigurationError("; ".join(problems))
        return cls(home=home, **sections)


SECTIONS: dict[str, type[Any]] = {
    name: hint for name, hint in get_type_hints(Config).items() if name != "home"
}


@dataclass(frozen=True)
class Setting:
    """One line of the configuration page."""

    section: str
    name: str
    env: str
    default: str
    doc: str


def settings() -> list[Setting]:
    """Every setting there is, in the order of declaration."""
    first = _home_field()
    home = Setting("", "home", "OBJSTORE_HOME", first.metadata["default"], first.metadata["doc"])
    return [home] + [
        Setting(section, one.name, variable(section, one), *_default_and_doc(one))
        for section, kind in SECTIONS.items()
        for one in fields(kind)
    ]


def variable(section: str, one: Field[Any]) -> str:
    """The environment variable of a field."""
    return one.metadata["env"] or f"OBJSTORE_{section}_{one.name}".upper()


_current: Config | None = None


def config() -> Config:
    """The configuration of this process, read from the environment on first use."""
    global _current
    if _current is None:
        _current = Config.from_env(os.environ)
    return _current


def install(new: Config) -> None:
    """Make this the configuration of the process (entry points, before anything else reads it)."""
    global _current
    _current = new


def default_environment(name: str, value: str) -> None:
    """Set a variable of another library where nobody set it."""
    os.environ.setdefault(name, value)


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a child process, with changes."""
    return {**os.environ, **(changes or {})}


@contextmanager
def override(new: Config | None = None, /, **sections: Mapping[str, object]) -> Iterator[Config]:
    """Run a block under another configuration: `override(s3={"port": 0})` (tests)."""
    global _current
    before = _current
    base = new or config()
    changed = {name: replace(getattr(base, name), **fs) for name, fs in sections.items()}
    _current = replace(base, **changed)
    try:
        yield _current
    finally:
        _current = before


def _read_section(
    name: str, section: type[Any], env: Mapping[str, str], home: Path, problems: list[str]
) -> dict[str, object]:
    hints = get_type_hints(section)
    values: dict[str, object] = {}
    for one in fields(section):
        key = variable(name, one)
        given = env.get(key)
        raw = one.metadata["default"] if given is None else given.strip()
        parse = one.metadata["kind"] or text.BY_TYPE[hints[one.name]]
        try:
            values[one.name] = parse(raw.replace("$home", str(home)))
        except ValueError as why:
            problems.append(f"{key}={raw!r}: {why}")
            values[one.name] = None
    return values


def _unknown(env: Mapping[str, str]) -> list[str]:
    known = {one.env for one in settings()}
    return sorted(name for name in env if name.startswith("OBJSTORE_") and name not in known)


def _home_field() -> Field[Any]:
    return next(one for one in fields(Config) if one.name == "home")


def _default_and_doc(one: Field[Any]) -> tuple[str, str]:
    return one.metadata["default"], one.metadata["doc"]
