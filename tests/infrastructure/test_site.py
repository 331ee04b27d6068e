"""The public side: one distribution, https, strict headers, a throttled API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from glovebox.sites import openapi
from stacks.settings import Settings
from tests.infrastructure.templates import Assembly, synthesize


def _distribution(assembly: Assembly) -> dict[str, Any]:
    [distribution] = assembly.of("AWS::CloudFront::Distribution")
    configuration: dict[str, Any] = distribution.properties["DistributionConfig"]
    return configuration


def test_one_distribution_serves_page_files_and_api(assembly: Assembly) -> None:
    distribution = _distribution(assembly)
    origins = {each["Id"]: assembly.shown(each["DomainName"]) for each in distribution["Origins"]}
    behaviors = {"/": distribution["DefaultCacheBehavior"]} | {
        each["PathPattern"]: each for each in distribution["CacheBehaviors"]
    }
    served = {path: origins[behavior["TargetOriginId"]] for path, behavior in behaviors.items()}
    assert served == {
        "/": "Site.RegionalDomainName",
        "/files/*": "Publication.RegionalDomainName",
        "/api/*": "Api.execute-api.region.amazonaws.com",
    }
    assert distribution["DefaultRootObject"] == "index.html"


def test_nothing_is_served_over_plain_http(assembly: Assembly) -> None:
    distribution = _distribution(assembly)
    policies = {"/": distribution["DefaultCacheBehavior"]["ViewerProtocolPolicy"]} | {
        each["PathPattern"]: each["ViewerProtocolPolicy"] for each in distribution["CacheBehaviors"]
    }
    assert policies == {"/": "redirect-to-https", "/files/*": "redirect-to-https", "/api/*": "https-only"}


def test_buckets_are_read_by_signed_requests_of_the_distribution(assembly: Assembly) -> None:
    controls = assembly.of("AWS::CloudFront::OriginAccessControl")
    assert len(controls) == 2
    for control in controls:
        configuration = control.properties["OriginAccessControlConfig"]
        assert configuration["SigningBehavior"] == "always"
        assert configuration["SigningProtocol"] == "sigv4"


def test_every_answer_carries_the_headers_that_our_audit_asks_for(assembly: Assembly) -> None:
    [policy] = assembly.of("AWS::CloudFront::ResponseHeadersPolicy")
    configuration = policy.properties["ResponseHeadersPolicyConfig"]
    security = configuration["SecurityHeadersConfig"]
    assert security["ContentSecurityPolicy"] == {
        "ContentSecurityPolicy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "Override": True,
    }
    assert security["StrictTransportSecurity"] == {
        "AccessControlMaxAgeSec": 63_072_000,
        "IncludeSubdomains": True,
        "Preload": True,
        "Override": True,
    }
    assert security["ContentTypeOptions"] == {"Override": True}
    assert security["ReferrerPolicy"] == {"ReferrerPolicy": "no-referrer", "Override": True}
    assert security["FrameOptions"] == {"FrameOption": "DENY", "Override": True}
    custom = {each["Header"]: each["Value"] for each in configuration["CustomHeadersConfig"]["Items"]}
    assert custom["Cross-Origin-Resource-Policy"] == "same-origin"
    assert custom["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in custom["Permissions-Policy"]
    distribution = _distribution(assembly)
    for behavior in (distribution["DefaultCacheBehavior"], *distribution["CacheBehaviors"]):
        assert assembly.shown(behavior["ResponseHeadersPolicyId"]) == "SiteHeaders"


def test_visits_are_logged(assembly: Assembly) -> None:
    assert assembly.shown(_distribution(assembly)["Logging"]["Bucket"]) == "Logs.RegionalDomainName"


def test_a_domain_of_ones_own_brings_its_certificate_and_modern_tls(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    certificate = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
    settings = Settings(domain="audit.example.org", certificate=certificate)
    distribution = _distribution(synthesize(tmp_path_factory.mktemp("domain"), settings))
    assert distribution["Aliases"] == ["audit.example.org"]
    assert distribution["ViewerCertificate"]["AcmCertificateArn"] == certificate
    assert distribution["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"


def test_every_documented_operation_has_its_route(assembly: Assembly) -> None:
    routes = {each.properties["RouteKey"] for each in assembly.of("AWS::ApiGatewayV2::Route")}
    document: Any = json.loads(openapi.document())
    [server] = document["servers"]
    documented = {f"ANY {server['url'].rstrip('/')}{path}" for path in document["paths"]}
    assert routes == documented | {f"ANY /api/{openapi.FILE}"}


def test_calls_are_throttled_and_logged(assembly: Assembly) -> None:
    [stage] = assembly.of("AWS::ApiGatewayV2::Stage")
    settings = Settings()
    assert stage.properties["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": settings.api_rate,
        "ThrottlingBurstLimit": settings.api_burst,
    }
    access = stage.properties["AccessLogSettings"]
    assert assembly.shown(access["DestinationArn"]) == "ApiAccessLog.Arn"
    assert {"requestId", "ip", "status", "path"} <= json.loads(access["Format"]).keys()
