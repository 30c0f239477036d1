"""Tokens: the secret that the nodes of a cluster, and those who send it work, have in common.

It lies in a file that only its owner can read, and is never put on a command line, which all users
of a machine can see. By default it is the file where Ray itself looks, so that `ray status` and
`ray job` find it too.
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
    """Where Ray looks for a token when nothing else is said."""
    return Path.home() / ".ray" / "auth_token"


def find_token(given: Path | None) -> Path | None:
    """Return the file that holds the token: the one given, of the environment, or Ray's default.

    None when there is no file, or when the environment holds the token itself.

    Raises:
        ConfigError: The file that was named does not exist, is empty, or cannot be read.
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
    """Write a new token to a file that nobody else can read.

    Raises:
        ClusterError: The file cannot be written, or is there already.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
        try:
            # A link, as a rename would replace the token of a cluster that started meanwhile.
            os.link(aside, path)
        finally:
            aside.unlink()
    except OSError as error:
        raise ClusterError(
            f"The token file {path} cannot be made ({error.strerror}). Give another path with "
            "--token-file."
        ) from None


@contextlib.contextmanager
def using_token(path: Path | None) -> Generator[None]:
    """Show a token to clusters that are spoken to.

    Args:
        path: The file that holds it; None: what the environment holds, if anything.
    """
    if path is not None:
        # An empty value counts as none for Ray; a filled one would win over the file.
        values = {MODE: "token", PATH: str(path), VALUE: ""}
    elif os.environ.get(VALUE):
        values = {MODE: "token"}
    else:
        yield
        return
    with token_environment(values):
        yield


def current_token() -> str | None:
    """Return the token that this process shows to clusters, if any."""
    if os.environ.get(MODE) != "token":
        return None
    header = AuthenticationTokenLoader.instance().get_token_for_http_header()
    return header.get("authorization", "").removeprefix("Bearer ") or None
