"""Taking out of a scanner's words what looks like a secret, before they leave the box.

For an honest scanner that says too much.  A hostile one can spell a secret in ways that nobody recognises.
Every expression uses up what it looks at, so that no text makes it look twice: time grows with length alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

WITHHELD: Final = "[withheld]"
MAX_REMEMBERED: Final = 1_024
"""Characters of a text that is kept with its answer: reports repeat the same few thousand."""
REMEMBERED: Final = 4_096
"""Such texts, 16 MB at the very most."""

_NAME: Final = (
    r"(?i:passw(?:or)?d|passphrase|secret|token|credential|(?:api|access|private)[ _-]?key)"
    r"(?i:[ _-]?(?:access[ _-]?)?key|[_-]?(?:value|string|text|hash))?[0-9]{0,4}"
)
"""How names of secrets end; what only begins so is about them: `secretsmanager:ListSecrets`, `HttpTokens`."""
_NAMED: Final = re.compile(_NAME + r"\Z")
_NAMES: Final = ("passw", "passphrase", "secret", "token", "credential", "key", "authorization", "cookie")
_STARTS: Final = (
    "AKIA", "ASIA", "IQoJ", "FwoG", "FQoG", "eyJ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_",
    "glpat-", "xox", "AIza", "k_live_", "-----BEGIN",
)  # fmt: skip
_SECRETS: Final = re.compile(
    # Names of resources, of secrets too (`…:secret:db`): everything hangs on them, so they stay.
    r"(?P<arn>arn:aws[a-z-]{0,16}:(?:(?!://)[^\s\"',;])*+)"
    # RFC 3986, 3.2.1 and 3.4: a user with his password, and queries, which sign and which hold tokens.
    r"|(?P<user>://[^\s\"'<>/?#\\]*@)"
    r"|(?P<query>(?<=[\w/])\?[\w%][^\s\"'<>#]*+)"
    r"|(?P<header>(?i:authorization|cookie)[\"']?\s{0,4}:)[^\r\n]*+"
    r"|(?P<name>" + _NAME + r"(?:\\*+[\"'\]])?+[ \t]{0,4}+(?:=>|[:=])[ \t]{0,4}+)"
    # A quotation mark may be escaped: quoted in JSON, or in a log.
    r"(?!\\*+[\"']?arn:aws)(?:\\*+\"[^\"]*+\"?|\\*+'[^']*+'?|[^\s\"'<>]++)"
    # Access key ids and session tokens of AWS, JSON in base64 (RFC 7519 and our own tickets), other vendors'.
    r"|A[KS]IA[A-Z0-9]{12,}+|(?:IQoJ|F[wQ]oG)[A-Za-z0-9+/=]{40,}+"
    r"|(?<![A-Za-z0-9])eyJ[\w+/=-]{10,}+(?:[.:][\w.~+/=-]*+)?"
    r"|gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_\w{20,}+|glpat-[\w-]{16,}+|xox[a-z]-[\w-]{10,}+"
    r"|AIza[\w-]{30,}+|[rs]k_live_\w{16,}+"
    r"|-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----|\Z)"
)


def redacted(value: object) -> object:
    """What a JSON document says, without secrets in its strings; its depth is the caller's business."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): _member(key, member) for key, member in value.items()}
    if isinstance(value, list):
        return [redacted(each) for each in value]
    return value


def redact(text: str) -> str:
    """`text` with `WITHHELD` for every secret in it; ARNs stay as they are."""
    if not _may_be(text):
        return text
    return _remembered(text) if len(text) <= MAX_REMEMBERED else _redact(text)


def _member(key: str, value: object) -> object:
    return WITHHELD if isinstance(value, str) and _secret_name(key) else redacted(value)


@lru_cache(REMEMBERED)
def _secret_name(key: str) -> bool:
    return _NAMED.search(key) is not None


def _redact(text: str) -> str:
    return _SECRETS.sub(_withheld, text)


def _may_be(text: str) -> bool:
    """Whether there is anything to look at closely: a hundred times quicker than to look."""
    if "?" in text or ("@" in text and "://" in text):
        return True
    if ":" in text or "=" in text:
        folded = text.casefold()
        if any(name in folded for name in _NAMES):
            return True
    return any(start in text for start in _STARTS)


_remembered = lru_cache(REMEMBERED)(_redact)


def _withheld(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "arn":
        return match[0]
    if kind == "user":
        return f"://{WITHHELD}@"
    if kind == "query":
        return f"?{WITHHELD}"
    return f"{match[kind]}{WITHHELD}" if kind else WITHHELD
