"""The log in a topic of Kafka, as a stream's declaration describes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noskew.clock import Clock
from noskew.errors import ConfigError
from noskew.stores.log.kafka.log import KafkaLog


def open_log(options: Mapping[str, Any], *, directory: Path, clock: Clock) -> KafkaLog:
    """The topic ``topic`` of the brokers in the environment variable ``servers_env``.

    See :func:`noskew.stores.log.open_log`.
    """
    del directory, clock  # the brokers keep the files, and say when they took a message
    servers = os.environ.get(options["servers_env"])
    if not servers:
        raise ConfigError(
            f"set the environment variable {options['servers_env']} to the brokers of its topic, "
            f"such as 127.0.0.1:9092"
        )
    return KafkaLog(options["topic"], {"bootstrap.servers": servers})
