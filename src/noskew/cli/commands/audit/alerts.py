"""audit alerts: who is told if what was served is not what the facts say."""

from __future__ import annotations

from importlib.resources import files

from noskew.cli.console import out


def alerts() -> None:
    """Print alert rules for Prometheus: skew, audits that stopped, answers that are not kept."""
    text = files("noskew.audit").joinpath("alerts.yaml").read_text(encoding="utf-8")
    out.print(text, end="", soft_wrap=True, markup=False)
