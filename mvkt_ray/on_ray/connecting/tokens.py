"""Tokens: the shared secret of a cluster's nodes and of the machines that submit work to it.

The token is in a file that only its owner can read, and never on a command line, which all users of
a machine can see. The default is Ray's own file, so that `ray status` and `ray job` find it, too.
"""

import contextlib
import os
import secrets
from collections.abc import Generator
from pathlib import Path

from ray._raylet import AuthenticationTokenLoader  # pyright: ignore[reportAttributeAccessIssue]

from mvkt_ray.errors import ClusterError, ConfigError
from mvkt_ray.on_ray.connecting.environment import token_environment

MODE, PATH, VALUE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN"

TOKEN_HINT = (
    "Copy the token file, whose path `mvkt cluster start --head` prints, to this machine, "
    f"readable only by you (mode 600), and give it as --token-file FILE or {PATH}=FILE."
)


def default_token_file() -> Path:
    """Return Ray's default path of the token file."""
    return Path.home() / ".ray" / "auth_token"


def find_token(given: Path | None) -> Path | None:
    """Return the token's file: the given one, the environment's, or Ray's default.

    Returns:
        The file; None: there is no default file, or the environment has the token itself.

    Raises:
        ConfigError: A named file does not exist, is empty, or cannot be read.
    """
    named = given or (Path(os.environ[PATH]) if os.environ.get(PATH) else None)
    if given is None and os.environ.get(VALUE):
        return None
    if named is None:
        usual = default_token_file()
        return usual if usual.is_file() else None
    try:
        token = named.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The token file {named} cannot be read ({error}). {TOKEN_HINT}"
        ) from None
    if not token:
        raise ConfigError(f"The token file {named} is empty. {TOKEN_HINT}")
    return named


def make_token(path: Path) -> None:
    """Write a new token to a file that only its owner can read.

    Raises:
        ClusterError: The file cannot be written, or exists already.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
        try:
            # A link fails if the file exists; a rename would replace another cluster's token.
            os.link(aside, path)
        finally:
            aside.unlink()
    except OSError as error:
        raise ClusterError(
            f"The token file {path} cannot be created ({error.strerror}). Give another path with "
            "--token-file."
        ) from None


@contextlib.contextmanager
def using_token(path: Path | None) -> Generator[None]:
    """Authenticate connections of the block with a token.

    Args:
        path: File of the token; None: the environment's token, if there is one.
    """
    if path is not None:
        # Ray ignores an empty value; any other would take precedence over the file.
        values = {MODE: "token", PATH: str(path), VALUE: ""}
    elif os.environ.get(VALUE):
        values = {MODE: "token"}
    else:
        yield
        return
    with token_environment(values):
        yield


def current_token() -> str | None:
    """Return the token with which this process authenticates, if any."""
    if os.environ.get(MODE) != "token":
        return None
    header = AuthenticationTokenLoader.instance().get_token_for_http_header()
    return header.get("authorization", "").removeprefix("Bearer ") or None
