"""Lines 12 and 13: the brokered credentials past the gateway, and for other things than reading an account.

In AWS the drill's credentials are those of the documentation, which open nothing: there these attempts show
what the network and the gateway refuse.  What IAM refuses, tests/policies proves.
"""

from __future__ import annotations

import json
import ssl

from glovebox.drill.brief import Key
from glovebox.drill.scanner import Scanner, attempt

NEIGHBOURS_KEY = Key("ASIAI55QH8DHBEXAMPLE", "Hn2xHnV6LyTr9Zb1pQwJmD5kRcUfGsXoEXAMPLE0")
"""As another task would have it; made public by AWS's documentation, like the others."""


@attempt(12, "the brokered credentials straight at AWS, past the gateway")
def past_the_gateway(scanner: Scanner) -> str:
    """In the lab the address is one to which AWS's names lead; in AWS it is the ticket's site."""
    url = f"https://{scanner.allowed}/?Action=GetCallerIdentity&Version=2011-06-15"
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with (
        scanner.connect(scanner.brief.origin, 443) as line,
        trusting.wrap_socket(line, server_hostname=scanner.allowed) as tls,
    ):
        return scanner.ask(tls, scanner.signed("GET", url, "sts"))


@attempt(12, "another task's credentials with our ticket")
def neighbours_key(scanner: Scanner) -> str:
    url = f"https://{scanner.allowed}/?Action=GetCallerIdentity&Version=2011-06-15"
    return scanner.inside(scanner.signed("GET", url, "sts", key=NEIGHBOURS_KEY))


@attempt(13, "S3 PutObject with the brokered key")
def put_object(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.bucket}/{scanner.marker}"
    return scanner.inside(scanner.signed("PUT", url, "s3", body=b"x"), host=scanner.s3)


@attempt(13, "Lambda CreateFunction with the brokered key")
def create_function(scanner: Scanner) -> str:
    host = f"lambda.{scanner.brief.region}.amazonaws.com"
    body = json.dumps({"FunctionName": scanner.marker, "Code": {"ZipFile": "UEs="}}).encode()
    url = f"https://{host}/2015-03-31/functions"
    return scanner.inside(scanner.signed("POST", url, "lambda", body=body), host=host)


@attempt(13, "CloudWatch Logs PutLogEvents with the brokered key")
def put_log_events(scanner: Scanner) -> str:
    events = [{"timestamp": 1, "message": scanner.marker}]
    return _json_call(scanner, "logs", "logs", "Logs_20140328.PutLogEvents", {"logEvents": events})


@attempt(13, "Secrets Manager GetSecretValue with the brokered key")
def get_secret_value(scanner: Scanner) -> str:
    wanted = {"SecretId": scanner.marker}
    return _json_call(scanner, "secretsmanager", "secretsmanager", "secretsmanager.GetSecretValue", wanted)


@attempt(13, "ECR GetAuthorizationToken with the brokered key")
def get_authorization_token(scanner: Scanner) -> str:
    target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
    return _json_call(scanner, "api.ecr", "ecr", target, {"registryIds": [scanner.marker]})


@attempt(13, "STS AssumeRole with the brokered key, posted")
def assume_role_posted(scanner: Scanner) -> str:
    body = f"Action=AssumeRole&Version=2011-06-15&RoleArn=x&RoleSessionName={scanner.marker}".encode()
    url, form = f"https://{scanner.allowed}/", "application/x-www-form-urlencoded"
    return scanner.inside(scanner.signed("POST", url, "sts", body=body, content_type=form))


@attempt(13, "STS AssumeRole with the brokered key, in the query")
def assume_role_asked(scanner: Scanner) -> str:
    url = f"https://{scanner.allowed}/?Action=AssumeRole&RoleArn=x&RoleSessionName={scanner.marker}"
    return scanner.inside(scanner.signed("GET", url, "sts"))


def _json_call(scanner: Scanner, label: str, service: str, target: str, content: object) -> str:
    host = f"{label}.{scanner.brief.region}.amazonaws.com"
    data = scanner.signed(
        "POST",
        f"https://{host}/",
        service,
        body=json.dumps(content).encode(),
        x_amz_target=target,
        content_type="application/x-amz-json-1.1",
    )
    return scanner.inside(data, host=host)
