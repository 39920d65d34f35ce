"""The two servers a local store needs: its own, or those it was given."""

from __future__ import annotations

from dataclasses import dataclass

from core.config import Config
from objstore_site.local.home import Home
from objstore_site.local.postgres import EmbeddedPostgres, create_database, is_alive
from objstore_site.local.redis import EmbeddedRedis
from objstore_site.running import Servers
from objstore_site.safety import connections_needed

# Room for an operator's commands beside what the store opens.
SPARE_CONNECTIONS = 30


@dataclass
class LocalServers:
    """PostgreSQL and Redis of one home; None where an address was given."""

    postgres: EmbeddedPostgres | None
    redis: EmbeddedRedis | None
    given: Servers

    @classmethod
    def of(cls, config: Config, home: Home) -> LocalServers:
        """What this configuration asks for."""
        sockets = home.sockets()
        allowed = max(100, connections_needed(config) + SPARE_CONNECTIONS)
        postgres = EmbeddedPostgres(
            home.database,
            sockets / "postgresql",
            log=home.logs / "postgresql.log",
            settings={"max_connections": str(allowed)},
        )
        redis = EmbeddedRedis(sockets / "redis", log=home.logs / "redis.log")
        return cls(
            postgres=None if config.database.url else postgres,
            redis=None if config.redis.url else redis,
            given=Servers(database_url=config.database.url, redis_url=config.redis.url),
        )

    def start(self) -> None:
        """Start or adopt ours, and make sure our database exists."""
        if self.redis is not None:
            self.redis.start()
        if self.postgres is not None:
            self.postgres.start()
            create_database(self.postgres.url("postgres"), "objstore")

    def start_again(self) -> list[str]:
        """Start what died; the names of those."""
        died = []
        for name, server in (("PostgreSQL", self.postgres), ("Redis", self.redis)):
            if server is not None and not is_alive(server.process):
                died.append(name)
                server.start()
        return died

    def stop(self) -> None:
        """Stop ours."""
        if self.redis is not None:
            self.redis.stop()
        if self.postgres is not None:
            self.postgres.stop()

    def addresses(self) -> Servers:
        """Where both are."""
        return Servers(
            database_url=self.postgres.url() if self.postgres else self.given.database_url,
            redis_url=self.redis.url() if self.redis else self.given.redis_url,
        )

    def described(self) -> str:
        """For the summary."""
        own = ["PostgreSQL"] * (self.postgres is not None) + ["Redis"] * (self.redis is not None)
        if not own:
            return "PostgreSQL and Redis as given by DATABASE_URL and REDIS_URL"
        return " and ".join(own) + " embedded, on Unix sockets"
