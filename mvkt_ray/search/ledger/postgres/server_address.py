"""The address of a database on a PostgreSQL server: it has no password, so it may be stored.

libpq reads the password on the driver's machine. It is in no file of the study, in no log, and in
no environment that mvkt-ray sends to a cluster.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import without_passwords

SCHEME = "postgresql"
DEFAULT_PORT = 5432

_OPTIONS = ("service", "host", "sslmode", "sslrootcert", "sslcert", "sslkey")
"""The options of libpq that locate and authenticate the server; none of them is a secret."""

_PASSWORDS = ("password", "sslpassword", "passfile")

_FORM = f"{SCHEME}://USER@HOST:PORT/DATABASE"

WHERE_PASSWORDS_GO = (
    "libpq reads the password on the machine that runs the search. Put it into "
    "~/.pgpass, the file that PGPASSFILE names, a service of PGSERVICEFILE "
    f"({SCHEME}:///?service=NAME), or the variable PGPASSWORD."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerAddress:
    """Address and user of a database."""

    database: str
    """Empty: the database of the service."""
    host: str
    """Empty: the host in the options."""
    port: int | None = None
    user: str = ""
    """Empty: libpq's default, PGUSER or the operating system's user."""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "ServerAddress":
        """Parse a URL.

        Raises:
            ConfigError: The URL has a password, another scheme or an unknown option, or lacks the
                host or the database.
        """
        try:
            parts = urlsplit(text)
            password, port = parts.password, parts.port
        except ValueError as error:
            # Without the error's text, which may repeat a password that was parsed as the port.
            del error
            raise ConfigError(
                f"--ledger: the value is not a valid URL. Write {_FORM}. {WHERE_PASSWORDS_GO}"
            ) from None
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        if password is not None or any(name in _PASSWORDS for name, _ in query):
            raise ConfigError(
                f"--ledger: the URL of {parts.hostname or 'the server'} holds a password, which "
                "would be visible in the list of processes and in manifests. "
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
                f"--ledger {text}: not the URL of a PostgreSQL database. Write {_FORM}, or leave "
                "--ledger out for a ledger in the study's folder."
            )
        unknown = [name for name, _ in self.options if name not in _OPTIONS]
        if unknown:
            raise ConfigError(
                f"--ledger {text}: the option {unknown[0]} is not allowed in the address; allowed "
                f"are {', '.join(_OPTIONS)}. Leave it out, or put it into a service of "
                "PGSERVICEFILE."
            )
        named = {name for name, _ in self.options}
        if "service" not in named and not (self.database and (self.host or "host" in named)):
            raise ConfigError(
                f"--ledger {text} names no {'host' if self.database else 'database'}, which every "
                f"command on the study needs. Write {_FORM}."
            )

    def __str__(self) -> str:
        """Return the URL, for messages and for `ledger.json`."""
        return f"{SCHEME}://{self._rest}"

    @property
    def optuna_url(self) -> str:
        """URL for SQLAlchemy and optuna-dashboard, with psycopg as the driver."""
        return f"{SCHEME}+psycopg://{self._rest}"

    @property
    def place(self) -> str:
        """Host and port, or service, of the server; for messages."""
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
        """Return the connection parameters for libpq."""
        own = {"host": self.host, "port": self.port, "user": self.user, "dbname": self.database}
        given = {name: value for name, value in own.items() if value is not None and value != ""}
        return {**dict(self.options), **given}
