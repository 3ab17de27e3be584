"""Run on-demand functions: the same code in training and serving, over columns of rows."""

from __future__ import annotations

from noskew.kernel.on_demand.columns import Column, to_numpy
from noskew.kernel.on_demand.service import Functions, compute, run

__all__ = ["Column", "Functions", "compute", "run", "to_numpy"]
