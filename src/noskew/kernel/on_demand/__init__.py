"""Run on-demand functions: the same code in training and serving, over columns of rows."""

from __future__ import annotations

from noskew.kernel.on_demand.columns import Column
from noskew.kernel.on_demand.service import OnDemandFunctions, call_function, compute

__all__ = ["Column", "OnDemandFunctions", "call_function", "compute"]
