"""An S3 of its own process, moto's server, which refuses what is not signed with its key.

It checks the signatures of calls, not those of presigned URLs: `resigned` makes those anew with somebody else's code,
and `open` lets them pass.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import boto3  # type: ignore[import-untyped]
import httpx
from botocore.auth import S3SigV4QueryAuth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

BUCKET, PREFIX = "media-of-tests", "some/prefix"
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
#: Calls before signatures are checked: those that make the user, its rights, its key and the bucket.
_SETTING_UP = 4


@dataclass
class Bucket:
    """One S3 server with an empty bucket."""

    url: str
    key_id: str
    secret: str
    client: Any = field(repr=False)
    process: "subprocess.Popen[bytes]" = field(repr=False)

    @classmethod
    def start(cls) -> Self:
        """Start a server, and make a user and a bucket in it."""
        environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(_SETTING_UP)}
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        first = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        iam = boto3.client("iam", endpoint_url=url, region_name="us-east-1", **first)
        iam.create_user(UserName="gateway")
        iam.put_user_policy(UserName="gateway", PolicyName="all", PolicyDocument=json.dumps(_POLICY))
        key = iam.create_access_key(UserName="gateway")["AccessKey"]
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **first).create_bucket(Bucket=BUCKET)
        ours = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **ours)
        return cls(url, key["AccessKeyId"], key["SecretAccessKey"], client, process)

    @property
    def options(self) -> dict[str, str]:
        """What `media.storage_options` needs to reach it."""
        return {
            "endpoint": self.url,
            "region": "us-east-1",
            "access_key_id": self.key_id,
            "secret_access_key": self.secret,
        }

    def open(self) -> None:
        """Check no signatures any more."""
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"inf", trust_env=False).raise_for_status()

    def objects(self) -> list[str]:
        """Every object's key behind the prefix."""
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        assert all(one["Key"].startswith(f"{PREFIX}/") for one in found)
        return [one["Key"].removeprefix(f"{PREFIX}/") for one in found]

    def resigned(self, url: str, method: str = "GET") -> bool:
        """Whether a presigned URL carries the signature that the makers of S3 would give it."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        signature = query.pop("X-Amz-Signature")
        auth = S3SigV4QueryAuth(
            Credentials(self.key_id, self.secret), "s3", "us-east-1", expires=int(query["X-Amz-Expires"])
        )
        request = AWSRequest(method=method, url=f"{parts.scheme}://{parts.netloc}{parts.path}", params=query)
        request.context["timestamp"] = query["X-Amz-Date"]
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return bool(auth.signature(text, request) == signature)

    def stop(self) -> None:
        """End the server."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)
