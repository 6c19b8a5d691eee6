"""A private S3 server: SeaweedFS, master, volume, filer and gateway in one process."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from free_ports import free_port
from private_process import PrivateProcess

from dicom_node.settings.bucket import Bucket

KEY, SECRET = "node", "a-secret-of-the-tests"
GRPC = 10000  # so far behind each of its ports SeaweedFS takes another one


class S3Server:
    """A running server, which can be killed and started again on what it holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = [free_port(GRPC) for _ in range(4)]
        self._process: PrivateProcess | None = None
        identity = {
            "name": "node",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def endpoint(self) -> str:
        """Say where it listens."""
        return f"http://127.0.0.1:{self._ports[3]}"

    @property
    def bucket(self) -> Bucket:
        """Say how it is reached, as the settings do."""
        return Bucket.model_validate(
            {"endpoint": self.endpoint, "access_key": KEY, "secret_key": SECRET}
        )

    @property
    def client(self) -> Any:  # noqa: ANN401 - boto3 publishes no types
        """Open a client of the test's own."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}),
        )

    def start(self) -> None:
        """Start it, and wait until it takes objects."""
        master, volume, filer, gateway = self._ports
        command = [
            str(Path(sys.executable).parent / "weed"),
            "server",
            f"-dir={self._folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={master}",
            "-master.volumeSizeLimitMB=256",
            f"-volume.port={volume}",
            "-volume.max=20",
            f"-filer.port={filer}",
            "-s3",
            f"-s3.port={gateway}",
            "-s3.port.iceberg=0",  # catalogs that nobody asks for, at ports that never change
            "-s3.port.lance=0",
            f"-s3.config={self._folder / 's3.json'}",
        ]
        self._process = PrivateProcess(command, self._folder / "weed.log")
        self._process.wait_until(self._takes_objects)

    def make_bucket(self, name: str) -> str:
        """Make a bucket, and return its address."""
        self.client.create_bucket(Bucket=name)
        return f"s3://{name}"

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _takes_objects(self) -> bool:
        try:
            client = self.client
            if "probe" not in [one["Name"] for one in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket="probe")
            client.put_object(Bucket="probe", Key="probe", Body=b"probe")
        except (BotoCoreError, ClientError):
            return False
        return True


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run one for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="fourviews-s3-") as folder:
        server = S3Server(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()
