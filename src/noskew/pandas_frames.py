"""Arrow tables as pandas DataFrames that lose nothing: integers beside nulls stay integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noskew.errors import missing_extra

if TYPE_CHECKING:
    import pyarrow as pa


def to_pandas(table: pa.Table, *, arrow_backed: bool = False, index: Any = None) -> Any:
    """The table as a DataFrame. Raises MissingExtraError without pandas.

    Integers and bools are of NumPy's types, and of pandas' nullable ones (``Int64``, ``boolean``)
    in columns that have nulls: as floats they would be rounded beyond 2^53. Floats have NaN for
    null. ``arrow_backed``: every column is an Arrow array (``pandas.ArrowDtype``), so that null
    and NaN differ. ``index``: that of the rows.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise missing_extra("pandas", "pandas", "to_pandas()") from error
    if arrow_backed:
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    else:
        frame = table.to_pandas()
        nullable = _nullable(pd)
        for place, column in enumerate(table.columns):
            if column.null_count and column.type in nullable:
                frame.isetitem(place, column.to_pandas(types_mapper=nullable.get))
    if index is not None:
        frame.index = index
    return frame


def _nullable(pd: Any) -> dict[pa.DataType, Any]:
    """The types of pandas that hold what NumPy's cannot beside nulls."""
    import pyarrow as pa

    sizes = (8, 16, 32, 64)
    signed = {getattr(pa, f"int{n}")(): getattr(pd, f"Int{n}Dtype")() for n in sizes}
    unsigned = {getattr(pa, f"uint{n}")(): getattr(pd, f"UInt{n}Dtype")() for n in sizes}
    return {**signed, **unsigned, pa.bool_(): pd.BooleanDtype()}
