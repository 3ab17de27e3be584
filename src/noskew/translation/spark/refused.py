"""Functions of Spark SQL that are refused, and why."""

from __future__ import annotations

from collections.abc import Mapping

_AGGREGATE = "an aggregate looks at many rows; use features=[ns.mean(…)] for that"
_ROWS = "it makes several rows of one"
_BEYOND = "its value depends on more than the row"
_WINDOW = "a window function looks at other rows. Transforms are row-wise"
_HASH = "DuckDB has no such hash; use md5, sha1 or sha2"
_FLOATS = "how floats are written differs; round to a decimal and cast that to a string"
_JSON = (
    "lenient and strict readers of JSON disagree on what is valid; write it in DuckDB's "
    "dialect: json_extract_string(text, '$.name')"
)
_STRUCT = "maps and structs are no types here; make columns of their parts in the source"
_BYTEWISE = "DuckDB counts bytes, not characters"
_TITLE = "words and letters are told apart by another edition of Unicode"

_REASONS: Mapping[str, str] = {
    _AGGREGATE: """
        any any_value approx_count_distinct approx_percentile array_agg avg bit_and bit_or bit_xor
        bool_and bool_or collect_list collect_set corr count count_if count_min_sketch covar_pop
        covar_samp every first first_value grouping grouping_id histogram_numeric kurtosis last
        last_value listagg max max_by mean median min min_by mode percentile percentile_approx
        regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
        skewness some std stddev stddev_pop stddev_samp string_agg sum try_avg try_sum var_pop
        var_samp variance
    """,
    _ROWS: """
        explode explode_outer posexplode posexplode_outer inline inline_outer stack json_tuple
        variant_explode
    """,
    _BEYOND: """
        current_date current_time current_timestamp current_timezone current_user current_catalog
        current_database current_schema session_user user now curdate localtimestamp rand randn
        random randstr uniform uuid shuffle monotonically_increasing_id spark_partition_id
        input_file_name input_file_block_length input_file_block_start version
    """,
    _WINDOW: """
        row_number rank dense_rank percent_rank cume_dist ntile lag lead nth_value window
        window_time session_window
    """,
    _HASH: "hash xxhash64 crc32",
    _FLOATS: "format_number format_string printf to_char to_varchar conv",
    _JSON: "get_json_object from_json to_json json_array_length json_object_keys schema_of_json",
    _STRUCT: """
        map map_concat map_contains_key map_entries map_filter map_from_arrays map_from_entries
        map_keys map_values map_zip_with str_to_map named_struct struct transform_keys
        transform_values arrays_zip parse_url from_csv to_csv
    """,
    _TITLE: "initcap soundex",
    _BYTEWISE: "levenshtein",
}

REFUSED: Mapping[str, str] = {
    name: reason for reason, names in _REASONS.items() for name in names.split()
}
