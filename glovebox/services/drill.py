"""The escape drill in AWS: started like a scan, judged when the logs are there, and missed when it is not.

Nothing here believes the drill: its report says where to look, and ECS whose address it had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from glovebox import log
from glovebox.dates import iso
from glovebox.drill.brief import Brief
from glovebox.drill.flow_log import LATE_SECONDS
from glovebox.drill.in_aws import Evidence, Judgement, Place, judged
from glovebox.drill.judge import NotTried, Verdict
from glovebox.drill.not_tried import NOT_TRIED
from glovebox.drill.ports import Addresses, Drills, Logs, TaskAddresses
from glovebox.drill.report import MAX_BYTES, Row, read_report
from glovebox.drill.request import DrillRequest
from glovebox.drill.run import ATTEMPTS, CONTROLS, IN_AWS
from glovebox.drill.tickets import ATTACKER_KEY, SCANNED_KEY, Scope, drill_tickets
from glovebox.errors import (
    ConfigurationError,
    InputError,
    NotFoundError,
    RefusedError,
    RejectedReportError,
    UpstreamError,
)
from glovebox.scans.model import MANIFEST_FILE, handoff_key, manifest_key, report_key
from glovebox.scans.ports import Clock, HandOff, Results, Tasks, Uploads
from glovebox.services.events import created_object
from glovebox.services.handoff import handed_off
from glovebox.services.ticket_key import TicketKey
from glovebox.services.uploaded import believed, manifest_of
from glovebox.siteaudit.addresses import public_address
from glovebox.text import plain

SITE = "example.com"
"""Kept by IANA for examples (RFC 2606): a tunnel to it and one request a week trouble nobody."""
EVIL, PUBLIC_RESOLVER, EVIL_IPV6 = "203.0.113.66", "192.0.2.53", "2001:db8::66"
"""Addresses of the documentation (RFC 5737, RFC 3849), which nobody has and nobody routes."""
METADATA = ("169.254.169.254", "169.254.170.2")
LINK_LOCAL_RESOLVER = "169.254.169.253"
PATIENCE = 3.0
"""Seconds for an answer from within the region."""
LIFE_SECONDS = 2_700
"""Ten minutes to start, twenty at most to try everything, and the upload."""
MARGIN = timedelta(minutes=5)
"""Before and after a drill in which its log lines may be dated."""
LAST_TRACE = timedelta(minutes=40)
"""Flow logs arrive within some fifteen minutes; what is not there then does not come."""
NEVER_DAYS = 1_000
ORDER, VERDICT = "order.json", "verdict.json"
ATTEMPT = 1

DRILL_ID = re.compile(r"drill-[0-9]{8}T[0-9]{6}Z")
_KEY = re.compile(rf"results/(?P<drill>{DRILL_ID.pattern})/{ATTEMPT}/{re.escape(MANIFEST_FILE)}")


class _Message(Struct, frozen=True):
    """SQS: the event of an upload, a quarter of an hour later."""

    id: str = msgspec.field(name="messageId")
    body: str = ""


class DrillEvent(Struct, frozen=True):
    """`{"start": true}`, `{"check": true}`, or messages of the queue."""

    start: bool = False
    check: bool = False
    scheduled_time: Annotated[str, Meta(max_length=32)] | None = msgspec.field(
        default=None, name="scheduledTime"
    )
    """Given by a schedule, which may fire twice: one drill a scheduled time."""
    messages: list[_Message] = msgspec.field(default_factory=list, name="Records")


class Order(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was known of a drill when it was started."""

    drill_id: str
    started_at: float
    task_arn: str
    gateway: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillSettings:
    region: str
    """The first of those that scanners may ask: the brief's names are of it."""
    own_region: str
    account: str
    bucket: str
    """Of ours, which the drill's ticket names; it holds no scan's data."""
    foreign_bucket: str
    """Of ours as well, which the ticket does not name."""
    results_bucket: str
    gateways: Sequence[str]
    """`address:port` of each zone's listener for sites."""
    aws_port: int
    scan_network: IPv4Network
    egress_network: IPv4Network
    flow_logs: Sequence[str]
    query_log: str
    ledger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    hand_off: HandOff
    uploads: Uploads
    tasks: Tasks
    task_addresses: TaskAddresses
    results: Results
    drills: Drills
    logs: Logs
    key: TicketKey
    addresses: Addresses
    settings: DrillSettings
    clock: Clock

    def handle(self, event: object) -> dict[str, object]:
        """Start, check or judge; the answer names the messages that shall come again.

        Raises InputError for any other event, ConfigurationError where there is no gateway to try.
        """
        try:
            order = msgspec.convert(event, DrillEvent)
        except msgspec.ValidationError as error:
            raise InputError(f"The event cannot be used: {error}.", fix='Send {"start": true}.') from error
        if order.start:
            return {"drillId": self._start(order.scheduled_time)}
        if order.check:
            return {"days": self._check()}
        if not order.messages:
            raise InputError("The event is neither an order nor a message.", fix='Send {"start": true}.')
        early = [message.id for message in order.messages if not self._judge(message.body)]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in early]}

    # ------------------------------------------------------------ start

    def _start(self, scheduled_time: str | None) -> str:
        moment = self.clock() if scheduled_time is None else _scheduled(scheduled_time)
        drill_id = f"drill-{moment:%Y%m%dT%H%M%SZ}"
        try:
            self.drills.read(drill_id, ORDER)
        except NotFoundError:
            pass
        else:
            log.info("drill exists already", drillId=drill_id)
            return drill_id
        gateway, site_port = self._gateway(moment)
        request = DrillRequest(scan_id=drill_id, brief=self._brief(drill_id, gateway, site_port))
        order = handed_off(
            self.hand_off,
            self.uploads,
            scan_id=drill_id,
            attempt=ATTEMPT,
            request=msgspec.json.encode(request),
            seconds=LIFE_SECONDS,
            token=drill_id,
        )
        now = self.clock()
        task_arn = self.tasks.start(order)
        kept = Order(drill_id=drill_id, started_at=now.timestamp(), task_arn=task_arn, gateway=gateway)
        self.drills.put(drill_id, ORDER, msgspec.json.encode(kept))
        log.info("drill started", drillId=drill_id, taskArn=task_arn, gateway=gateway)
        return drill_id

    def _gateway(self, moment: datetime) -> tuple[str, int]:
        """Each zone's in turn, week by week."""
        gateways = self.settings.gateways
        if not gateways:
            raise ConfigurationError(
                "There is no egress gateway, so a drill would prove nothing.", fix="Deploy the perimeter."
            )
        address, _, port = gateways[moment.isocalendar().week % len(gateways)].rpartition(":")
        return address, int(port)

    def _brief(self, drill_id: str, gateway: str, site_port: int) -> Brief:
        settings, site = self.settings, self._site()
        scope = Scope(
            scan=drill_id,
            now=int(self.clock().timestamp()),
            life=LIFE_SECONDS,
            account=settings.account,
            bucket=settings.bucket,
            site=SITE,
            address=site,
        )
        tickets = drill_tickets(self.key.signer(), scope)
        return Brief(
            gateway=gateway,
            aws_port=settings.aws_port,
            site_port=site_port,
            ticket=tickets.aws_api,
            site_ticket=tickets.site,
            bad_tickets=tickets.bad,
            region=settings.region,
            bucket=settings.bucket,
            foreign_bucket=settings.foreign_bucket,
            key=SCANNED_KEY,
            own_key=ATTACKER_KEY,
            site=SITE,
            origin=site,
            evil=EVIL,
            evil_ipv6=EVIL_IPV6,
            public_resolver=PUBLIC_RESOLVER,
            # AWS puts a network's resolver two above its first address.
            resolvers=(str(settings.scan_network[2]), LINK_LOCAL_RESOLVER),
            metadata=METADATA,
            # The last addresses of the networks, which no subnet has.
            neighbour=str(settings.scan_network[-2]),
            bystander=str(settings.egress_network[-2]),
            endpoint=f"api.ecr.{settings.own_region}.amazonaws.com",
            patience=PATIENCE,
        )

    def _site(self) -> str:
        for address in self.addresses(SITE):
            return str(public_address(address))
        raise UpstreamError(f"{SITE} has no address.", fix="See the resolver; the drill is tried again.")

    # ------------------------------------------------------------ check

    def _check(self) -> int:
        """How many days ago a drill was last judged; an alarm reads it off the log."""
        latest = self.drills.latest(VERDICT)
        days = NEVER_DAYS if latest is None else (self.clock() - latest).days
        log.info("drill age", days=days)
        return days

    # ------------------------------------------------------------ judge

    def _judge(self, body: str) -> bool:
        """Whether this message is done with; false where traces may still come."""
        found = created_object(_json(body), self.settings.results_bucket)
        match = _KEY.fullmatch(found.key)
        if match is None:
            raise RefusedError(f"The key {found.key[:120]!r} is none of a drill's.")
        drill_id = match["drill"]
        if self._is_judged(drill_id):
            log.info("drill is judged already", drillId=drill_id)
            return True
        order = msgspec.json.decode(self.drills.read(drill_id, ORDER), type=Order)
        rows, trouble = self._rows(order)
        judgement = judged(rows, CONTROLS, [one for one in IN_AWS if one.line], self._evidence(order, rows))
        bad = [verdict for verdict in judgement.verdicts if not verdict.good]
        leaked = [verdict for verdict in bad if verdict.outcome == "leaked"]
        ended = datetime.fromtimestamp(rows[-1].ended, UTC) if rows else None
        if bad and not leaked and ended is not None and self.clock() - ended < LAST_TRACE:
            log.info("traces are missing, and may still come", drillId=drill_id, untraced=len(bad))
            return False
        self._conclude(order, judgement, trouble)
        return True

    def _is_judged(self, drill_id: str) -> bool:
        try:
            self.drills.read(drill_id, VERDICT)
        except NotFoundError:
            return False
        return True

    def _rows(self, order: Order) -> tuple[list[Row], str]:
        """What the drill reported, and why that is nothing."""
        try:
            return self._reported(order), ""
        except RejectedReportError as rejection:
            log.error("drill's report rejected", drillId=order.drill_id, reason=rejection.reason)
            return [], rejection.reason

    def _reported(self, order: Order) -> list[Row]:
        scan_id = order.drill_id
        keys = manifest_key(scan_id, ATTEMPT), report_key(scan_id, ATTEMPT)
        versions = {key: self.results.versions(key) for key in keys}
        for key, found in versions.items():
            if len(found) > 1:
                log.error("second_upload", scanId=scan_id, attempt=ATTEMPT, object=key)
            if not found:
                raise RejectedReportError(f"{key} is not there.")
        (manifest_at, report_at), (announced, report) = keys, (found[0] for found in versions.values())
        manifest = manifest_of(self.results, manifest_at, announced, scan_id=scan_id, attempt=ATTEMPT)
        if not manifest.report_uploaded:
            raise RejectedReportError(f"The task sent no report: {plain(manifest.reason)}.")
        with believed(self.results, report_at, report, manifest, max_bytes=MAX_BYTES) as file:
            return read_report(file.read(), IN_AWS, order.started_at, self.clock().timestamp())

    def _evidence(self, order: Order, rows: Sequence[Row]) -> Evidence:
        settings = self.settings
        site_port = int(settings.gateways[0].rpartition(":")[2]) if settings.gateways else 0
        place = Place(
            scanner=self.task_addresses.address(order.task_arn),
            gateway=order.gateway,
            ports=(settings.aws_port, site_port),
            network=settings.scan_network,
        )
        began = datetime.fromtimestamp(order.started_at, UTC)
        last = rows[-1].ended + LATE_SECONDS if rows else order.started_at + LIFE_SECONDS
        ended = datetime.fromtimestamp(last, UTC) + MARGIN
        terms = (place.scanner, place.gateway)
        evidence = Evidence(place)
        for group in settings.flow_logs:
            evidence.flows(self.logs.lines(group, began - MARGIN, ended, (*terms, "SKIPDATA")))
        evidence.queries(self.logs.lines(settings.query_log, began - MARGIN, ended, terms))
        evidence.ledger(self.logs.lines(settings.ledger, began - MARGIN, ended, (place.scanner,)))
        return evidence

    def _conclude(self, order: Order, judgement: Judgement, trouble: str) -> None:
        verdicts = judgement.verdicts
        leaked = [verdict for verdict in verdicts if verdict.outcome == "leaked"]
        untraced = [verdict for verdict in verdicts if not verdict.good and verdict not in leaked]
        counts = {
            "attempts": sum(verdict.line > 0 for verdict in verdicts),
            "leaked": len(leaked),
            "untraced": len(untraced),
        }
        not_tried = [*NOT_TRIED, *_only_in_the_lab(), *judgement.not_tried]
        table = {
            "drillId": order.drill_id,
            "judgedAt": iso(self.clock()),
            **counts,
            "trouble": trouble,
            "verdicts": [verdict.row() for verdict in verdicts],
            "notTried": [{"line": one.line, "what": one.what, "why": one.why} for one in not_tried],
        }
        self.drills.put(order.drill_id, VERDICT, msgspec.json.encode(table))
        for message, bad in {"drill leaked": leaked, "drill untraced": untraced}.items():
            for verdict in bad:
                _tell(order.drill_id, message, verdict)
        log.info("drill judged", drillId=order.drill_id, **counts)
        self.hand_off.delete(
            handoff_key(order.drill_id, ATTEMPT, name) for name in ("inlet.env", "outlet.env", "request.json")
        )


def _tell(drill_id: str, message: str, verdict: Verdict) -> None:
    log.error(
        message, drillId=drill_id, line=verdict.line, attempt=verdict.name, evidence=plain(verdict.evidence)
    )


def _only_in_the_lab() -> list[NotTried]:
    return [NotTried(one.line, one.name, f"in AWS: {one.lab_only}") for one in ATTEMPTS if one.lab_only]


def _scheduled(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError("scheduledTime is no time.", fix="Use ISO 8601 with a Z.") from error


def _json(text: str) -> Mapping[str, object]:
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise InputError(f"The message is no event: {error}.") from error
