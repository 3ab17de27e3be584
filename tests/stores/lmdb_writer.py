"""A process that writes to an LMDB store until it is killed: ``lmdb_writer.py directory seed``.

It prints the number of each batch once its write has returned. Batches and rows are functions of
the seed and the number, so that whoever reads the numbers knows what must be there.
"""

from __future__ import annotations

import sys
from hashlib import blake2b
from itertools import count
from random import Random

from noskew.stores.online.lmdb import LmdbStore

KEYS = 2_000
MAP_SIZE = 1 << 20


def batch(seed: int, number: int) -> dict[bytes, bytes]:
    """The rows of a batch; versions rise with its number."""
    chosen = Random(seed * 1_000_003 + number)
    keys = [b"%d/%d" % (seed, chosen.randrange(KEYS)) for _ in range(chosen.randint(1, 400))]
    return {key: row_of(key, number) for key in keys}


def row_of(key: bytes, version: int) -> bytes:
    """A row whose every byte follows from its key and version."""
    head = version.to_bytes(16, "big")
    return head + blake2b(key + head, digest_size=64).digest() * (1 + version % 7)


def main(directory: str, seed: int) -> None:
    with LmdbStore(directory, map_size=MAP_SIZE) as store:
        for number in count(1):
            rows = batch(seed, number)
            store.write(list(rows), list(rows.values()))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
