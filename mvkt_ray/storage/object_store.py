"""Object stores (`s3://`, `gs://`, `abfss://`): clients from the environment, and their errors.

Endpoints, regions and credentials come from the variables that the stores' own tools read, never
from a URI or a study file:

- S3: `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, `AWS_REGION` or `AWS_DEFAULT_REGION`,
  `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, `~/.aws`, the role of
  the machine; public buckets need none of them, and `AWS_NO_SIGN_REQUEST=YES` ignores all.
- Google: `GOOGLE_APPLICATION_CREDENTIALS`, the machine's account, `STORAGE_EMULATOR_HOST`.
- Azure: `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN`, else Azure's default credentials.
"""

import contextlib
import functools
import os
import re
import uuid
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime, timedelta

from pyarrow import fs

from mvkt_ray.errors import StoreError, StoreUnreachableError

_MAX_ATTEMPTS = 5
_GOOGLE_RETRY = timedelta(seconds=60)
_MAX_SKEW_S = 15 * 60
_TRUE = ("1", "true", "yes")


def split_uri(uri: str) -> tuple[str, str, str]:
    """Return scheme, bucket (for Azure `container@account...`) and key; keys are not unescaped.

    Raises:
        StoreError: The scheme is unknown, there is no bucket, or the URI has credentials.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in _OPENERS:
        raise StoreError(
            f"{uri} cannot be opened: the scheme {scheme}:// is not supported. Give a URI with "
            f"{', '.join(f'{known}://' for known in _OPENERS)}, or a local path."
        )
    if not bucket:
        raise StoreError(f"{uri} names no bucket. Write {scheme}://BUCKET/FOLDER.")
    if scheme in ("s3", "gs") and "@" in bucket:
        raise StoreError(
            f"{scheme}://...@{bucket.rpartition('@')[2]} contains credentials, which would be "
            "written into manifests and logs. Set them in the environment instead."
        )
    return scheme, bucket, key


def open_store(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI, one per process and bucket, and the path inside it.

    Raises:
        StoreError: The URI is wrong, or the environment's settings do not open the store.
    """
    scheme, bucket, key = split_uri(uri)
    with explaining(uri):
        filesystem = _open_once(scheme, bucket, settings_of_stores())
    container = bucket.partition("@")[0]
    return filesystem, f"{container}/{key}".rstrip("/")


def settings_of_stores() -> tuple[tuple[str, str], ...]:
    """Return the environment's variables for stores, by name.

    They are part of the key of a cached client, so that a changed environment gets a new one.
    """
    return tuple((name, os.environ[name]) for name in _SETTINGS if name in os.environ)


def is_anonymous(settings: Mapping[str, str]) -> bool:
    """Whether requests to S3 must not be signed."""
    return settings.get("AWS_NO_SIGN_REQUEST", "").lower() in _TRUE


