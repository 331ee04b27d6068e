"""What must work: real clients with a ticket, through the daemon, to an origin that checks signatures."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import boto3
import pytest
import requests
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, ProxyConnectionError

from glovebox.tickets.proxy import ProxyTicket
from tests.perimeter.attacks import GOOD_URL, S3
from tests.perimeter.gateway import (
    BUCKET,
    FOREIGN_KEY_ID,
    FOREIGN_SECRET,
    KEY_ID,
    SCAN,
    SECRET,
    Gateway,
    ask,
    aws_claims,
    connect_request,
    site_claims,
)
from tests.perimeter.signing import exchange, signed

pytestmark = pytest.mark.squid


def needs(program: str, package: str) -> None:
    """Skips the test where the client is not installed; in CI it fails."""
    if shutil.which(program) is None:
        lacking = f"{program} is not installed (Debian: apt install {package})"
        if os.environ.get("CI"):
            pytest.fail(f"CI must run this test, but {lacking}", pytrace=False)
        pytest.skip(lacking)


def client(
    gateway: Gateway,
    service: str,
    *,
    key: str = KEY_ID,
    secret: str = SECRET,
    style: str = "path",
    ticket: ProxyTicket | None = None,
) -> BaseClient:
    """boto3 as a scanner has it: one attempt, the ticket in the proxy's URL, the gateway's authority."""
    return boto3.client(  # type: ignore[call-overload]  # the service is a variable
        service,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token="a-session-token",
        verify=gateway.authority,
        config=Config(
            proxies={"https": gateway.proxy(ticket or gateway.signer.sign(aws_claims()))},
            retries={"max_attempts": 0},
            s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
        ),
    )


def test_boto3_reads_with_the_brokered_key(gateway: Gateway) -> None:
    assert client(gateway, "sts").get_caller_identity()["Account"] == "123456789012"
    client(gateway, "s3").get_bucket_policy_status(Bucket=BUCKET)
    client(gateway, "s3", style="virtual").get_bucket_acl(Bucket=BUCKET)
    client(gateway, "ec2").describe_instances()
    assert {seen.status for seen in gateway.origin.seen[-4:]} == {200}
    assert gateway.origin.seen[-2].host == f"{BUCKET}.s3.us-east-1.amazonaws.com"


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_boto3_reads_buckets_that_the_ticket_does_not_name_at_the_gateways_own_s3(
    gateway: Gateway, style: str
) -> None:
    """Whose they are, the S3 endpoint decides; there is none on loopback."""
    named, unnamed = gateway.signer.sign(aws_claims()), gateway.signer.sign(aws_claims(buckets="account"))
    with closing(client(gateway, "s3", style=style, ticket=unnamed)) as aws:
        aws.get_bucket_acl(Bucket="never-heard-of")
    assert gateway.origin.seen[-1].status == 200
    # By name it is refused at the door, and boto3 calls that a proxy's failure.
    with (
        closing(client(gateway, "s3", style=style, ticket=named)) as aws,
        pytest.raises((ClientError, ProxyConnectionError)),
    ):
        aws.get_bucket_acl(Bucket="never-heard-of")


REFUSED: dict[str, tuple[str, Callable[[BaseClient], object]]] = {
    "a query": ("iam", lambda aws: aws.list_users()),
    "a bucket": ("s3", lambda aws: aws.get_bucket_acl(Bucket=BUCKET)),
    "JSON": ("secretsmanager", lambda aws: aws.list_secrets()),
    "JSON over paths": ("lambda", lambda aws: aws.list_functions()),
}


@pytest.mark.parametrize("how", REFUSED)
def test_boto3_shows_that_the_gateway_refused_and_why(gateway: Gateway, how: str) -> None:
    service, ask_for = REFUSED[how]
    with (
        closing(client(gateway, service, key=FOREIGN_KEY_ID, secret=FOREIGN_SECRET)) as foreign,
        pytest.raises(ClientError, match="foreign_key") as refused,
    ):
        ask_for(foreign)
    assert refused.value.response["Error"]["Code"] == "EgressDenied"


def test_what_a_service_itself_refuses_keeps_its_own_name(gateway: Gateway) -> None:
    with (
        closing(client(gateway, "secretsmanager", secret=FOREIGN_SECRET)) as wrong,
        pytest.raises(ClientError) as refused,
    ):
        wrong.list_secrets()
    assert gateway.origin.seen[-1].status == 403
    assert refused.value.response["Error"]["Code"] != "EgressDenied"


def test_boto3_shows_that_a_host_is_closed(gateway: Gateway) -> None:
    with pytest.raises(ProxyConnectionError, match="proxy"):
        client(gateway, "rds-data").begin_transaction(resourceArn="a" * 12, secretArn="a" * 12)


def test_requests_reads_over_a_kept_connection(gateway: Gateway) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": gateway.proxy(gateway.signer.sign(aws_claims()))}
        session.verify = gateway.authority
        for _ in range(20):
            head, _, _ = signed("GET", GOOD_URL).partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
            assert session.get(GOOD_URL, headers=headers, timeout=10).status_code == 200


def test_curl_signs_and_reads(gateway: Gateway) -> None:
    needs("curl", "curl")
    command = [
        "curl", "--silent", "--show-error", "--max-time", "10", "--cacert", gateway.authority,
        "--proxy", gateway.proxy(gateway.signer.sign(aws_claims())),
        "--user", f"{KEY_ID}:{SECRET}", "--aws-sigv4", "aws:amz:us-east-1:iam",
        "--output", "/dev/null", "--write-out", "%{http_code}",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == ("200", "")


GO_CLIENT = """package main
import ("bufio"; "crypto/tls"; "crypto/x509"; "fmt"; "net/http"; "net/url"; "os")
func main() {
	pem, _ := os.ReadFile(os.Args[1])
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	proxy, err := url.Parse(os.Args[2])
	if err != nil { fmt.Println(err); os.Exit(1) }
	request, err := http.ReadRequest(bufio.NewReader(os.Stdin))
	if err != nil { fmt.Println(err); os.Exit(1) }
	request.RequestURI = ""
	request.URL, _ = url.Parse(os.Args[3])
	trust := &tls.Config{RootCAs: roots}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: trust}}
	answer, err := client.Do(request)
	if err != nil { fmt.Println(err); os.Exit(1) }
	fmt.Print(answer.StatusCode)
}
"""


def test_gos_client_accepts_the_leaf_and_reads(gateway: Gateway, tmp_path: Path) -> None:
    needs("go", "golang-go")
    program = tmp_path / "client.go"
    program.write_text(GO_CLIENT)
    proxy = gateway.proxy(gateway.signer.sign(aws_claims()))
    done = subprocess.run(
        ["go", "run", str(program), gateway.authority, proxy, GOOD_URL],
        input=signed("GET", GOOD_URL),
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert (done.stdout, done.returncode) == (b"200", 0), done.stderr[-1_000:]


NODE_CLIENT = """
const fs = require("node:fs"), http = require("node:http"), https = require("node:https");
const tls = require("node:tls");
const [authority, proxyUrl, url] = process.argv.slice(2);
const proxy = new URL(proxyUrl), target = new URL(url);
const lines = fs.readFileSync(0, "utf8").trim().split("\\r\\n").slice(1);
const headers = Object.fromEntries(lines.map((line) => line.split(": ", 2)));
const pair = decodeURIComponent(proxy.username) + ":" + decodeURIComponent(proxy.password);
const ticket = "Basic " + Buffer.from(pair).toString("base64");
const place = target.hostname + ":443";
const asked = http.request({
  host: proxy.hostname, port: proxy.port, method: "CONNECT", path: place,
  headers: { Host: place, "Proxy-Authorization": ticket },
});
asked.on("connect", (answer, socket) => {
  const inside = tls.connect({ socket, servername: target.hostname, ca: fs.readFileSync(authority) });
  const path = target.pathname + target.search;
  const request = https.request({ host: target.hostname, path, headers, createConnection: () => inside });
  request.on("response", (response) => {
    process.stdout.write(String(response.statusCode));
    inside.destroy();
  });
  request.end();
}).end();
"""


def test_nodes_client_accepts_the_leaf_and_reads(gateway: Gateway, tmp_path: Path) -> None:
    needs("node", "nodejs")
    program = tmp_path / "client.js"
    program.write_text(NODE_CLIENT)
    proxy = gateway.proxy(gateway.signer.sign(aws_claims()))
    done = subprocess.run(
        ["node", str(program), gateway.authority, proxy, GOOD_URL],
        input=signed("GET", GOOD_URL),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == (b"200", 0), done.stderr[-1_000:]


def test_every_allowed_host_is_covered_by_the_leaf(gateway: Gateway) -> None:
    """A request that is no GET of ours is refused inside TLS, which needs a handshake that holds."""
    hosts = (gateway.folder / "allow-list.txt").read_text().split("\n")[1:-1]
    reached = [host for host in hosts if not host.startswith(("kms.", "s3-control."))]
    assert len(reached) > 150
    for host in reached:
        assert exchange(gateway, host, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())[0] == 403


ODD = {
    "no Host at all": lambda good: good.replace(f"Host: {S3}\r\n".encode(), b""),
    "a name before the Host": lambda good: good.replace(b"Host: ", b"Host: evil.test@"),
    "another server name in TLS": lambda good: good,
    "a second, foreign Authorization": lambda good: good.replace(
        b"\r\n\r\n", f"\r\nAuthorization: AWS4-HMAC-SHA256 Credential={FOREIGN_KEY_ID}/x\r\n\r\n".encode()
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_but_good_goes_only_where_and_as_it_was_judged(gateway: Gateway, name: str) -> None:
    raw = ODD[name](signed("GET", GOOD_URL))
    sni = "dynamodb.us-east-1.amazonaws.com" if "server name" in name else ""
    assert exchange(gateway, S3, raw, sni=sni)[0] == 200
    seen = gateway.origin.seen[-1]
    assert seen.host == S3
    (authorization,) = seen.values("Authorization")
    assert f"Credential={KEY_ID}/" in authorization


def test_only_the_content_type_that_was_judged_goes_on(gateway: Gateway) -> None:
    """Whoever reads the last of two would find a form that nobody judged."""
    judged = "application/x-amz-json-1.1; charset=utf-8"
    raw = signed(
        "POST",
        "https://ecs.us-east-1.amazonaws.com/",
        body=b"{}",
        headers={
            "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters",
            "Content-Type": judged,
        },
    )
    form = b"Content-Type: multipart/form-data; boundary=b"
    twice = raw.replace(f"Content-Type: {judged}".encode(), f"Content-Type: {judged}\r\n".encode() + form)
    assert exchange(gateway, "ecs.us-east-1.amazonaws.com", twice)[0] == 200
    assert gateway.origin.seen[-1].values("Content-Type") == [judged]


def test_the_origin_learns_nothing_of_the_gateway_or_the_ticket(gateway: Gateway) -> None:
    exchange(
        gateway,
        S3,
        signed("GET", GOOD_URL).replace(b"\r\n\r\n", b"\r\nProxy-Authorization: Basic eDp5\r\n\r\n"),
    )
    names = {name.lower() for name, _ in gateway.origin.seen[-1].headers}
    assert names.isdisjoint(
        {"via", "x-forwarded-for", "forwarded", "proxy-authorization", "proxy-connection"}
    )


def test_an_allowed_request_is_in_the_ledger_with_its_scan_and_without_its_query(gateway: Gateway) -> None:
    # Lines of the tests before may come late; nobody else asks here.
    mark, host = len(gateway.ledger()), S3.replace("us-east-1", "eu-west-1")
    url = f"{GOOD_URL.replace(S3, host)}&secret=value"
    exchange(gateway, host, signed("GET", url, region="eu-west-1"))
    seen = gateway.lines_since(mark, lambda line: (line["method"], line["host"]) == ("GET", host))
    lines = [line for line in seen if line["host"] == host]
    assert [(line["scan"], line["reason"], line["status"]) for line in lines] == [(SCAN, "allowed", 200)] * 2
    assert {line["upstream"] for line in lines if line["method"] == "GET"} == {gateway.places.origin}
    assert lines[-1]["client_port"] == lines[0]["client_port"]
    assert "secret" not in str(lines)


def test_a_sites_ticket_opens_a_tunnel_that_nobody_reads(gateway: Gateway) -> None:
    """Bytes that are no TLS arrive as they were sent, and the answer comes back."""
    with socket.create_server((gateway.places.evil, 0)) as server:
        port = server.getsockname()[1]

        def echo() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100)[::-1])

        thread = threading.Thread(target=echo)
        thread.start()
        ticket = gateway.signer.sign(site_claims([gateway.places.evil], ports=[port]))
        tunnel = ask(gateway, connect_request(f"{gateway.places.evil}:{port}", ticket), port=3129)
        with tunnel.connection:
            assert tunnel.status == 200
            tunnel.connection.sendall(b"\x16\x03\x01 not TLS")
            assert tunnel.connection.recv(100) == b"SLT ton \x01\x03\x16"
        thread.join()


def test_expiry_counts_at_every_request_of_an_open_tunnel(gateway: Gateway) -> None:
    """The verifier's answer is kept for a minute; the judge's is not."""
    now = int(time.time())
    ticket = gateway.signer.sign(aws_claims(iat=now - 60, nbf=now - 60, exp=now - 27))
    assert exchange(gateway, S3, signed("GET", GOOD_URL), ticket=ticket)[0] == 200
    time.sleep(now + 4 - time.time())
    tunnel = ask(gateway, connect_request(f"{S3}:443", ticket))
    tunnel.connection.close()
    assert tunnel.status == 407
