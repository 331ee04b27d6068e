"""What the services need to keep and to give out of sites; the adapters and the tests' fakes give it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from glovebox.sites.item import SiteItem, SiteSummary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a longer answer; `next` is where the rest begins, `None` at the end."""

    items: Sequence[T]
    next: tuple[str, ...] | None


class SiteStore(Protocol):
    """Records of sites by name and date."""

    def put(self, items: Iterable[SiteItem]) -> None:
        """Write all; what stands under the same name and date is overwritten."""
        ...

    def records(self, hosts: Iterable[str], scan_date: str) -> Iterator[bytes]:
        """The JSON of each host's record of that date, in the hosts' order; some may have none."""
        ...

    def summaries(self, hosts: Iterable[str], scan_date: str) -> Iterator[SiteSummary]:
        """As `records`, without the records themselves."""
        ...

    def before(self, hosts: Iterable[str], scan_date: str) -> Mapping[str, SiteSummary]:
        """Each host's last summary before that date; hosts that are new are left out."""
        ...

    def latest(self, fqdn: str) -> bytes | None:
        """The JSON of the newest record."""
        ...

    def at(self, fqdn: str, scan_date: str) -> bytes | None: ...

    def history(self, fqdn: str, *, before: str | None, limit: int) -> Page[SiteSummary]:
        """Newest first; `before` is an exclusive bound.  The page's `next` is `(scanDate,)`."""
        ...

    def domain_history(self, domain: str, *, after: tuple[str, ...] | None, limit: int) -> Page[SiteSummary]:
        """All sites of a domain, newest first.  The page's `next` is `(scanDate, FQDN)`."""
        ...


class RegistryName(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A site or a domain on record."""

    name: str
    domain: str | None = None
    first_seen: str
    last_seen: str


class Registry(Protocol):
    """Names on record."""

    def note(self, sites: Mapping[str, str], seen: str) -> None:
        """Note that each site (name → domain), and its domain, was audited at `seen`."""
        ...

    def names(
        self, kind: Literal["site", "domain"], *, after: tuple[str, ...] | None, limit: int
    ) -> Page[RegistryName]:
        """In alphabetical order.  The page's `next` is `(name,)`."""
        ...


@dataclass(frozen=True, slots=True)
class PublishedFile:
    key: str
    size: int


class Publication(Protocol):
    """The bucket of what the public may load."""

    def put(self, key: str, body: IO[bytes], content_type: str) -> None:
        """Write a whole object, streamed."""
        ...

    def zips(self) -> Sequence[PublishedFile]:
        """The zip files of all runs, in the order of their keys."""
        ...


class Secret(Protocol):
    def value(self) -> str:
        """Raises UpstreamError."""
        ...


class Topic(Protocol):
    def send(self, subject: str, body: str) -> None: ...
