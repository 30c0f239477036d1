"""Clients for conditional writes are opened with what the environment says."""

from pathlib import Path

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from mvkt_ray.errors import StoreError
from mvkt_ray.storage.conditional_clients import open_conditional
from mvkt_ray.storage.object_store import settings_of_stores


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, _ in settings_of_stores():
        monkeypatch.delenv(name)
    for name in ("AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")


def s3_config(uri: str) -> dict[str, object]:
    store, _ = open_conditional(uri)
    assert isinstance(store, S3Store)
    return {str(name).removeprefix("aws_"): value for name, value in store.config.items()}


def test_s3_has_the_endpoint_the_region_and_the_keys_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9001")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    config = s3_config("s3://ecg/a/b")
    assert config["endpoint"] == "http://127.0.0.1:9001"
    assert (config["region"], config["access_key_id"]) == ("eu-central-1", "key")
    assert open_conditional("s3://ecg/a/b")[1] == "a/b"


def test_s3_has_the_keys_of_a_profile_where_the_environment_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    file.write_text(
        "[default]\naws_access_key_id = one\naws_secret_access_key = s\n"
        "[lab]\naws_access_key_id = two\naws_secret_access_key = s\naws_session_token = t\n"
    )
    assert s3_config("s3://of-default/x")["access_key_id"] == "one"
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert s3_config("s3://of-lab/x")["access_key_id"] == "two"
    file.write_text("no profile")
    with pytest.raises(StoreError, match="cannot be read as credentials"):
        s3_config("s3://of-nobody/x")


def test_a_public_bucket_is_asked_without_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    assert str(s3_config("s3://public-bucket/x")["skip_signature"]).lower() == "true"


def test_google_and_azure_are_opened_with_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9023")
    google, key = open_conditional("gs://bucket/a/b")
    assert isinstance(google, GCSStore)
    assert "http://127.0.0.1:9023" in map(str, google.config.values())
    assert key == "a/b"
    monkeypatch.setenv("AZURE_STORAGE_KEY", "a2V5")
    azure, key = open_conditional("abfss://container@account.dfs.core.windows.net/a")
    assert isinstance(azure, AzureStore)
    assert {"account", "container"} <= set(map(str, azure.config.values()))
    assert key == "a"
