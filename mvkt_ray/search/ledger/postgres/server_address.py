"""The address of a database on a PostgreSQL server: without a password, it may be written down.

A password comes from where libpq looks for it, on the machine of the driver: it is in no file of
the study, in no log, and in no environment that mvkt-ray hands to a cluster.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import without_passwords

SCHEME = "postgresql"
DEFAULT_PORT = 5432

_OPTIONS = ("service", "host", "sslmode", "sslrootcert", "sslcert", "sslkey")
"""Of libpq's, those that say where the server is and how it is known; none of them is a secret."""

_PASSWORDS = ("password", "sslpassword", "passfile")

_FORM = f"{SCHEME}://USER@HOST:PORT/DATABASE"

WHERE_PASSWORDS_GO = (
    "Put the password where libpq looks for it, on the machine that runs the search: in "
    "~/.pgpass, in the file that PGPASSFILE names, in a service of PGSERVICEFILE "
    f"({SCHEME}:///?service=NAME), or in the variable PGPASSWORD."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerAddress:
    """Where a database is, and as whom it is opened."""

    database: str
    """Empty: that of the service."""
    host: str
    """Empty: that of the options."""
    port: int | None = None
    user: str = ""
    """Empty: the user that libpq takes, PGUSER or this one."""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "ServerAddress":
        """Read a URL.

        Raises:
            ConfigError: It holds a password, is of another kind, or leaves out what it must say.
        """
        try:
            parts = urlsplit(text)
            password, port = parts.password, parts.port
        except ValueError as error:
            # Not the error's own words: they may repeat what was taken for a port.
            del error
            raise ConfigError(
                f"--ledger: this is no URL that can be read. Write {_FORM}. {WHERE_PASSWORDS_GO}"
            ) from None
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        if password is not None or any(name in _PASSWORDS for name, _ in query):
            raise ConfigError(
                f"--ledger: the URL of {parts.hostname or 'the server'} holds a password, which "
                "would be seen by everybody who lists processes, and written into manifests. "
                f"Write {_FORM}. {WHERE_PASSWORDS_GO}"
            )
        address = cls(
            database=unquote(parts.path.removeprefix("/")),
            host=unquote(parts.hostname or ""),
            port=port,
            user=unquote(parts.username or ""),
            options=query,
        )
        address._check(parts.scheme, without_passwords(text))
        return address

    def _check(self, scheme: str, text: str) -> None:
        if scheme != SCHEME:
            raise ConfigError(
                f"--ledger {text}: a ledger is in the study's folder, or, with this flag, in a "
                f"PostgreSQL database. Write {_FORM}, or leave the flag out."
            )
        unknown = [name for name, _ in self.options if name not in _OPTIONS]
        if unknown:
            raise ConfigError(
                f"--ledger {text}: {unknown[0]} is no option that is kept in the address; there "
                f"are {', '.join(_OPTIONS)}. Leave it out, or put it into a service of "
                "PGSERVICEFILE."
            )
        named = {name for name, _ in self.options}
        if "service" not in named and not (self.database and (self.host or "host" in named)):
            raise ConfigError(
                f"--ledger {text} names no {'host' if self.database else 'database'}: everybody "
                f"who looks at the study must find it. Write {_FORM}."
            )

    def __str__(self) -> str:
        """Write the URL, for people and for the study's folder."""
        return f"{SCHEME}://{self._rest}"

    @property
    def optuna_url(self) -> str:
        """What `optuna-dashboard` opens, with psycopg."""
        return f"{SCHEME}+psycopg://{self._rest}"

    @property
    def place(self) -> str:
        """Name the server in a sentence."""
        options = dict(self.options)
        if "service" in options:
            return f"service {options['service']}"
        return f"{self.host or options['host']}:{self.port or DEFAULT_PORT}"

    @property
    def _rest(self) -> str:
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        port = f":{self.port}" if self.port is not None else ""
        query = f"?{urlencode(self.options, quote_via=quote)}" if self.options else ""
        return f"{user}{host}{port}/{quote(self.database, safe='')}{query}"

    def parameters(self) -> dict[str, str | int]:
        """Return what libpq is told of the address."""
        said: dict[str, str | int] = dict(self.options)
        if self.host:
            said["host"] = self.host
        if self.port is not None:
            said["port"] = self.port
        if self.user:
            said["user"] = self.user
        if self.database:
            said["dbname"] = self.database
        return said
