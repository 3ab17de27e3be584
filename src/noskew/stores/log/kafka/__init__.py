"""Logs in topics of Apache Kafka, or of what speaks its protocol."""

from __future__ import annotations

from noskew.stores.log.kafka.log import KafkaLog
from noskew.stores.log.kafka.opening import open_log

__all__ = ["KafkaLog", "open_log"]
