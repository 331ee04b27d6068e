"""Reading host lists: every line is used, or named with its number and the reason why not.

A list is plain text, one name a line, `#` begins a comment.  People paste URLs, ports,
upper case and names in their own script; what is clearly meant is used and noted, what is
not is refused line by line, and one bad line never costs the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import idna
from publicsuffixlist import PublicSuffixList

from glovebox.errors import InputError
from glovebox.siteaudit.notes import LineNote
from glovebox.text import visible

MAX_LIST_BYTES = 16 << 20
"""50,000 names of 253 bytes, and a few megabytes of comments."""
MAX_LINES = 500_000
"""Ten times the hosts of the largest run: a longer file is not a host list."""
MAX_LINE_CHARACTERS = 4_096
"""A pasted URL fits; a longer line is something else."""
MAX_NAME = 253
"""RFC 1035, 2.3.4, written without the trailing dot."""
MAX_LABEL = 63
"""RFC 1035, 2.3.4."""
NOTE_CHARACTERS = 120
"""Enough of a line to find it again."""
_NAMED_IN_ERROR = 3
"""Lines that an error quotes; a sentence with more is not read."""

SPECIAL_SUFFIXES = {
    "localhost": "the machine itself (RFC 6761)",
    "localdomain": "a private network",
    "local": "multicast DNS (RFC 6762)",
    "internal": "a private network (reserved by ICANN)",
    "intranet": "a private network (RFC 6762, appendix G)",
    "private": "a private network (RFC 6762, appendix G)",
    "corp": "a private network (RFC 6762, appendix G)",
    "home": "a private network (RFC 6762, appendix G)",
    "lan": "a private network (RFC 6762, appendix G)",
    "home.arpa": "a private network (RFC 8375)",
    "onion": "the Tor network (RFC 7686)",
    "alt": "names outside DNS (RFC 9476)",
    "example": "documentation (RFC 6761)",
    "invalid": "names that must not exist (RFC 6761)",
    "test": "test networks (RFC 6761)",
}
"""Suffixes that are no public names, and whose they are."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""C0 and C1 controls but the tab, which people use for layout."""
_LDH = re.compile(r"[a-z0-9-]+")
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_NUMERIC_END = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SECRETS = ((re.compile(r"//[^/@]*@"), "//…@"), (re.compile(r"\?.*"), "?…"))
"""Passwords and tokens in pasted URLs must not reach a note, because notes are stored and published."""


@dataclass(frozen=True, slots=True)
class HostList:
    """Canonical names in the list's order, each once, and what there is to say about the lines."""

    hosts: tuple[str, ...]
    notes: tuple[LineNote, ...]

    @property
    def rejected(self) -> tuple[LineNote, ...]:
        """The notes of lines that gave no host, duplicates among them."""
        return tuple(note for note in self.notes if not note.used)


class _BadLineError(Exception):
    """Why a line gives no host; its text is the note's reason."""


def parse_host_list(data: bytes, *, max_hosts: int, test_names: bool = False) -> HostList:
    """The hosts of a list file.

    `test_names` admits names under `.test` (RFC 6761), for a fleet of one's own only.
    Raises InputError where nothing can be used at all: an empty list, UTF-16, no usable
    line, more than `max_hosts` names.
    """
    if len(data) > MAX_LIST_BYTES:
        raise _too_long(f"more than {MAX_LIST_BYTES:,} bytes")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("The host list is saved as UTF-16.", fix="Save it as UTF-8.")
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return _collect((line.removesuffix(b"\r") for line in lines), max_hosts, test_names)


def parse_hosts(names: Iterable[str], *, max_hosts: int, test_names: bool = False) -> HostList:
    """The hosts of a list in memory: each name is judged like a line, numbered from 1.

    Raises InputError as `parse_host_list` does.
    """
    return _collect((name.encode("utf-8", "surrogatepass") for name in names), max_hosts, test_names)


