"""Clients of the HTTP server. They load neither kernel nor definitions."""

from __future__ import annotations

from noskew.client.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
