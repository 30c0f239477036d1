"""Validation of files for Ray's cluster launcher by Ray's own code, without cloud access."""

import contextlib
import copy
import io
import logging
from collections.abc import Mapping
from typing import Any

import click
import jsonschema
from ray.autoscaler._private.util import prepare_config, validate_config

from mvkt_ray.errors import ConfigError


def validate_launcher_file(value: Mapping[str, Any], origin: str) -> None:
    """Run the checks of `ray up` that need no cloud access.

    Args:
        value: The file's content.
        origin: The file in a message.

    Raises:
        ConfigError: Ray refuses the file; the message has the key and the reason.
    """
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), _quiet("ray.autoscaler"):
            validate_config(prepare_config(copy.deepcopy(dict(value))))
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "the file"
        raise ConfigError(f"{origin}: {where}: {error.message} (from Ray's launcher).") from None
    except click.ClickException as error:
        text = " ".join([output.getvalue(), error.format_message()])
        raise ConfigError(
            f"{origin}: Ray's launcher rejects the file: {' '.join(text.split())}"
        ) from None
    except (
        AssertionError,
        AttributeError,
        KeyError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        # Ray uses parts of the file, such as their types, before it has validated them.
        text = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{origin}: Ray's launcher cannot read the file ({text}).") from None


@contextlib.contextmanager
def _quiet(name: str) -> Any:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
