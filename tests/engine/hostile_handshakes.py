"""TLS servers of a malicious host: damaged, endless, slow; certificates that want to break their reader."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from itertools import count, cycle

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID

from glovebox.farm.authority import Issued
from glovebox.farm.identities import Identities
from glovebox.farm.model import Dial, Handler, Relay, Tls, Writer
from glovebox.farm.web import site
from tests.engine.hostile_answers import DRIP_SECONDS, GOOD, RAW, damaged


def mutant_handshakes(seed: int) -> Relay:
    """A real server's bytes, the first packets of which are damaged; another damage each time."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    turns = count()

    async def relay(reader: asyncio.StreamReader, writer: Writer, dial: Dial) -> None:
        behind_reader, behind = await dial()
        wild = next(turns) > 0 and dice.random() < 0.6  # the first answer is whole, so that questions go on
        try:
            async with asyncio.TaskGroup() as group:
                upward = group.create_task(_carry(reader, behind, None))
                await _carry(behind_reader, writer, dice if wild else None)
                upward.cancel()
        finally:
            behind.close()

    return relay


async def _carry(reader: asyncio.StreamReader, writer: Writer, dice: random.Random | None) -> None:
    while data := await reader.read(65_536):
        writer.write(damaged(data, dice) if dice else data)
        await writer.drain()


def alternating(*answers: bytes | None) -> Relay:
    """One after the other: `None` is the real server, bytes are sent in its place."""
    turns = cycle(answers)

    async def relay(reader: asyncio.StreamReader, writer: Writer, dial: Dial) -> None:
        answer = next(turns)
        if answer is None:
            await _as_it_is(reader, writer, dial)
        else:
            await reader.read(65_536)
            writer.write(answer)
            await writer.drain()

    return relay


_as_it_is = mutant_handshakes(0)


async def drips(reader: asyncio.StreamReader, writer: Writer, dial: Dial) -> None:
    """The real server's answers, a byte at a time."""
    behind_reader, behind = await dial()
    try:
        async with asyncio.TaskGroup() as group:
            upward = group.create_task(_carry(reader, behind, None))
            while byte := await behind_reader.read(1):
                writer.write(byte)
                await writer.drain()
                await asyncio.sleep(DRIP_SECONDS / 20)
            upward.cancel()
    finally:
        behind.close()


def floods(record: bytes) -> Handler:
    """The same TLS record for ever."""

    async def handler(reader: asyncio.StreamReader, writer: Writer) -> None:
        await reader.read(65_536)
        while True:
            writer.write(record * 200)
            await writer.drain()

    return handler


FLOODS: Mapping[str, bytes] = {
    "empty-records": b"\x16\x03\x03\x00\x00",
    "warnings": b"\x15\x03\x03\x00\x02\x01\x70",
    "hello-requests": b"\x16\x03\x03\x00\x04\x00\x00\x00\x00",
    "ciphers-changed": b"\x14\x03\x03\x00\x01\x01",
    "endless-message": b"\x16\x03\x03\x00\x04\x02\x03\xff\xff",
    "ssl2": b"\xff\xff\x04" + bytes(64),
}


# ---------------------------------------------------------------- certificates


Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def _with(*names: str, subject: x509.Name | None = None, change: Change = lambda builder: builder) -> Tls:
    """A site whose certificate is changed before it is signed."""

    def identity(identities: Identities, host: str) -> Issued:
        usual = identities.issuing.issue([host])
        leaf = usual.certificate
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject or leaf.subject)
            .issuer_name(leaf.issuer)
            .public_key(leaf.public_key())
            .serial_number(leaf.serial_number)
            .not_valid_before(leaf.not_valid_before_utc)
            .not_valid_after(leaf.not_valid_after_utc)
            .add_extension(
                x509.SubjectAlternativeName(list(map(x509.DNSName, (host, *names)))), critical=False
            )
            .add_extension(
                leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value, critical=False
            )
        )
        signed = change(builder).sign(identities.issuing.private_key, hashes.SHA256())
        return usual.sending(signed, *usual.chain[1:])

    return Tls(site(GOOD), identity)


def _giant(size: int) -> Change:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(size))
    return lambda builder: builder.add_extension(extension, critical=False)


def _evil_subject() -> x509.Name:
    names = [f"{RAW}{number}" * 20 for number in range(50)]
    kind = x509.NameOID.ORGANIZATION_NAME
    return x509.Name([x509.NameAttribute(kind, name, _validate=False) for name in names])


def _addresses_everywhere(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    """Points at ourselves, at metadata and at endless addresses for its issuer and its revocation list."""
    urls = [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/x",
        "http://[::1]/",
        "http://visit-mute.fleet.test/",
    ]
    access = [
        x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url))
        for url in urls
    ]
    points = [
        x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in urls * 50
    ]
    return builder.add_extension(x509.AuthorityInformationAccess(access), critical=False).add_extension(
        x509.CRLDistributionPoints(points), critical=False
    )


def _sixty_times(identities: Identities, host: str) -> Issued:
    usual = identities.issuing.issue([host])
    return usual.sending(usual.certificate, *[identities.issuing.certificate] * 60)


CERTIFICATES: Mapping[str, Tls] = {
    "giant-extension": _with(change=_giant(100_000)),
    "too-giant-extension": _with(change=_giant(300_000)),
    "many-names": _with(*(f"n{n}.{'x' * 24}.example" for n in range(450))),
    "evil-subject": _with(subject=_evil_subject()),
    "addresses": _with(change=_addresses_everywhere),
    "long-chain": Tls(site(GOOD), _sixty_times),
}
