"""Logs in directories of this machine."""

from __future__ import annotations

from noskew.stores.log.local.log import LocalLog
from noskew.stores.log.local.opening import open_log

__all__ = ["LocalLog", "open_log"]
