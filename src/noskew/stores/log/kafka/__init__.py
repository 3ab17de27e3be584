"""Logs in topics of Apache Kafka, or of what speaks its protocol."""

from __future__ import annotations

from noskew.stores.log.kafka.log import KafkaLog

__all__ = ["KafkaLog"]
