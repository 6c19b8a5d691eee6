"""Object storage that takes the place of the spool's folder."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from dicom_node.settings.secrets import Secret
from dicom_node.settings.values import Table


def _spool(value: str) -> str:
    """Take nothing for a folder, or the address of a bucket."""
    bucket = value.removeprefix("s3://").partition("/")[0]
    if value and (not value.startswith("s3://") or not bucket):
        raise ValueError("wanted: s3://bucket/prefix, or nothing for a folder in data")
    return value


def _endpoint(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("wanted: https://host or https://host:port, or nothing for AWS")
    return value


SpoolPlace = Annotated[str, AfterValidator(_spool)]


class Bucket(Table):
    """How the bucket that `node.spool` names is reached."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] = ""
    region: str = "us-east-1"
    access_key: Secret = SecretStr("")
    secret_key: Secret = SecretStr("")
    ca_file: str = ""
    copies_megabytes: Annotated[int, Field(ge=100)] = 20000
