"""What boto3 finds of an account: credentials, the region, the server of the region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from noskew.errors import StoreConfigError, StoreUnavailableError, missing_extra
from noskew.stores.online.dynamodb.place import Place

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
except ImportError as _error:
    raise missing_extra("boto3", "dynamodb", "a DynamoDB online store") from _error


class Keys(Protocol):
    """What a request is signed with."""

    access_key: str
    secret_key: str
    token: str | None


class _Credentials(Protocol):
    def get_frozen_credentials(self) -> Keys: ...


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks which server."""

    endpoint: str
    region: str
    credentials: _Credentials

    def keys(self) -> Keys:
        """What to sign with now; temporary credentials are renewed in time.

        Raises StoreUnavailableError if they cannot be renewed.
        """
        try:
            return self.credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise StoreUnavailableError(
                f"the AWS credentials cannot be renewed ({type(error).__name__}); try again, or "
                f"look at what gives them to this process"
            ) from None  # its text may hold what a program printed that gives credentials


def find_account(place: Place) -> Account:
    """As boto3 finds it: environment, profile, container, instance.

    Raises StoreConfigError where there is no region or there are no credentials.
    """
    try:
        session = boto3.Session(region_name=place.region)
        region = session.region_name
        if region is None:
            raise StoreConfigError(
                "no AWS region is set: add '?region=…' to the address, or set AWS_REGION"
            )
        credentials = session.get_credentials()
        if credentials is None:
            raise StoreConfigError(
                "no AWS credentials are found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                "(for a local server anything will do), name an AWS_PROFILE, or give the machine a "
                "role"
            )
        # Only to learn the server: requests are sent by this package, at a fifth of the cost.
        client = session.client(
            "dynamodb", endpoint_url=place.endpoint, config=Config(max_pool_connections=1)
        )
        endpoint = client.meta.endpoint_url
        client.close()
    except BotoCoreError as error:
        raise StoreConfigError(
            f"boto3 cannot be set up for {place} ({type(error).__name__}); look at the profile and "
            f"the environment"
        ) from None
    return Account(endpoint, region, credentials)
