r"""Regular expressions of Java and PostgreSQL as RE2's, which DuckDB runs; or a reason why not.

Both search from left to right and prefer the first alternative, so what is spelled alike matches
alike. What differs is spelled out (``.`` and ``\s`` as the characters they stand for, letters
without regard to case as both), or refused: what RE2 lacks (look-around, back-references,
possessive quantifiers), what follows another edition of Unicode (``\p{L}``, ``\b``), and groups
that may match nothing and are repeated, which the engines count differently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot import exp

from noskew.translation.typed import Typed, Unfit, fill, text

_SPECIAL = "\\^$.|?*+()[]{}"
_SIMPLE = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}
_DIGIT, _WORD = "0-9", "A-Za-z0-9_"
_JAVA_SPACE, _POSTGRES_SPACE = r"\t-\r\x{20}", r"\t-\r\x{20}"
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "Alpha": "A-Za-z",
    "Digit": "0-9",
    "Alnum": "A-Za-z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "ASCII": r"\x{0}-\x{7f}",
    "XDigit": "0-9A-Fa-f",
    "Blank": r"\t\x{20}",
    "Space": _JAVA_SPACE,
}
_LINE_END = r"\n\r\x{85}\x{2028}\x{2029}"
_MAX_REPEAT = 1_000
_COUNT = re.compile(r"\{(\d{1,9})(,(\d{0,9}))?\}")


@dataclass(frozen=True)
class Pattern:
    """``text`` is RE2's spelling. ``groups``: how many capture. ``may_be_empty``: it may match the
    empty text. ``ends``: it has a ``$``, which Java finds before a final line break, too.
    """

    text: str
    groups: int
    may_be_empty: bool
    ends: bool


def java(pattern: str) -> Pattern:
    """A pattern of ``java.util.regex``. Raises Unfit."""
    return _Reader(pattern, is_java=True).read()


def postgres(pattern: str, *, ignores_case: bool = False) -> Pattern:
    """An advanced regular expression of PostgreSQL, to search with. Raises Unfit."""
    if pattern.startswith("***"):
        raise Unfit("a pattern that starts with *** means something else in PostgreSQL")
    return _Reader(pattern, is_java=False, ignores_case=ignores_case).read()


class _Reader:
    """Reads a pattern from left to right; each method returns RE2's spelling and its emptiness."""

    def __init__(self, pattern: str, *, is_java: bool, ignores_case: bool = False) -> None:
        self._text, self._at, self._groups, self._ends = pattern, 0, 0, False
        self._is_java, self._ignores_case = is_java, ignores_case
        self._space = _JAVA_SPACE if is_java else _POSTGRES_SPACE

    def read(self) -> Pattern:
        if self._is_java and self._text.startswith("(?i)"):
            self._ignores_case, self._at = True, 4
        written, is_empty = self._alternatives()
        if self._at < len(self._text):
            raise self._unfit("a ) that closes nothing")
        return Pattern(written, self._groups, is_empty, self._ends)

    def _unfit(self, what: str) -> Unfit:
        return Unfit(
            f"the pattern {self._text!r} has {what}, which DuckDB's regular expressions (RE2) lack "
            f"or read differently; write it without"
        )

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _take(self, length: int = 1) -> str:
        taken = self._peek(length)
        if len(taken) < length:
            raise self._unfit("an end too early")
        self._at += length
        return taken

    def _alternatives(self) -> tuple[str, bool]:
        written, is_empty = self._sequence()
        while self._peek() == "|":
            self._take()
            more, is_also = self._sequence()
            written, is_empty = f"{written}|{more}", is_empty or is_also
        return written, is_empty

    def _sequence(self) -> tuple[str, bool]:
        parts, is_empty = [], True
        while self._peek() not in ("", "|", ")"):
            written, may_be = self._repeated()
            parts.append(written)
            is_empty = is_empty and may_be
        return "".join(parts), is_empty

    def _repeated(self) -> tuple[str, bool]:
        is_group = self._peek() == "("
        is_edge = self._peek() in ("^", "$")
        written, is_empty = self._atom()
        count = self._quantifier()
        if not count:
            return written, is_empty
        if is_edge or self._peek() in ("*", "+", "?") or self._peek_count():
            raise self._unfit("a quantifier after another (or a possessive one)")
        if is_group and is_empty:
            raise self._unfit("a repeated group that may match nothing")
        return written + count, is_empty or count[0] in "*?" or count.startswith(("{0,", "{0}"))

    def _peek_count(self) -> bool:
        return _COUNT.match(self._text, self._at) is not None

    def _quantifier(self) -> str:
        written = ""
        if self._peek() in ("*", "+", "?"):
            written = self._take()
        elif count := _COUNT.match(self._text, self._at):
            if max(int(n) for n in (count[1], count[3] or "0")) > _MAX_REPEAT:
                raise self._unfit(f"a repetition of more than {_MAX_REPEAT}")
            written = self._take(len(count[0]))
        elif self._peek() == "{":
            raise self._unfit("a { that opens no count")
        if written and self._peek() == "?":
            if not self._is_java:
                raise self._unfit("a quantifier that takes as little as it can")
            written += self._take()
        return written

    def _atom(self) -> tuple[str, bool]:
        mark = self._take()
        if mark == "(":
            return self._group()
        if mark == "[":
            return self._class(), False
        if mark == "^":
            return r"\A", True
        if mark == "$":
            self._ends = True
            return (rf"(?:\r\n|[{_LINE_END}])?\z" if self._is_java else r"\z"), True
        if mark == ".":
            return (f"[^{_LINE_END}]" if self._is_java else r"(?s:.)"), False
        if mark == "\\":
            return self._escape()
        if mark in "*+?":
            raise self._unfit(f"a {mark} that repeats nothing")
        if mark in "{}]":
            raise self._unfit(f"a bare {mark}")
        return self._letter(mark), False

    def _group(self) -> tuple[str, bool]:
        opening = "("
        if self._peek() == "?":
            if self._peek(2) != "?:":
                raise self._unfit(f"a group that starts with ({self._peek(3)}")
            opening += self._take(2)
        else:
            self._groups += 1
        written, is_empty = self._alternatives()
        if self._peek() != ")":
            raise self._unfit("a ( that is not closed")
        self._take()
        return f"{opening}{written})", is_empty

    def _letter(self, letter: str) -> str:
        if self._ignores_case and letter.isalpha():
            if not letter.isascii():
                raise self._unfit(f"the letter {letter!r} without regard to case")
            return f"[{letter.upper()}{letter.lower()}]"
        return "\\" + letter if letter in _SPECIAL else _spelled(letter)

    def _escape(self) -> tuple[str, bool]:
        mark = self._take()
        if mark in "dDwWsS":
            return f"[{'^' if mark.isupper() else ''}{self._named(mark)}]", False
        if mark == "A":
            return r"\A", True
        if mark in ("z", "Z") and self._is_java == (mark == "z"):
            return r"\z", True
        if mark == "p" and self._is_java:
            return f"[{self._property()}]", False
        return self._letter(self._character(mark)), False

    def _named(self, mark: str) -> str:
        return {"d": _DIGIT, "w": _WORD, "s": self._space}[mark.lower()]

    def _property(self) -> str:
        braces = re.compile(r"\{(\w+)\}").match(self._text, self._at)
        if not braces or braces[1] not in _POSIX or self._ignores_case:
            name = braces[0] if braces else ""
            raise self._unfit(f"\\p{name}")
        self._at = braces.end()
        return _POSIX[braces[1]]

    def _character(self, mark: str) -> str:
        """The character that an escape stands for."""
        if mark in _SIMPLE:
            return _SIMPLE[mark]
        if mark in "xu":
            digits = self._take(2 if mark == "x" else 4)
            if not re.fullmatch("[0-9A-Fa-f]+", digits) or (mark == "x" and not self._is_java):
                raise self._unfit(f"\\{mark}{digits}")
            return chr(int(digits, 16))
        if mark.isalnum() or not mark.isascii():
            raise self._unfit(f"\\{mark}")
        return mark

    def _class(self) -> str:
        start = self._at
        negated = self._peek() == "^"
        if negated:
            self._take()
        parts: list[str] = []
        while self._peek() != "]" or not parts:
            parts.append(self._member(start))
        self._take()
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _member(self, start: int) -> str:
        mark = self._take()
        if mark in "[]" or (mark == "&" and self._peek() == "&"):
            raise self._unfit(f"{self._text[start - 1 : self._at]!r}: a class in a class")
        if mark == "\\":
            escaped = self._take()
            if escaped in "dws":
                return self._named(escaped)
            if escaped == "p" and self._is_java:
                return self._property()
            mark = self._character(escaped)
        last = self._range_end()
        if last is None:
            return self._both_cases(mark, mark)
        if last < mark:
            raise self._unfit(f"the range {mark}-{last}")
        return self._both_cases(mark, last)

    def _range_end(self) -> str | None:
        if self._peek() != "-" or self._peek(2) in ("-]", "-"):
            return None
        self._take()
        mark = self._take()
        if mark == "[" or (mark == "\\" and self._peek() in tuple("dDwWsSpP")):
            raise self._unfit("a range that ends with a class")
        return self._character(self._take()) if mark == "\\" else mark

    def _both_cases(self, first: str, last: str) -> str:
        span = _spelled(first) if first == last else f"{_spelled(first)}-{_spelled(last)}"
        if not self._ignores_case:
            return span
        if not (first.isascii() and last.isascii()):
            raise self._unfit("letters beyond ASCII without regard to case")
        letters = [c for c in map(chr, range(ord(first), ord(last) + 1)) if c.isalpha()]
        return span + "".join(c.swapcase() for c in letters)


def _spelled(character: str) -> str:
    """A character as it stands for itself, in a class of RE2 and outside of one."""
    if character.isalnum() and character.isascii():
        return character
    return f"\\x{{{ord(character):x}}}"


def likened(word: str, value: Typed, pattern: str, escape: str) -> exp.Expr:
    """LIKE or ILIKE. Raises Unfit where an escape character escapes nothing."""
    if len(escape) != 1 or escape in "%_":
        raise Unfit("the escape character of LIKE is one character, other than % and _")
    rest = pattern.replace(escape * 2, "")
    for at, mark in enumerate(rest):
        if mark == escape and rest[at + 1 : at + 2] not in ("%", "_"):
            raise Unfit(f"in {pattern!r} an escape is followed by neither %, _ nor itself")
    template = f"$1 {word} $2 ESCAPE $3"
    return fill(template, value.tree, text(pattern), text(escape))
