"""An address is read, written down and read back, and never with a password in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.errors import ConfigError
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)
HOSTS = st.from_regex(r"[a-z][a-z0-9]{0,9}(\.[a-z]{2,5})?", fullmatch=True)


@given(user=st.just("") | WORDS, host=HOSTS, port=st.none() | st.integers(1, 65535), name=WORDS)
def test_what_was_written_down_is_read_back(
    user: str, host: str, port: int | None, name: str
) -> None:
    address = ServerAddress(user=user, host=host, port=port, database=name)
    again = ServerAddress.parse(str(address))
    assert again == address
    assert again.parameters()["dbname"] == name


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("postgresql://ann@db.lab:6000/ecg", "db.lab:6000"),
        ("postgresql://db/ecg?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem", "db:5432"),
        ("postgresql:///ecg?host=/run/postgresql", "/run/postgresql:5432"),
        ("postgresql:///?service=lab", "service lab"),
        ("postgresql://[2001:db8::1]:5433/ecg", "2001:db8::1:5433"),
    ],
)
def test_every_way_to_name_a_database_is_understood(text: str, place: str) -> None:
    address = ServerAddress.parse(text)
    assert address.place == place
    assert ServerAddress.parse(str(address)) == address
    assert address.optuna_url == str(address).replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:S3CRET@db/ecg",
        "postgresql://ann:S3CRET@x@db:5432/ecg",
        "postgresql://ann:S3/CRET@db/ecg",
        "postgresql://ann@db/ecg?password=S3CRET",
        "postgresql://ann@db/ecg?sslpassword=S3CRET",
        "mysql://ann:S3CRET@db/ecg",
        "postgresql://:S3CRET@db/ecg",
    ],
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="PGPASSFILE") as caught:
        ServerAddress.parse(text)
    assert "S3" not in str(caught.value)
    assert "CRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mysql://db/ecg", "not the URL of a PostgreSQL database"),
        ("ledger.db", "not the URL of a PostgreSQL database"),
        ("postgresql://db", "names no database"),
        ("postgresql:///ecg", "names no host"),
        ("postgresql://db/ecg?application_name=x", "application_name is not allowed"),
        ("postgresql://db:port/ecg", "not a valid URL"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ServerAddress.parse(text)
