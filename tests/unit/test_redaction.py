"""What looks like a secret is taken out of a text, and names of resources are not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.scans import redaction
from glovebox.scans.redaction import WITHHELD, redact, redacted

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEhidden\nhidden==\n-----END RSA PRIVATE KEY-----"
SECRETS = [
    "AKIAIOSFODNN7HIDDEN1",
    "ASIAIOSFODNN7HIDDEN1",
    "IQoJhidden" + "x" * 300 + "==",
    "eyJhidden0123456789.eyJzdWIiOiJoaWRkZW4ifQ.hidden",
    "eyJhidden0123456789:hidden-signature",
    "ghp_hidden0123456789abcdefghij",
    "github_pat_hidden0123456789abcdef",
    "xoxb-hidden-0123456789",
    "https://user:hidden@example.com/path",
    "postgres://user:hid@den@db.example.com:5432/x",
    "https://bucket.s3.amazonaws.com/key?X-Amz-Signature=hidden",
    "https://example.com/?hidden",
    'cause="  password = \\"hidden words\\""',
    '{\\"password\\": \\"hidden words\\"}',
    "log: 'token: \\'hidden words\\''",
    'a string in a string: \\\\\\"secret\\\\\\": \\\\\\"hidden words\\\\\\"',
    "password=hidden",
    "DB_PASSWORD: hidden",
    'aws_secret_access_key = "hidden with blanks"',
    '"SecretAccessKey": "hidden"',
    "api-key=>hidden",
    "X-Amz-Security-Token: hidden",
    "Authorization: AWS4-HMAC-SHA256 Credential=hidden, Signature=hidden",
    "Cookie: a=hidden; b=hidden",
    "client_secret_value=hidden",
    "secretKey2: hidden",
    PEM,
    PEM.partition("-----END")[0],
]
INNOCENT = [
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db/token-AbCdEf",
    "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/password=x?y=z",
    "Secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod is not rotated.",
    "Secret: arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod",
    "arn:aws:s3:::bucket/keyJanuaryReport2026",
    "arn:aws:iam::123456789012:role/AWSServiceRoleForSupport",
    "123456789012",
    "secretsmanager_automatic_rotation_enabled",
    "iam_user_accesskey_unused",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords.html#token",
    "IAM password policy requires a token, or a secret of 14 characters.",
    "2026-11-22T11:46:53.032165",
    "token.actions.githubusercontent.com:sub",
    "The role may secretsmanager:GetSecretValue; HttpTokens: required, PasswordPolicy={RequireSymbols=true}",
    "An error occurred (AccessDenied) when calling the GetRole operation: arn:aws:sts::123456789012:x is not",
]
WORDS = st.text(st.characters(codec="utf-8"), max_size=20)


def is_told(text: str) -> bool:
    return re.search("hid|HIDDEN", text) is not None


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_withheld_wherever_it_stands(secret: str) -> None:
    for text in (secret, f"before {secret} after", f"({secret})", f"x\n{secret}\ny", f"a,{secret};b"):
        assert WITHHELD in redact(text)
        assert not is_told(redact(text))


@pytest.mark.parametrize("text", INNOCENT)
def test_names_and_prose_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_what_stands_beside_a_secret_stays() -> None:
    assert redact("GET https://user:hidden@example.com/a?b=hidden from 10.0.0.1") == (
        f"GET https://{WITHHELD}@example.com/a?{WITHHELD} from 10.0.0.1"
    )
    assert redact("password=hidden user=me") == f"password={WITHHELD} user=me"


def test_a_document_loses_its_secrets_in_values_keys_and_under_telling_names() -> None:
    document = {
        "list": ["AKIAIOSFODNN7HIDDEN1", {"deep": "token: hidden"}],
        "AKIAIOSFODNN7HIDDEN1": 1,
        "clientSecret": "hidden",
        "secrets": [1, None, True, 1.5],
    }
    assert redacted(document) == {
        "list": [WITHHELD, {"deep": f"token: {WITHHELD}"}],
        WITHHELD: 1,
        "clientSecret": WITHHELD,
        "secrets": [1, None, True, 1.5],
    }


@given(WORDS, st.sampled_from(SECRETS), WORDS)
def test_no_neighbourhood_saves_a_secret(before: str, secret: str, after: str) -> None:
    assert not is_told(redact(f"{before}\n{secret}\n{after}".replace("arn:", "")))


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "://",
            "://a@",
            "https://a",
            "?a",
            "a?a",
            "arn:aws:",
            "arn:aws:://",
            "eyJ",
            "eyJ ",
            "AKIA ",
            "IQoJ",
        ),
        *(
            "token",
            "token ",
            "token = ",
            'password="',
            "password='",
            "token=\\",
            "token\\",
            "token=arn:aws:x ",
            "cookie:",
            "ghp_",
        ),
        *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"),
    ],
)
def test_a_long_text_of_beginnings_is_done_with(piece: str) -> None:
    """With an expression that looks twice, one of these would take hours."""
    assert redact(piece * ((1 << 20) // len(piece)))


PIECES = st.sampled_from(
    [
        *SECRETS,
        *INNOCENT,
        ":",
        "=",
        "=>",
        "?",
        "@",
        "://",
        " ",
        "\n",
        '"',
        "pa\u017f\u017fword",
        "to\u212aen",
        "KEY",
    ]
)


@given(st.lists(PIECES | WORDS, max_size=6))
def test_no_text_with_a_secret_is_passed_over_unlooked_at(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert redact(text) == redaction._SECRETS.sub(redaction._withheld, text)


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_in_small_letters_or_large_are_looked_at_alike(secret: str) -> None:
    for text in (secret.lower(), secret.upper(), secret.swapcase()):
        assert redact(text) == redaction._SECRETS.sub(redaction._withheld, text)
