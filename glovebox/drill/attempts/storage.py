"""Lines 14, 15 and 16: our own buckets, without a form or an address that `launch` signed.

All of it goes through the gateway.  The other way, S3's endpoint in the scan network, leaves no trace
(`not_tried.py`).  Of the keys in these requests nothing exists.
"""

from __future__ import annotations

from glovebox.drill.scanner import Scanner, attempt, request


@attempt(14, "a report into our own bucket with the brokered key, without its form")
def report_by_key(scanner: Scanner) -> str:
    url = _results(scanner, "report.jsonl")
    return scanner.inside(scanner.signed("PUT", url, "s3", body=b"x"), host=scanner.s3)


@attempt(14, "a report into our own bucket by an address that the attacker signed")
def report_by_address(scanner: Scanner) -> str:
    url = scanner.presigned("PUT", _results(scanner, "report.jsonl"))
    return scanner.inside(request("PUT", url, b"x"), host=scanner.s3)


@attempt(14, "a report into our own bucket by a form that the attacker made")
def report_by_form(scanner: Scanner) -> str:
    key = f"results/{scanner.marker}/1/report.jsonl"
    body = (
        f'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n{key}\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n'
    ).encode()
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}"
    fields = {"content-type": "multipart/form-data; boundary=b"}
    return scanner.inside(request("POST", url, body, **fields), host=scanner.s3)


@attempt(15, "the list of our own bucket with the brokered key")
def list_results(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}?list-type=2&prefix=results%2F{scanner.marker}"
    return scanner.inside(scanner.signed("GET", url, "s3"), host=scanner.s3)


@attempt(15, "another scan's report with the brokered key")
def read_report(scanner: Scanner) -> str:
    return scanner.inside(scanner.signed("GET", _results(scanner, "report.jsonl"), "s3"), host=scanner.s3)


@attempt(15, "another scan's request by an address that the attacker signed")
def read_request(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}/handoff/{scanner.marker}/1/request.json"
    made = scanner.presigned("GET", url)
    return scanner.inside(request("GET", made), host=scanner.s3)


@attempt(15, "an object of a bucket of the ticket")
def read_object(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.bucket}/{scanner.marker}"
    return scanner.inside(scanner.signed("GET", url, "s3"), host=scanner.s3)


@attempt(16, "a claim by an address that the attacker signed")
def claim_by_address(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}/claims/{scanner.marker}/1/claim.json"
    made = scanner.presigned("PUT", url)
    return scanner.inside(request("PUT", made, b"{}"), host=scanner.s3)


@attempt(16, "another scan's envelope by an address that the attacker signed")
def envelope_by_address(scanner: Scanner) -> str:
    url = f"https://{scanner.s3}/{scanner.brief.foreign_bucket}/handoff/{scanner.marker}/1/envelope.json"
    made = scanner.presigned("GET", url)
    return scanner.inside(request("GET", made), host=scanner.s3)


def _results(scanner: Scanner, name: str) -> str:
    return f"https://{scanner.s3}/{scanner.brief.foreign_bucket}/results/{scanner.marker}/1/{name}"