def canonical_host(name: str, *, test_names: bool = False) -> str:
    """One name in canonical form: lower case, A-labels, without the trailing dot.

    Accepts a bare name only, no URL and no port.  Raises InputError with the reason.
    """
    try:
        return _canonical(name, test_names)[0]
    except _BadLineError as error:
        raise InputError(
            f"{visible(name, NOTE_CHARACTERS)!r}: {error}.", fix="Give a public name such as www.example.com."
        ) from error


def split_domain(fqdn: str) -> tuple[str, str]:
    """`(hostname, domain)`: what stands before the registrable domain, and that domain.

    By the public suffix list.  A name that is itself a public suffix is its own domain.
    """
    domain = _suffixes().privatesuffix(fqdn) or fqdn
    return fqdn.removesuffix(domain).removesuffix("."), domain


@cache
def _suffixes() -> PublicSuffixList:
    """Read at first use: the list takes a tenth of a second, which a unit that never splits need not pay."""
    return PublicSuffixList()


def _collect(lines: Iterable[bytes], max_hosts: int, test_names: bool) -> HostList:
    first_seen: dict[str, int] = {}
    notes: list[LineNote] = []
    for number, raw in enumerate(lines, start=1):
        if number > MAX_LINES:
            raise InputError(
                f"The host list has more than {MAX_LINES:,} lines.", fix="Cut it into several lists."
            )
        text, host, reason = _judge(raw, test_names)
        used = host is not None and host not in first_seen
        if host is not None and used:
            first_seen[host] = number
        elif host is not None:
            reason = f"the same host as line {first_seen[host]}"
        if reason:
            notes.append(LineNote(line=number, text=_quoted(text), reason=reason, used=used))
        if len(first_seen) > max_hosts:
            raise InputError(
                f"The host list names more than {max_hosts:,} hosts.", fix="Cut it into several lists."
            )
    if not first_seen:
        raise _nothing_usable(notes)
    return HostList(tuple(first_seen), tuple(notes))


