"""Functions of text of Spark SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlglot import exp

from noskew.translation import patterns
from noskew.translation.rules import DialectFunction, repaired, same
from noskew.translation.typed import Typed, Unfit, fill, integer_literal, text

#: Small letters whose capitals are several letters, and that DuckDB leaves as they are.
_EXPANDED = (("ß", "ss"), ("ﬃ", "ffi"), ("ﬄ", "ffl"), ("ﬀ", "ff"), ("ﬁ", "fi"), ("ﬂ", "fl"))
_CASES = "except for letters of polytonic Greek, Armenian ligatures and the final sigma"


def _upper(value: Typed) -> exp.Expr:
    tree = value.tree
    for letter, letters in _EXPANDED:
        tree = fill(f"replace($1, '{letter}', '{letters}')", tree)
    return fill("upper($1)", tree)


# ------------------------------------------------------------------------------------ patterns


def _matches(value: Typed, pattern: str) -> exp.Expr:
    return fill("regexp_matches($1, $2)", value.tree, text(patterns.java(pattern).text))


def _extracted(value: Typed, pattern: str, group: int = 1) -> exp.Expr:
    known = patterns.java(pattern)
    if not 0 <= group <= known.groups:
        raise Unfit(f"the pattern {pattern!r} has {known.groups} groups, and {group} is asked for")
    if known.ends and group == 0:
        raise Unfit(f"the $ of {pattern!r} is found before a final line break, too; write \\z")
    template = "regexp_extract($1, $2, $3)"
    return fill(template, value.tree, text(known.text), integer_literal(group))


def _replaced(value: Typed, pattern: str, by: str) -> exp.Expr:
    known = _consuming(pattern)
    return fill(
        "regexp_replace($1, $2, $3, 'g')",
        value.tree,
        text(known.text),
        text(_replacement(by, known.groups)),
    )


def _counted(value: Typed, pattern: str) -> exp.Expr:
    known = _consuming(pattern)
    return fill("CAST(len(regexp_extract_all($1, $2)) AS INT)", value.tree, text(known.text))


def _all_extracted(value: Typed, pattern: str, group: int = 1) -> exp.Expr:
    known = _consuming(pattern)
    if not 0 <= group <= known.groups:
        raise Unfit(f"the pattern {pattern!r} has {known.groups} groups, and {group} is asked for")
    # A group that took no part is empty in Spark, and null in DuckDB.
    template = "list_transform(regexp_extract_all($1, $2, $3), lambda λ: coalesce(λ, ''))"
    return fill(template, value.tree, text(known.text), integer_literal(group))


def _consuming(pattern: str) -> patterns.Pattern:
    """A pattern that is looked for again and again. Raises Unfit."""
    known = patterns.java(pattern)
    if known.may_be_empty:
        raise Unfit(f"the pattern {pattern!r} may match nothing, and engines differ in how often")
    if known.ends:
        raise Unfit(f"the $ of {pattern!r} is found before a final line break, too; write \\z")
    return known


def _replacement(by: str, groups: int) -> str:
    r"""What matches are replaced by: Java's ``$1`` as RE2's ``\1``."""
    written, at = "", 0
    while at < len(by):
        mark, after = by[at], by[at + 1 : at + 2]
        at += 1
        if mark == "\\" and after:
            written, at = written + after.replace("\\", "\\\\"), at + 1
        elif mark == "$" and after.isdigit() and int(after) <= groups:
            if by[at + 1 : at + 2].isdigit():
                raise Unfit(f"the replacement {by!r} has a group of more than one digit")
            written, at = f"{written}\\{after}", at + 1
        elif mark in "\\$":
            raise Unfit(
                f"the replacement {by!r} is none in Java: it has a bare {mark}, or a group "
                f"that the pattern lacks"
            )
        else:
            written += mark
    return written


def _parts(value: Typed, pattern: str, limit: int = -1) -> exp.Expr:
    known = _consuming(pattern)
    parts = fill("string_split_regex($1, $2)", value.tree, text(known.text))
    if limit <= 0:
        return parts
    separator = pattern.removeprefix("\\") if len(pattern) == 2 else pattern
    if known.text != patterns.java(re.escape(separator)).text:
        raise Unfit("a split with a limit is known here for a plain text as separator")
    rest = "array_to_string(list_slice($1, $3, len($1)), $2)"
    cut = f"list_append(list_slice($1, 1, $3 - 1), {rest})"
    return fill(
        f"CASE WHEN len($1) > $3 THEN {cut} ELSE $1 END",
        parts,
        text(separator),
        integer_literal(limit),
    )


def _like(value: Typed, pattern: str, escape: str = "\\") -> exp.Expr:
    return patterns.likened("LIKE", value, pattern, escape)


def _ilike(value: Typed, pattern: str, escape: str = "\\") -> exp.Expr:
    if not pattern.isascii():
        raise Unfit("ILIKE is known here for a pattern in ASCII")
    return patterns.likened("ILIKE", value, pattern, escape)


# ------------------------------------------------------------------------------------ families


def _padded(side: str) -> Callable[..., exp.Expr]:
    def meaning(value: Typed, length: Typed, pad: str = " ") -> exp.Expr:
        if not pad:
            return fill("left($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END)", value.tree, length.tree)
        return fill(
            f"{side}pad($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END, $3)",
            value.tree,
            length.tree,
            text(pad),
        )

    return meaning


#: From a position that counts from 1, or from the end if it is negative; 0 is as 1. What is
#: before the first character is not there, but counts.
_SUBSTRING = (
    "CASE WHEN $2 > 0 THEN substring($1, CAST($2 AS BIGINT), CASE WHEN $3 < 0 THEN 0 ELSE $3 END) "
    "WHEN $2 = 0 THEN left($1, CASE WHEN $3 < 0 THEN 0 ELSE $3 END) "
    "WHEN $2 < 0 AND $3 IS NOT NULL THEN substring($1, greatest(length($1) + $2, 0) + 1, "
    "greatest(least(length($1) + $2 + $3, length($1)) - greatest(length($1) + $2, 0), 0)) END"
)
_SUBSTRING_TO_END = (
    "CASE WHEN $2 > 0 THEN substring($1, CAST($2 AS BIGINT)) WHEN $2 = 0 THEN $1 "
    "WHEN $2 < 0 THEN substring($1, greatest(length($1) + $2, 0) + 1) END"
)
_SUBSTRING_RULES = repaired(
    "position 0 is 1; negative ones count from the end, and those before the start count",
    ("string, int, int -> string", _SUBSTRING),
    ("string, int -> string", _SUBSTRING_TO_END),
)
_LENGTH = same(
    ("string -> int", "CAST(length($1) AS INT)"),
    ("bytes -> int", "CAST(octet_length($1) AS INT)"),
)
_UPPER = repaired(
    f"ß and the Latin ligatures become several letters; {_CASES}", ("string -> string", _upper)
)
_LOWER = repaired(
    f"İ becomes i and a dot above; {_CASES}", ("string -> string", "lower(replace($1, 'İ', 'i̇'))")
)
_REGEXP = repaired(
    "Java's patterns as RE2's; what RE2 lacks is refused", ("string, string! -> bool", _matches)
)
_SUBINDEX = (
    "CASE WHEN $3 = 0 OR $2 = '' THEN '' "
    "WHEN $3 > 0 THEN array_to_string(list_slice(string_split($1, $2), 1, CAST($3 AS BIGINT)), $2) "
    "ELSE array_to_string(list_slice(string_split($1, $2), CAST($3 AS BIGINT), -1), $2) END"
)
_SHA2: Mapping[int, str] = {0: "sha256(encode($1))", 256: "sha256(encode($1))"}


def _sha2(value: Typed, bits: int) -> exp.Expr:
    if bits not in _SHA2:
        raise Unfit(f"of sha2, 256 bits are known here, and {bits} are asked for")
    template = (
        "sha256($1)" if value.type is not None and value.type.kind == "bytes" else _SHA2[bits]
    )
    return fill(template, value.tree)


def _digest(name: str) -> DialectFunction:
    return same(("bytes -> string", f"{name}($1)"), ("string -> string", f"{name}(encode($1))"))


def _concatenated(*parts: Typed) -> exp.Expr:
    tree = parts[0].tree
    for part in parts[1:]:
        tree = exp.DPipe(this=tree, expression=part.tree)
    return tree


def _joined(separator: str, *parts: Typed) -> exp.Expr:
    trees = [text(separator), *(p.tree for p in parts)]
    return exp.Anonymous(this="concat_ws", expressions=trees)


def _part(value: Typed, separator: str, place: int) -> exp.Expr:
    if not separator or place == 0:
        raise Unfit("the separator is not empty, and parts count from 1, or from the end")
    return fill("split_part($1, $2, $3)", value.tree, text(separator), integer_literal(place))


STRINGS: Mapping[str, DialectFunction] = {
    **dict.fromkeys(("length", "char_length", "character_length", "len"), _LENGTH),
    "octet_length": same(
        ("string -> int", "CAST(strlen($1) AS INT)"),
        ("bytes -> int", "CAST(octet_length($1) AS INT)"),
    ),
    "bit_length": same(
        ("string -> int", "CAST(strlen($1) * 8 AS INT)"),
        ("bytes -> int", "CAST(octet_length($1) * 8 AS INT)"),
    ),
    **dict.fromkeys(("upper", "ucase"), _UPPER),
    **dict.fromkeys(("lower", "lcase"), _LOWER),
    "trim": same(("string -> string", "trim($1, ' ')")),
    "ltrim": same(
        ("string -> string", "ltrim($1, ' ')"), ("string, string -> string", "ltrim($2, $1)")
    ),
    "rtrim": same(
        ("string -> string", "rtrim($1, ' ')"), ("string, string -> string", "rtrim($2, $1)")
    ),
    "btrim": same(
        ("string -> string", "trim($1, ' ')"), ("string, string -> string", "trim($1, $2)")
    ),
    "trim both": same(("string, string -> string", "trim($1, $2)")),
    "trim leading": same(("string, string -> string", "ltrim($1, $2)")),
    "trim trailing": same(("string, string -> string", "rtrim($1, $2)")),
    "substring": _SUBSTRING_RULES,  # The parser makes it of substr, too.
    "left": repaired(
        "a length below 0 is 0",
        ("string, int -> string", "left($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END)"),
    ),
    "right": repaired(
        "a length below 0 is 0",
        ("string, int -> string", "right($1, CASE WHEN $2 < 0 THEN 0 ELSE $2 END)"),
    ),
    "substring_index": repaired(
        "counted from the left, or from the right if negative",
        ("string, string!, int -> string", _SUBINDEX),
    ),
    "instr": same(("string, string -> int", "CAST(instr($1, $2) AS INT)")),
    **dict.fromkeys(
        ("locate", "position"),
        repaired(
            "a start below 1 finds nothing",
            ("string, string -> int", "CAST(instr($2, $1) AS INT)"),
            (
                "string, string, int -> int",
                "CASE WHEN $2 IS NULL OR $1 IS NULL THEN NULL WHEN $3 IS NULL OR $3 < 1 THEN 0 "
                "WHEN instr(substring($2, CAST($3 AS BIGINT)), $1) = 0 THEN 0 "
                "ELSE CAST(instr(substring($2, CAST($3 AS BIGINT)), $1) + $3 - 1 AS INT) END",
            ),
        ),
    ),
    "lpad": repaired(
        "padding may be empty; a length below 0 is 0",
        ("string, int, string! -> string", _padded("l")),
        ("string, int -> string", _padded("l")),
    ),
    "rpad": repaired(
        "padding may be empty; a length below 0 is 0",
        ("string, int, string! -> string", _padded("r")),
        ("string, int -> string", _padded("r")),
    ),
    "repeat": same(
        ("string, int -> string", "repeat($1, CAST(CASE WHEN $2 < 0 THEN 0 ELSE $2 END AS BIGINT))")
    ),
    "space": same(
        ("int -> string", "repeat(' ', CAST(CASE WHEN $1 < 0 THEN 0 ELSE $1 END AS BIGINT))")
    ),
    "replace": repaired(
        "nothing is replaced where the text to look for is empty",
        ("string, string, string -> string", "replace($1, $2, $3)"),
        ("string, string -> string", "replace($1, $2, '')"),
    ),
    "translate": same(("string, string, string -> string", "translate($1, $2, $3)")),
    "concat": repaired(
        "null if any part is",
        ("list, … -> list", _concatenated),
        ("string, … -> string", _concatenated),
    ),
    "concat_ws": repaired("nulls are left out", ("string!, string, … -> string", _joined)),
    "ascii": same(("string -> int", "ascii($1)")),
    **dict.fromkeys(
        ("chr", "char"),
        repaired(
            "the remainder of 256 counts; below 0 it is empty",
            ("long -> string", "CASE WHEN $1 < 0 THEN '' ELSE chr(CAST($1 & 255 AS INT)) END"),
        ),
    ),
    **dict.fromkeys(("startswith",), same(("string, string -> bool", "starts_with($1, $2)"))),
    "endswith": same(("string, string -> bool", "ends_with($1, $2)")),
    "contains": same(("string, string -> bool", "contains($1, $2)")),
    **dict.fromkeys(("rlike", "regexp", "regexp_like"), _REGEXP),
    "regexp_extract": repaired(
        "Java's patterns as RE2's; group 1 unless another is named",
        ("string, string!, int! -> string", _extracted),
        ("string, string! -> string", _extracted),
    ),
    "regexp_extract_all": repaired(
        "Java's patterns as RE2's; group 1 unless another is named",
        ("string, string!, int! -> list<string>", _all_extracted),
        ("string, string! -> list<string>", _all_extracted),
    ),
    "regexp_replace": repaired(
        "Java's patterns and replacements as RE2's; all matches",
        ("string, string!, string! -> string", _replaced),
    ),
    "regexp_count": repaired("Java's patterns as RE2's", ("string, string! -> int", _counted)),
    "split": repaired(
        "Java's patterns as RE2's; with a limit for a plain separator",
        ("string, string! -> list<string>", _parts),
        ("string, string!, int! -> list<string>", _parts),
    ),
    "split_part": repaired(
        "beyond the ends it is empty; part 0 is refused", ("string, string!, int! -> string", _part)
    ),
    "like": repaired(
        "the escape character is \\ unless another is named",
        ("string, string! -> bool", _like),
        ("string, string!, string! -> bool", _like),
    ),
    "ilike": repaired(
        "the escape character is \\ unless another is named; patterns in ASCII",
        ("string, string! -> bool", _ilike),
        ("string, string!, string! -> bool", _ilike),
    ),
    "md5": _digest("md5"),
    **dict.fromkeys(("sha", "sha1"), _digest("sha1")),
    "sha2": same(("bytes, int! -> string", _sha2), ("string, int! -> string", _sha2)),
    "base64": same(
        ("bytes -> string", "to_base64($1)"), ("string -> string", "to_base64(encode($1))")
    ),
    "hex": repaired(
        "of numbers below 0 all 64 bits; of text its bytes",
        ("string -> string", "hex($1)"),
        ("bytes -> string", "hex($1)"),
        ("long -> string", "to_hex($1)"),
    ),
    "reverse": repaired(
        "code points, not what is seen as one sign",
        ("string -> string", "array_to_string(list_reverse(string_split($1, '')), '')"),
        ("list -> list", "list_reverse($1)"),
    ),
    "find_in_set": repaired(
        "0 where it has a comma or is not there",
        (
            "string, string -> int",
            "CASE WHEN contains($1, ',') AND $2 IS NOT NULL THEN 0 "
            "WHEN $1 IS NULL OR $2 IS NULL THEN NULL ELSE coalesce(list_position("
            "string_split($2, ','), $1), 0) END",
        ),
    ),
}
