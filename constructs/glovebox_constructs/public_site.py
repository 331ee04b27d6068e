"""One distribution in front of page, API and files: https only, with headers that our own audit praises."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from constructs import Construct

from glovebox_constructs.findings import accept

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
TWO_YEARS = cdk.Duration.days(730)
"""What hstspreload.org recommends."""
API_FRESH = cdk.Duration.seconds(60)
"""Records change once a day; a minute keeps a visitor's reload from costing a query."""


class PublicSite(Construct):
    """`/` from `page`, `/files/*` from `publication`, `/api/*` from `api_host`.

    The buckets let this account's distributions read by themselves (`policies/public_bucket_policy.json`):
    a policy that named this one distribution would make their stack wait for ours, which waits for theirs.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        page: s3.IBucket,
        publication: s3.IBucket,
        api_host: str,
        logs: s3.IBucket,
        domain: str = "",
        certificate: str = "",
    ) -> None:
        super().__init__(scope, id)
        self._headers = _response_headers(self)
        certified = (
            acm.Certificate.from_certificate_arn(self, "Certificate", certificate) if certificate else None
        )
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment="Glovebox site audit",
            default_root_object="index.html",
            default_behavior=self._behavior(self._bucket_origin("Page", page)),
            additional_behaviors={
                "/files/*": self._behavior(self._bucket_origin("Publication", publication)),
                "/api/*": self._behavior(
                    origins.HttpOrigin(api_host), cache=self._api_cache(), https_only=True
                ),
            },
            domain_names=[domain] if domain else None,
            certificate=certified,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            log_bucket=logs,
            log_file_prefix="distribution/",
        )
        self.url = f"https://{domain or self.distribution.distribution_domain_name}"
        self._accept_findings(domain)

    def _behavior(
        self,
        origin: cloudfront.IOrigin,
        *,
        cache: cloudfront.ICachePolicy = cloudfront.CachePolicy.CACHING_OPTIMIZED,
        https_only: bool = False,
    ) -> cloudfront.BehaviorOptions:
        policy = cloudfront.ViewerProtocolPolicy
        return cloudfront.BehaviorOptions(
            origin=origin,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD,
            cache_policy=cache,
            response_headers_policy=self._headers,
            # People type names without https; programs that call the API have no excuse.
            viewer_protocol_policy=policy.HTTPS_ONLY if https_only else policy.REDIRECT_TO_HTTPS,
        )

    def _bucket_origin(self, id: str, bucket: s3.IBucket) -> cloudfront.IOrigin:
        foreign = s3.Bucket.from_bucket_attributes(
            self,
            id,
            bucket_arn=bucket.bucket_arn,
            bucket_regional_domain_name=bucket.bucket_regional_domain_name,
        )
        return origins.S3BucketOrigin.with_origin_access_control(foreign)

    def _api_cache(self) -> cloudfront.CachePolicy:
        return cloudfront.CachePolicy(
            self,
            "ApiCache",
            comment="By the whole query string, for a minute",
            query_string_behavior=cloudfront.CacheQueryStringBehavior.all(),
            default_ttl=API_FRESH,
            min_ttl=cdk.Duration.seconds(0),
            max_ttl=API_FRESH,
            enable_accept_encoding_gzip=True,
            enable_accept_encoding_brotli=True,
        )

    def _accept_findings(self, domain: str) -> None:
        accept(self, "AwsSolutions-CFR1", "The audit of public sites is public in all countries.")
        accept(
            self,
            "AwsSolutions-CFR2",
            "Static files and read-only, throttled questions: a firewall would cost more than all else.",
        )
        if not domain:
            accept(
                self,
                "AwsSolutions-CFR4",
                "Without a domain CloudFront's own certificate is used, which fixes the versions of TLS.",
            )
        accept(
            self,
            "@aws-cdk/aws-cloudfront-origins:updateImportedBucketPolicyOac",
            "The buckets' stack writes their policies.",
        )


def _response_headers(scope: Construct) -> cloudfront.ResponseHeadersPolicy:
    own = cloudfront.ResponseCustomHeader
    return cloudfront.ResponseHeadersPolicy(
        scope,
        "Headers",
        comment="What a careful site sends",
        security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
            content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                content_security_policy=CONTENT_SECURITY_POLICY, override=True
            ),
            content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
            frame_options=cloudfront.ResponseHeadersFrameOptions(
                frame_option=cloudfront.HeadersFrameOption.DENY, override=True
            ),
            referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
            ),
            strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                access_control_max_age=TWO_YEARS, include_subdomains=True, preload=True, override=True
            ),
        ),
        custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
            custom_headers=[
                own(header="Cross-Origin-Opener-Policy", value="same-origin", override=True),
                own(header="Cross-Origin-Resource-Policy", value="same-origin", override=True),
                own(header="Permissions-Policy", value=PERMISSIONS_POLICY, override=True),
            ]
        ),
    )