def _judge(raw: bytes, test_names: bool) -> tuple[str, str | None, str]:
    """`(text, host, reason)` of one line; a blank line or a comment has neither host nor reason."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw[:MAX_LINE_CHARACTERS].decode(errors="backslashreplace"), None, "not UTF-8"
    try:
        name, notes = _bare_name(text)
        if not name:
            return text, None, ""
        host, name_notes = _canonical(name, test_names)
    except _BadLineError as error:
        return text, None, str(error)
    return text, host, "; ".join([*notes, *name_notes])


def _bare_name(text: str) -> tuple[str, list[str]]:
    """The name that a line holds, without comment, scheme, port and path; empty for a line without one."""
    if len(text) > MAX_LINE_CHARACTERS:
        raise _BadLineError(f"{len(text):,} characters, no name is longer than {MAX_NAME}")
    entry = text.partition("#")[0]
    if _CONTROL.search(entry):
        raise _BadLineError("holds a control character; one name a line")
    entry = entry.strip()
    if len(entry.split()) > 1 or "," in entry or ";" in entry:
        raise _BadLineError("more than one word; one name a line")
    notes: list[str] = []
    authority, is_url = _authority(entry)
    if is_url:
        notes.append("only the host of the URL is used")
    return _without_port(authority, notes), notes


def _authority(entry: str) -> tuple[str, bool]:
    """The part of a URL that names host and port, and whether there was more than that."""
    scheme = _SCHEME.match(entry)
    if scheme and scheme["scheme"].lower() not in {"http", "https"}:
        raise _BadLineError(f"the scheme {scheme['scheme']} is none of a web site")
    rest = entry[scheme.end() :] if scheme else entry
    authority = re.split(r"[/?\\]", rest, maxsplit=1)[0]
    _, at, host = authority.rpartition("@")
    if at and not scheme:
        raise _BadLineError("an e-mail address, not a site")
    if not host and entry:
        raise _BadLineError("a URL without a host")
    return host, bool(scheme) or authority != rest


def _without_port(authority: str, notes: list[str]) -> str:
    if authority.startswith("[") or authority.count(":") > 1:
        raise _BadLineError("an IP address; the audit takes names")
    name, colon, port = authority.partition(":")
    if not colon:
        return name
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65_535):
        raise _BadLineError("what follows the colon is no port")
    if not name:
        raise _BadLineError("a port without a host")
    notes.append(f"port {int(port)} is dropped; the audit asks the web's own ports")
    return name


def _canonical(name: str, test_names: bool) -> tuple[str, list[str]]:
    """The canonical form of a bare name, and notes; raises _BadLineError."""
    if "*" in name:
        raise _BadLineError("a wildcard; name each host")
    notes: list[str] = []
    canonical = name.lower() if name.isascii() else _encoded(name)
    canonical = canonical.removesuffix(".")
    if not name.isascii():
        notes.append(f"encoded as {canonical}")
    elif any(map(_is_fake_a_label, canonical.split("."))):
        notes.append("an xn-- label that IDNA 2008 does not know, audited as written")
    _check_syntax(canonical)
    _check_public(canonical, test_names)
    return canonical, notes


def _encoded(name: str) -> str:
    """A-labels by IDNA 2008 (RFC 5891) after the mapping of UTS 46."""
    if len(name) > MAX_NAME:
        raise _BadLineError(f"{len(name):,} characters, no name is longer than {MAX_NAME}")
    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError as error:
        raise _BadLineError(f"no internationalised name: {visible(str(error), NOTE_CHARACTERS)}") from error


def _is_fake_a_label(label: str) -> bool:
    if not label.startswith("xn--"):
        return False
    try:
        idna.ulabel(label)
    except idna.IDNAError:
        return True
    return False


def _check_syntax(name: str) -> None:
    """The rules of RFC 1123, 2.1 for host names."""
    if len(name) > MAX_NAME:
        raise _BadLineError(f"{len(name):,} characters, no name is longer than {MAX_NAME}")
    labels = name.split(".")
    for label in labels:
        if not label:
            raise _BadLineError("an empty label: two dots in a row, or a dot in front")
        if len(label) > MAX_LABEL:
            raise _BadLineError(f"a label of {len(label)} characters, none is longer than {MAX_LABEL}")
        if "_" in label:
            raise _BadLineError("an underscore, which no host name holds")
        if not _LDH.fullmatch(label):
            raise _BadLineError("a character that no host name holds")
        if label.startswith("-") or label.endswith("-"):
            raise _BadLineError("a label that begins or ends with a hyphen")
    if _NUMERIC_END.fullmatch(labels[-1]):
        raise _BadLineError("an IP address; the audit takes names")


def _check_public(name: str, test_names: bool) -> None:
    labels = name.split(".")
    for count in (1, 2):
        suffix = ".".join(labels[-count:])
        owner = SPECIAL_SUFFIXES.get(suffix)
        if owner and not (suffix == "test" and test_names and len(labels) > 1):
            raise _BadLineError(f"no public name: .{suffix} belongs to {owner}")
    if len(labels) == 1:
        raise _BadLineError("a single label; write the full name, such as www.example.com")


def _quoted(text: str) -> str:
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return visible(text.strip(), NOTE_CHARACTERS)


def _too_long(what: str) -> InputError:
    return InputError(f"The host list has {what}.", fix="Cut it into several lists.")


def _nothing_usable(notes: list[LineNote]) -> InputError:
    fix = "Write one name a line, such as www.example.com; lines that begin with # are comments."
    if not notes:
        return InputError("The host list is empty.", fix=fix)
    named = ", ".join(f"line {note.line} ({note.reason})" for note in notes[:_NAMED_IN_ERROR])
    more = f" and {len(notes) - _NAMED_IN_ERROR:,} more" if len(notes) > _NAMED_IN_ERROR else ""
    return InputError(f"No line of the host list can be used: {named}{more}.", fix=fix)
