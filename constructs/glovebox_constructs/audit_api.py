"""The public questions as an HTTP API: one route an operation, throttled, each call logged."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from glovebox_constructs.findings import accept
from glovebox_constructs.runtime_function import retention

_LOGGED = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "route": "$context.routeKey",
    "path": "$context.path",
    "status": "$context.status",
    "length": "$context.responseLength",
    "latency": "$context.responseLatency",
    "error": "$context.error.message",
    "integration": "$context.integrationErrorMessage",
}


class AuditApi(Construct):
    """`/api/<operation>` for each of `operations`; the function refuses all methods but GET, with a reason.

    `rate` calls a second and `burst` at once, for all callers together.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        handler: lambda_.IFunction,
        operations: tuple[str, ...],
        rate: int,
        burst: int,
        key: kms.IKey,
        log_retention_days: int,
        disposable: bool,
    ) -> None:
        super().__init__(scope, id)
        log = logs.LogGroup(
            self,
            "AccessLog",
            encryption_key=key,
            retention=retention(log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
        )
        self.api = apigateway.HttpApi(
            self, "Api", create_default_stage=False, description="Glovebox site audit"
        )
        apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=rate, throttling_burst_limit=burst
            ),
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=log.log_group_arn, format=json.dumps(_LOGGED)
            ),
        )
        integration = integrations.HttpLambdaIntegration("Handler", handler)
        for operation in operations:
            self.api.add_routes(
                path=f"/api/{operation}", methods=[apigateway.HttpMethod.ANY], integration=integration
            )
        accept(self, "AwsSolutions-APIG4", "The audit of public sites is public: these calls only read it.")

    @property
    def host(self) -> str:
        """The name under which API Gateway itself answers."""
        return f"{self.api.api_id}.execute-api.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}"
