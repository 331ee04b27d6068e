"""Operations that read as their names go, and hand out secrets, logs or records: no scanner has use for them.

The session policy denies these and more (`policies/audit_role_data.json`); here they leave a line in the
ledger.  What Prowler asks for and does without (`policies/costs/prowler.json`) is left to the policy, so that
its log says AccessDenied, which is expected, and nothing else.
"""

from __future__ import annotations

CONTENTS: dict[str, frozenset[str]] = {
    "api.ecr": frozenset({"GetAuthorizationToken"}),
    "cognito-identity": frozenset({"GetOpenIdTokenForDeveloperIdentity"}),
    "dynamodb": frozenset({"BatchGetItem", "GetItem"}),
    "kinesis": frozenset({"GetRecords"}),
    "logs": frozenset({"GetLogEvents", "GetLogRecord", "GetQueryResults"}),
    "secretsmanager": frozenset({"BatchGetSecretValue", "GetSecretValue"}),
    "ssm": frozenset(
        {
            "GetCommandInvocation",
            "GetParameter",
            "GetParameterHistory",
            "GetParameters",
            "GetParametersByPath",
        }
    ),
    "states": frozenset({"DescribeExecution", "GetExecutionHistory"}),
    "streams.dynamodb": frozenset({"GetRecords"}),
}
"""Label of the service → operations, as `X-Amz-Target` names them."""
