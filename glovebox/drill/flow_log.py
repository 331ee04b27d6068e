"""Records of VPC flow logs: the fields that our networks write, and what one record says.

Source: "Flow log records", Amazon VPC User Guide; fields of the versions 2 to 5.
"""

from __future__ import annotations

from dataclasses import dataclass

from glovebox.errors import InputError

FIELDS = (
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol",
    "packets", "bytes", "start", "end", "action", "log-status",
    "pkt-dst-aws-service", "flow-direction", "traffic-path",
)  # fmt: skip
"""The default ones in their order, and what tells S3's own addresses and ways from anybody's."""
FORMAT = " ".join(f"${{{name}}}" for name in FIELDS)
"""As `LogFormat` takes it."""
LATE_SECONDS = 60
"""A record's times may be later than its packets by so much, says the guide."""
INTERNET_GATEWAY = "8"
"""`traffic-path` of what went to the internet; 2 is that or an endpoint, 7 an endpoint."""
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 132: "sctp", 136: "udplite"}
"""IANA's numbers of those that have names here."""
_WITH_PORTS = frozenset({"tcp", "udp"})


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """One flow of one interface within a minute.  Times in seconds of the Unix epoch."""

    source: str
    target: str
    source_port: int
    port: int | None
    """`None` for protocols without ports."""
    protocol: str
    began: int
    ended: int
    accepted: bool
    service: str
    """`S3`, `AMAZON` and the like where the target is AWS's, else `-`."""
    path: str

    @property
    def socket(self) -> str:
        """The near end, as the hostile scanner writes it down."""
        return f"{self.protocol}/{0 if self.port is None else self.source_port}"


class LostRecordsError(InputError):
    """AWS says that it left out records: nothing follows from their absence."""


def read_flow(line: str) -> FlowRecord | None:
    """`None` for an interface without traffic.

    Raises LostRecordsError for a gap, InputError for a line that is no record of ours.
    """
    texts = line.split()
    if len(texts) != len(FIELDS):
        raise InputError(f"A flow log's line has {len(texts)} fields, not {len(FIELDS)}.")
    said = dict(zip(FIELDS, texts, strict=True))
    if said["log-status"] == "SKIPDATA":
        raise LostRecordsError("The flow log has a gap (SKIPDATA).")
    if said["log-status"] == "NODATA":
        return None
    try:
        number = int(said["protocol"])
        protocol = PROTOCOLS.get(number, str(number))
        return FlowRecord(
            source=said["srcaddr"],
            target=said["dstaddr"],
            source_port=int(said["srcport"]),
            port=int(said["dstport"]) if protocol in _WITH_PORTS else None,
            protocol=protocol,
            began=int(said["start"]),
            ended=int(said["end"]),
            accepted=said["action"] == "ACCEPT",
            service=said["pkt-dst-aws-service"],
            path=said["traffic-path"],
        )
    except ValueError as error:
        raise InputError(f"A flow log's line cannot be read: {error}.") from error
