"""Logs in directories of this machine."""

from __future__ import annotations

from noskew.stores.log.local.log import LocalLog

__all__ = ["LocalLog"]
