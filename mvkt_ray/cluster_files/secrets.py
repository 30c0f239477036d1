"""Refuses keys and tokens in a cluster's file, which may be mailed, committed and backed up."""

import re

from mvkt_ray.errors import ConfigError

_SECRETS = (
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("an AWS secret key", re.compile(r"(?i)aws_secret_access_key[\"']?\s*[:=,]\s*\S")),
    ("an Azure account key", re.compile(r"(?i)accountkey=|azure_storage_(?:account_)?key\W*[:=]")),
    ("an Azure shared access signature", re.compile(r"(?i)[?&]sig=[\w%]{16,}|sas_token\W*[:=]")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    (
        "a Ray token",
        re.compile(r"RAY_AUTH_TOKEN(?:=|[\"']?\s*:)\s*[\"']?[^\s\"'$<{]|"
                   r"name:\s*[\"']?RAY_AUTH_TOKEN[\"']?\s*(?:,|\n)\s*value:"),
    ),
    ("an API key", re.compile(r"(?i)\b(?:wandb_api_key|mlflow_tracking_password)\W*[:=]\s*[^\s$]")),
)  # fmt: skip


def refuse_secrets(text: str, origin: str) -> None:
    """Raise if a text contains a pattern of a secret key; the message does not repeat the key.

    Raises:
        ConfigError: The message has the line and the kind of key.
    """
    for what, pattern in _SECRETS:
        found = pattern.search(text)
        if found is None:
            continue
        line = text.count("\n", 0, found.start()) + 1
        raise ConfigError(
            f"{origin}, line {line}: this looks like {what}. Remove it, and revoke it if anybody "
            "else has seen the file. Give nodes their permissions by an instance profile, a "
            "service account or a managed identity, and tokens by a file or a Secret."
        )
