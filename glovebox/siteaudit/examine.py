"""One site, from its name to its page: the order of the questions, and the tools that all sites share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from glovebox.siteaudit.assemble import Findings
from glovebox.siteaudit.certificates.judge import IssuerDocuments, judge_certificate
from glovebox.siteaudit.certificates.trust import TrustStore
from glovebox.siteaudit.connect import Endpoint
from glovebox.siteaudit.failures import Stage
from glovebox.siteaudit.network import Network
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.tls.probe import probe_tls
from glovebox.siteaudit.web.documents import HttpDocuments
from glovebox.siteaudit.web.url import site_url
from glovebox.siteaudit.web.visit import Visitor


@dataclass(frozen=True, slots=True)
class Examiner:
    """Asks one site after the other, any number at once, with the tools of one run."""

    settings: AuditSettings
    listed: frozenset[str]
    """The run's own names: redirects among them are followed, others are recorded."""
    network: Network
    trust: TrustStore
    documents: IssuerDocuments

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: AuditSettings, network: Network, *, listed: frozenset[str]
    ) -> AsyncIterator[Examiner]:
        trust = TrustStore(settings.extra_roots)
        documents = IssuerDocuments(HttpDocuments(settings, network.connector, network.resolve), trust)
        try:
            yield cls(settings, listed, network, trust, documents)
        finally:
            await documents.aclose()

    def conclude(self, findings: Findings) -> None:
        """Adds what the network knows of the audit: how many connections, and where it failed us.

        A question that our gateway swallowed may have passed for a refusal of the site's, so it stands on the
        record whatever else was found.
        """
        findings.connections = self.network.connector.count(findings.fqdn)
        for failure_class, detail in self.network.connector.troubles(findings.fqdn).items():
            findings.fail(failure_class, detail)

    async def examine(self, findings: Findings) -> None:
        """Fills `findings`; every failure of the site's making is among them."""
        findings.resolution = await self.network.resolve(findings.fqdn)
        for address in _one_a_family(findings.resolution.dns.addresses):
            await self._examine_at(address, findings)
            if _reached(findings):
                return

    async def _examine_at(self, address: str, findings: Findings) -> None:
        findings.address = address
        endpoint = Endpoint(findings.fqdn, address, self.settings.https_port)
        findings.tls = await probe_tls(endpoint, connector=self.network.connector, settings=self.settings)
        await self._judge(findings)
        versions = findings.tls.usable_versions
        visitor = Visitor(
            findings.fqdn,
            address,
            connector=self.network.connector,
            settings=self.settings,
            resolve=self.network.resolve,
            allowed=self.listed.__contains__,
            ports=self.network.ports,
            tls_version=versions[0] if versions else None,
        )
        if versions:
            findings.https = await visitor.visit(site_url("https", findings.fqdn))
        findings.http = await visitor.visit(site_url("http", findings.fqdn))

    async def _judge(self, findings: Findings) -> None:
        observation = findings.tls
        if observation is None or not (observation.chain or observation.chain_tls13):
            return
        findings.judgement = await judge_certificate(
            observation.chain or observation.chain_tls13,
            fqdn=findings.fqdn,
            now=datetime.now(UTC),
            trust=self.trust,
            documents=self.documents,
            staple=observation.ocsp_staple,
            sct_list=observation.sct_list,
        )


def _one_a_family(addresses: list[str]) -> list[str]:
    """The first IPv4 and the first IPv6 address, in the order given; more of a family are the same site."""
    return list({":" in address: address for address in reversed(addresses)}.values())[::-1]


def _reached(findings: Findings) -> bool:
    """Whether the address answered at all; if not, the other family may."""
    answered = findings.http is not None and bool(findings.http.steps)
    failure = findings.tls.failure if findings.tls else None
    return answered or failure is None or failure.stage != Stage.TCP