@contextlib.contextmanager
def explaining(uri: str) -> Generator[None]:
    """Convert a store's errors into one paragraph: the cause and the remedy.

    Raises:
        StoreError: The store refuses.
        StoreUnreachableError: It does not answer.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())
        for pattern, kind, meaning in _MEANINGS:
            if re.search(pattern, text.lower()):
                raise kind(f"{uri}: {meaning} (The store's answer: {text[:300]})") from None
        raise StoreError(
            f"{uri} cannot be used: {text[:500]}. Check the URI and the store's settings in the "
            "environment."
        ) from None


_SIGNED_IN = (
    "Check the credentials in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_KEY) on this machine and on every node."
)
_STATUS = "(http status|status code:)"
"""The status in errors of pyarrow and obstore."""
# Patterns of the stores' errors in lower case; the first that matches explains the error.
_MEANINGS: tuple[tuple[str, type[StoreError], str], ...] = (
    (
        "too_?skewed",
        StoreError,
        "the store refuses the request because this machine's clock is wrong. Set the clock, for "
        "example by NTP, and start again.",
    ),
    (
        "no_?such_?bucket|bucket does not exist|containernotfound|bucket '[^']*' not found",
        StoreError,
        "there is no such bucket. Check its name, or create it first: mvkt creates no buckets.",
    ),
    (
        f"permanent_?redirect|{_STATUS} 301|authorization_?header_?malformed",
        StoreError,
        "the bucket is in another region. Set AWS_REGION to the region of the bucket.",
    ),
    (
        "invalid_?access_?key|signature_?does_?not_?match|expired|unauthenticated|"
        "invalid_client_token|authenticationfailed|unrecognized_client|invalid_?token",
        StoreError,
        f"the store does not accept the credentials. {_SIGNED_IN}",
    ),
    (
        "defaultazurecredential|missing_authentication_token|oauth2|default credentials|"
        f"{_STATUS} 401",
        StoreError,
        f"there are no credentials for this store. {_SIGNED_IN}",
    ),
    (
        f"access_?denied|{_STATUS} 403|permission.denied|authorization(permission)?(failure|mism)",
        StoreError,
        "access is denied: the bucket is private, or read-only for these credentials. Give a "
        f"bucket that you may read and write. {_SIGNED_IN}",
    ),
    (
        "network_connection|resolve host|could not connect|time(d |_)?out|connection refused|"
        "slow_?down|unavailable|connection reset|internal_failure|error sending request|"
        f"error decoding response body|{_STATUS} 50",
        StoreUnreachableError,
        "the store does not answer. Check the network of this machine, and AWS_ENDPOINT_URL or "
        "STORAGE_EMULATOR_HOST where one is set; then start again.",
    ),
)


def expect_bucket(uri: str) -> None:
    """Raise unless the bucket of a URI exists: listing a missing one may return an empty list.

    Raises:
        StoreError: There is no such bucket, or access is denied.
    """
    filesystem, path = open_store(uri)
    bucket = path.partition("/")[0]
    with explaining(uri):
        if filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
            raise OSError(f"Bucket '{bucket}' not found")


def expect_readable(uri: str) -> None:
    """Raise unless the objects below a URI may be listed; at most two requests.

    Raises:
        StoreError: There is no such bucket, or access is denied.
    """
    filesystem, path = open_store(uri)
    with explaining(uri):
        is_there = filesystem.get_file_info(path).type != fs.FileType.NotFound
    if not is_there:
        expect_bucket(uri)


def check_writable(uri: str) -> None:
    """Write, read and delete a small object, so that long work cannot fail at its first write.

    Raises:
        StoreError: There is no such bucket, access is denied, or this machine's clock is wrong.
        StoreUnreachableError: The store does not answer.
    """
    filesystem, folder = open_store(uri)
    expect_bucket(uri)
    path = f"{folder}/.mvkt-{uuid.uuid4().hex}"
    with explaining(uri):
        with filesystem.open_output_stream(path) as stream:
            stream.write(b"mvkt")
        written = filesystem.get_file_info(path)
        with filesystem.open_input_file(path) as file:
            content = file.read()
        filesystem.delete_file(path)
    if content != b"mvkt":
        raise StoreError(
            f"{uri}: the store does not return the bytes that were just written to it. Give a "
            "store with read-after-write consistency, as S3, Google and Azure have."
        )
    skew_s = abs((datetime.now(UTC) - written.mtime).total_seconds())
    if skew_s > _MAX_SKEW_S:
        raise StoreError(
            f"{uri}: this machine's clock and the store's are {skew_s / 60:.0f} minutes apart. "
            f"Stores refuse requests that are signed more than {_MAX_SKEW_S / 60:.0f} minutes off. "
            "Set the clock, for example by NTP, and start again."
        )


def _open_s3(bucket: str, settings: Mapping[str, str]) -> fs.FileSystem:
    endpoint = settings.get("AWS_ENDPOINT_URL_S3") or settings.get("AWS_ENDPOINT_URL")
    region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION")
    if not endpoint:
        # Requests must go to the bucket's own region, which may differ from the user's default.
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region or "us-east-1",
        anonymous=is_anonymous(settings),
        # Without it even a small object takes three requests, and is no single atomic PUT.
        allow_delayed_open=True,
        background_writes=False,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_MAX_ATTEMPTS),
    )


def _open_google(_bucket: str, settings: Mapping[str, str]) -> fs.FileSystem:
    emulator = settings.get("STORAGE_EMULATOR_HOST")
    if emulator is None:
        return fs.GcsFileSystem(retry_time_limit=_GOOGLE_RETRY)
    scheme, _, host = emulator.rpartition("://")
    return fs.GcsFileSystem(
        anonymous=True,
        scheme=scheme or "http",
        endpoint_override=host.rstrip("/"),
        retry_time_limit=_GOOGLE_RETRY,
    )


def _open_azure(bucket: str, settings: Mapping[str, str]) -> fs.FileSystem:
    account = bucket.partition("@")[2].partition(".")[0]
    account = account or settings.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    if not account:
        raise StoreError(
            f"abfss://{bucket} names no storage account. Write abfss://CONTAINER@ACCOUNT.dfs."
            "core.windows.net/FOLDER, or set AZURE_STORAGE_ACCOUNT_NAME."
        )
    sas_token = settings.get("AZURE_STORAGE_SAS_TOKEN")
    key = settings.get("AZURE_STORAGE_KEY") or settings.get("AZURE_STORAGE_ACCOUNT_KEY")
    return fs.AzureFileSystem(account, account_key=None if sas_token else key, sas_token=sas_token)


_OPENERS: dict[str, Callable[[str, Mapping[str, str]], fs.FileSystem]] = {
    "s3": _open_s3,
    "gs": _open_google,
    "abfss": _open_azure,
}
_SETTINGS = (
    *("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("AWS_NO_SIGN_REQUEST", "AWS_ACCESS_KEY_ID", "STORAGE_EMULATOR_HOST"),
    *("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"),
    "AZURE_STORAGE_SAS_TOKEN",
)


@functools.cache
def _open_once(scheme: str, bucket: str, settings: tuple[tuple[str, str], ...]) -> fs.FileSystem:
    return _OPENERS[scheme](bucket, dict(settings))
