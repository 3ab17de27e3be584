"""The write of a Redis online store: keep the greater version, decided inside the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha1

from noskew.stores.online.redis.address import pack

# Versions are compared as numbers, six bytes at a time (a Lua number is exact to 2**53), because
# ``<`` on Lua strings follows the locale the server was started in.
_IS_OLDER = b"""
local function is_older(a, b)
  local a1, a2, a3 = struct.unpack('>I6I6I4', a)
  local b1, b2, b3 = struct.unpack('>I6I6I4', b)
  if a1 ~= b1 then return a1 < b1 end
  if a2 ~= b2 then return a2 < b2 end
  return a3 < b3
end
"""

# One MGET and one MSET for a whole batch, rather than two calls for each key: half the time.
# MGET gives nothing for a key that is not a string, so what looks absent is asked for again.
_MANY = (
    _IS_OLDER
    + b"""
local held = redis.call('MGET', unpack(KEYS))
local absent, put, n = {}, {}, 0
for i, key in ipairs(KEYS) do
  local old, row = held[i], ARGV[i]
  if not old then
    absent[#absent + 1] = key
  elseif #old < 16 then
    return redis.error_reply('SHORTROW a value of ' .. #old .. ' bytes')
  end
  if not old or is_older(old, row) then
    put[n + 1], put[n + 2], n = key, row, n + 2
  end
end
if #absent > 0 and redis.call('EXISTS', unpack(absent)) > 0 then
  return redis.error_reply('WRONGTYPE a key holds something that is not a string')
end
if n > 0 then redis.call('MSET', unpack(put)) end
return n / 2
"""
)

# GETRANGE gives nothing for an absent key, and an error for one that is not a string.
_ONE = (
    _IS_OLDER
    + b"""
local old = redis.call('GETRANGE', KEYS[1], 0, 15)
if #old > 0 then
  if #old < 16 then return redis.error_reply('SHORTROW a value of ' .. #old .. ' bytes') end
  if not is_older(old, ARGV[1]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
)


def _sha(script: bytes) -> bytes:
    return sha1(script, usedforsecurity=False).hexdigest().encode()


LOAD_MANY = pack(b"SCRIPT", b"LOAD", _MANY)
LOAD_ONE = pack(b"SCRIPT", b"LOAD", _ONE)
_MANY_SHA = _sha(_MANY)
_ONE_HEAD = b"*5\r\n$7\r\nEVALSHA\r\n$40\r\n" + _sha(_ONE) + b"\r\n$1\r\n1\r\n"
#: Lua can pass about 8,000 values to a call and MSET takes two for a key; and a script keeps
#: every other client of the server waiting, at 2 to 3 µs a row.
MAX_KEYS = 1_000
_MAX_BYTES = 4 << 20


def pack_batch(keys: Sequence[bytes], rows: Sequence[bytes]) -> bytes:
    """The packed command that writes up to MAX_KEYS rows of distinct keys (see LOAD_MANY)."""
    return pack(b"EVALSHA", _MANY_SHA, len(keys), *keys, *rows)


def pack_new(keys: Sequence[bytes], rows: Sequence[bytes]) -> bytes:
    """The packed command that writes rows of distinct keys if none of them is there.

    Its reply is 1 if it did, else 0.
    """
    words = [b"MSETNX", *keys, *rows]
    words[1::2], words[2::2] = keys, rows
    return pack(*words)


def pack_each(keys: Sequence[bytes], rows: Sequence[bytes]) -> list[bytes]:
    """A packed command for each row (see LOAD_ONE)."""
    return [
        b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n" % (_ONE_HEAD, len(key), key, len(row), row)
        for key, row in zip(keys, rows, strict=True)
    ]


def batches(
    keys: Sequence[bytes], rows: Sequence[bytes], *, most: int = MAX_KEYS
) -> Iterator[tuple[Sequence[bytes], Sequence[bytes]]]:
    """The rows in parts of at most ``most``, and fewer where they are large."""
    largest = max(map(len, rows), default=1)
    step = max(1, min(most, _MAX_BYTES // largest))
    for at in range(0, len(keys), step):
        yield keys[at : at + step], rows[at : at + step]
