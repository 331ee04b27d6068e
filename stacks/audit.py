"""What the public sees of the site audit: files, questions, a page."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from glovebox_constructs.audit_api import AuditApi
from glovebox_constructs.failure_queue import FailureQueue
from glovebox_constructs.findings import accept
from glovebox_constructs.grants import objects
from glovebox_constructs.public_site import PublicSite
from glovebox_constructs.runtime_function import RuntimeFunction
from stacks.broker import CHANGE_SCANS
from stacks.defaults import function_defaults
from stacks.outputs import output
from stacks.settings import Settings
from stacks.storage import BY_DOMAIN, BY_NAME, Storage, of_kinds

OPERATIONS = (
    "siteDetails",
    "siteHistory",
    "listScans",
    "scanDetails",
    "listFQDNs",
    "listDNs",
    "DNSHistory",
    "openapi.json",
)
PUBLISH_TIME = cdk.Duration.minutes(15)
"""50,000 records are read once and packed into one zip."""
PUBLISH_DISK = 4096
"""MiB: each of the zip's three files is built from records that wait on disk, then the zip itself."""
ENRICH_TIME = cdk.Duration.minutes(15)
"""A shard's addresses at one look-up a second; what does not fit is tried again."""

CLOSE_RUNS = ("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")
"""A published run is put under a condition, and no longer stands among the open ones."""

_RUN = {"scanId": {"S": ["run"]}}
_THERE = {"S": [{"exists": True}]}
_ABSENT = {"S": [{"exists": False}]}
WAITS_FOR_PUBLICATION = {**_RUN, "pending": {"N": ["0"]}, "publishedAt": _ABSENT}
WAITS_FOR_ENRICHMENT = {
    "scanId": {"S": [{"anything-but": ["run"]}]},
    "endedAt": _THERE,
    "enrichedAt": _ABSENT,
    # Neither has addresses that Shodan could know.
    "account": _ABSENT,
    "repository": _ABSENT,
}


class Audit(cdk.Stack):
    """`publish` writes a run's files, `enrich` asks Shodan, `audit_api` answers, one site shows all."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, storage: Storage) -> None:
        super().__init__(scope, id, description="Glovebox: publication, API and page")
        self._settings, self._storage = settings, storage
        self.failures = FailureQueue(self, "Failures", key=storage.key)
        self._defaults = function_defaults(settings, key=storage.key, failures=self.failures)
        self.publish = self._publish()
        self.enrich = self._enrich() if settings.shodan else None
        self.audit_api = self._audit_api()
        self.api = AuditApi(
            self,
            "Api",
            handler=self.audit_api.function,
            operations=OPERATIONS,
            rate=settings.api_rate,
            burst=settings.api_burst,
            key=storage.key,
            log_retention_days=settings.log_retention_days,
            disposable=settings.disposable,
        )
        self.site = PublicSite(
            self,
            "Site",
            page=storage.site,
            publication=storage.publication,
            api_host=self.api.host,
            logs=storage.logs,
            domain=settings.domain,
            certificate=settings.certificate,
        )
        # Operations imports it unless there is a domain; an export that goes while used stops a deployment.
        self.export_value(self.site.distribution.distribution_domain_name)
        output(self, "PublishFunction", self.publish.function.function_name)
        output(self, "AuditApiFunction", self.audit_api.function.function_name)
        output(self, "ApiUrl", self.api.api.api_endpoint)
        output(self, "PageUrl", self.site.url)
        output(self, "Distribution", self.site.distribution.distribution_id)

    def _publish(self) -> RuntimeFunction:
        storage = self._storage
        publish = RuntimeFunction(
            self,
            "Publish",
            unit="publish",
            defaults=self._defaults,
            environment={
                "SCANS_TABLE": storage.scans.table_name,
                "SITES_TABLE": storage.sites.table_name,
                "PUBLICATION_BUCKET": storage.publication.bucket_name,
            },
            timeout=PUBLISH_TIME,
            memory=1024,
            concurrency=1,
            storage=PUBLISH_DISK,
        )
        publish.may(*CLOSE_RUNS, on=[storage.scans.table_arn])
        publish.may("dynamodb:BatchGetItem", on=[storage.sites.table_arn])
        publish.may(
            "s3:PutObject",
            "s3:AbortMultipartUpload",
            on=[objects(storage.publication, "files/*")],
            because="Each run's file has a name of its own.",
        )
        publish.may_use_key("dynamodb", "s3", write=True)
        publish.follow(storage.scans, WAITS_FOR_PUBLICATION)
        return publish

    def _enrich(self) -> RuntimeFunction:
        storage = self._storage
        secret = secrets.Secret(
            self,
            "ShodanKey",
            description="Glovebox: the key of your Shodan account; put it here by hand",
            encryption_key=storage.key,
        )
        enrich = RuntimeFunction(
            self,
            "Enrich",
            unit="enrich",
            defaults=self._defaults,
            environment={
                "SCANS_TABLE": storage.scans.table_name,
                "SITES_TABLE": storage.sites.table_name,
                "REGISTRY_TABLE": storage.registry.table_name,
                "SHODAN_SECRET": secret.secret_arn,
            },
            timeout=ENRICH_TIME,
            memory=512,
            # Shodan allows one request a second, whoever asks.
            concurrency=1,
        )
        enrich.may(*CHANGE_SCANS, on=[storage.scans.table_arn])
        enrich.may("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", on=[storage.sites.table_arn])
        enrich.may(
            "dynamodb:GetItem", "dynamodb:PutItem", on=[storage.registry.table_arn], when=of_kinds("shodan")
        )
        enrich.may("secretsmanager:GetSecretValue", on=[secret.secret_arn])
        enrich.may_use_key("dynamodb", write=True)
        enrich.may_use_key("secretsmanager")
        enrich.follow(storage.scans, WAITS_FOR_ENRICHMENT)
        accept(secret, "AwsSolutions-SMG4", "The key is Shodan's to change, and has no interface for it.")
        output(self, "EnrichFunction", enrich.function.function_name)
        output(self, "ShodanSecret", secret.secret_arn)
        return enrich

    def _audit_api(self) -> RuntimeFunction:
        storage = self._storage
        audit_api = RuntimeFunction(
            self,
            "AuditApi",
            unit="audit_api",
            defaults=self._defaults,
            environment={
                "SITES_TABLE": storage.sites.table_name,
                "REGISTRY_TABLE": storage.registry.table_name,
                "PUBLICATION_BUCKET": storage.publication.bucket_name,
            },
            timeout=cdk.Duration.seconds(10),
            memory=512,
            concurrency=20,
        )
        indexes = [f"{storage.sites.table_arn}/index/{name}" for name in (BY_DOMAIN, BY_NAME)]
        audit_api.may("dynamodb:GetItem", "dynamodb:Query", on=[storage.sites.table_arn])
        audit_api.may("dynamodb:Query", on=indexes)
        audit_api.may("dynamodb:Query", on=[storage.registry.table_arn], when=of_kinds("site", "domain"))
        audit_api.may(
            "s3:ListBucket",
            on=[storage.publication.bucket_arn],
            when={"StringLike": {"s3:prefix": "files/*"}},
        )
        audit_api.may_use_key("dynamodb")
        return audit_api
