"""Where a table of DynamoDB is, as an address says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from noskew.errors import ConfigError
from noskew.stores.online.address import StoreAddress

#: How long a call waits for its answer, repeats of what was throttled included.
DEFAULT_TIMEOUT_S = 5.0
_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_REGION = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Place:
    """A table. There is no secret in it: credentials are found by boto3.

    Attributes
    ----------
    table
        Its name.
    region
        The region; None: the one that boto3 finds in the environment or the profile.
    endpoint
        ``http[s]://host:port`` of another server than that of the region.
    consistent
        Whether a read sees every write that was acknowledged before it.
    timeout_s
        How long a call waits for its answer, repeats of what was throttled included.
    """

    table: str
    region: str | None = None
    endpoint: str | None = None
    consistent: bool = True
    timeout_s: float = DEFAULT_TIMEOUT_S

    @classmethod
    def of(cls, address: StoreAddress) -> Place:
        """The place of ``dynamodb://table?region=…``. Raises ConfigError for another form."""
        address.only("region", "endpoint", "consistent", "timeout_s")
        options = address.options
        # Neither is repeated in a message: somebody may have put a secret there.
        if not _TABLE.fullmatch(address.place):
            raise ConfigError(
                "a DynamoDB address names a table, 3 to 255 letters, digits, '_', '.' or '-': "
                "'dynamodb://table?region=eu-west-1'; credentials are found as by boto3"
            )
        region, endpoint = options.get("region"), options.get("endpoint")
        if region is not None and not _REGION.fullmatch(region):
            raise ConfigError("region is the name of a region, such as 'eu-west-1'")
        if endpoint is not None:
            parts = urlsplit(endpoint)
            if (
                parts.scheme not in ("http", "https")
                or not parts.hostname
                or "@" in parts.netloc
                or parts.path.strip("/")
            ):
                raise ConfigError("endpoint is 'http://host:port' or 'https://host:port'")
        return cls(
            table=address.place,
            region=region,
            endpoint=endpoint,
            consistent=address.flag("consistent", True),
            timeout_s=address.seconds("timeout_s", DEFAULT_TIMEOUT_S),
        )

    @property
    def url(self) -> str:
        """The address that opens it."""
        options = {"region": self.region, "endpoint": self.endpoint}
        query = "&".join(f"{name}={value}" for name, value in options.items() if value)
        return f"dynamodb://{self.table}" + (f"?{query}" if query else "")

    def __str__(self) -> str:
        where = f" at {self.endpoint}" if self.endpoint else f" in {self.region or 'its region'}"
        return f"the DynamoDB table {self.table!r}{where}"
