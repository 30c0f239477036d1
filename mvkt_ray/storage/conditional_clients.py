"""Clients of object stores with conditional writes: `obstore`, since pyarrow has no such writes.

They read the variables that `object_store` lists. From `~/.aws` they read only the keys of a
profile; `aws configure export-credentials --format env` prints variables for any other method.
"""

import configparser
import functools
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store
from pyarrow import fs

from mvkt_ray.errors import StoreError
from mvkt_ray.storage.object_store import explaining, is_anonymous, settings_of_stores, split_uri

_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_TIMEOUT_S, _CONNECT_S = 20, 5
_RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
"""obstore's own retries; the callers repeat or end a request that failed after them."""


def open_conditional(uri: str) -> tuple[ObjectStore, str]:
    """Return the client of a URI, one per process and bucket, and the key of the object.

    Raises:
        StoreError: The URI is wrong, or the environment's settings do not open the store.
    """
    scheme, bucket, key = split_uri(uri)
    with explaining(uri):
        return _open_once(scheme, bucket, settings_of_stores()), key


@functools.cache
def _open_once(scheme: str, bucket: str, settings: tuple[tuple[str, str], ...]) -> ObjectStore:
    return _OPENERS[scheme](bucket, dict(settings))


def _client() -> Any:
    # Plain HTTP is used only for an endpoint that the user gave with http://.
    seconds = {"timeout": _TIMEOUT_S, "connect_timeout": _CONNECT_S}
    return {"allow_http": True, **{name: timedelta(seconds=s) for name, s in seconds.items()}}


def _open_s3(bucket: str, settings: Mapping[str, str]) -> ObjectStore:
    endpoint = settings.get("AWS_ENDPOINT_URL_S3") or settings.get("AWS_ENDPOINT_URL")
    region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION")
    if not endpoint:
        region = fs.resolve_s3_region(bucket)
    config: Any = _keys_of_environment() or _keys_of_profile()
    config |= {"region": region or "us-east-1", "skip_signature": is_anonymous(settings)}
    config |= {"endpoint": endpoint} if endpoint else {}
    return S3Store(bucket, config=config, client_options=_client(), retry_config=_RETRIES)


def _keys_of_environment() -> dict[str, str]:
    return {key: os.environ[key.upper()] for key in _KEYS if key.upper() in os.environ}


def _keys_of_profile() -> dict[str, str]:
    """Return the keys in `~/.aws/credentials`; obstore finds a machine's role by itself."""
    file = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    profiles = configparser.RawConfigParser()
    try:
        profiles.read(Path(file).expanduser(), encoding="utf-8")
    except configparser.Error as error:
        raise StoreError(
            f"{file} cannot be read as credentials of AWS: {error}. Correct the file, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from None
    name = os.environ.get("AWS_PROFILE", "default")
    return {key: profiles[name][key] for key in _KEYS if profiles.has_option(name, key)}


def _open_google(bucket: str, settings: Mapping[str, str]) -> ObjectStore:
    config: Any = {}
    emulator = settings.get("STORAGE_EMULATOR_HOST")
    if emulator is not None:
        scheme, _, host = emulator.rpartition("://")
        url = f"{scheme or 'http'}://{host.rstrip('/')}"
        config = {"base_url": url, "skip_signature": True}
    return GCSStore(bucket, config=config, client_options=_client(), retry_config=_RETRIES)


def _open_azure(bucket: str, settings: Mapping[str, str]) -> ObjectStore:
    container, _, host = bucket.partition("@")
    account = host.partition(".")[0] or settings.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    config: Any = {"account_name": account}
    sas_token = settings.get("AZURE_STORAGE_SAS_TOKEN")
    key = settings.get("AZURE_STORAGE_KEY") or settings.get("AZURE_STORAGE_ACCOUNT_KEY")
    if sas_token:
        config["sas_key"] = sas_token
    elif key:
        config["account_key"] = key
    return AzureStore(container, config=config, client_options=_client(), retry_config=_RETRIES)


_OPENERS: dict[str, Callable[[str, Mapping[str, str]], ObjectStore]] = {
    "s3": _open_s3,
    "gs": _open_google,
    "abfss": _open_azure,
}
