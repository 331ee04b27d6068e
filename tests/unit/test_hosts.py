"""Host lists: each line is used, or named with its number and the reason why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.errors import InputError
from glovebox.siteaudit import hosts
from glovebox.siteaudit.hosts import HostList, canonical_host, parse_host_list, parse_hosts, split_domain


def read(*lines: str, test_names: bool = False) -> HostList:
    """The list of these lines, with one good name behind them so that the list is never unusable."""
    text = "\n".join([*lines, "last.example.com"])
    return parse_host_list(text.encode(), max_hosts=100, test_names=test_names)


def test_names_stay_in_order_and_need_no_note() -> None:
    answer = parse_host_list(b"b.example.com\na.example.com\n", max_hosts=10)
    assert answer == HostList(("b.example.com", "a.example.com"), ())


def test_blanks_comments_crlf_bom_case_and_trailing_dot_are_no_events() -> None:
    data = b"\xef\xbb\xbf# ours\r\n\r\n  WWW.Example.COM.  # the shop\r\n\t\r\n"
    assert parse_host_list(data, max_hosts=10) == HostList(("www.example.com",), ())


@pytest.mark.parametrize(
    ("line", "host", "reason"),
    [
        ("https://www.example.com/path?token=1#top", "www.example.com", "only the host of the URL"),
        ("www.example.com/path", "www.example.com", "only the host of the URL"),
        ("HTTP://www.example.com", "www.example.com", "only the host of the URL"),
        ("https://user:word@www.example.com/", "www.example.com", "only the host of the URL"),
        ("www.example.com:8443", "www.example.com", "port 8443 is dropped"),
        ("bücher.example.com", "xn--bcher-kva.example.com", "encoded as xn--bcher-kva.example.com"),
        ("ＥＸＡＭＰＬＥ。com", "example.com", "encoded as example.com"),
        ("straße.de", "xn--strae-oqa.de", "encoded as xn--strae-oqa.de"),
        ("xn--ls8h.la", "xn--ls8h.la", "audited as written"),
    ],
)
def test_what_is_clearly_meant_is_used_with_a_note(line: str, host: str, reason: str) -> None:
    answer = read("first.example.com", line)
    assert answer.hosts == ("first.example.com", host, "last.example.com")
    (note,) = answer.notes
    assert (note.line, note.used) == (2, True)
    assert reason in note.reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a" * 10_000, "10,000 characters"),
        (".".join(["a" * 60] * 5), "304 characters"),
        ("é" * 300 + ".example.com", "312 characters"),
        ("a" * 64 + ".example.com", "a label of 64 characters"),
        ("www.exa\x00mple.com", "control character"),
        ("\x1b[31mwww.example.com", "control character"),
        ("www.example.com\r\r", "control character"),
        ("localhost", "the machine itself"),
        ("printer.local", "multicast DNS"),
        ("metadata.google.internal", "a private network"),
        ("router.home.arpa", "RFC 8375"),
        ("shop.onion", "the Tor network"),
        ("www.fleet.test", "test networks"),
        ("192.0.2.1", "an IP address"),
        ("192.0.2.1:443", "an IP address"),
        ("https://[2001:db8::1]/", "an IP address"),
        ("2001:db8::1", "an IP address"),
        ("127.1", "an IP address"),
        ("0x7f000001", "an IP address"),
        ("１２７.0.0.1", "an IP address"),
        ("*.example.com", "a wildcard"),
        ("_dmarc.example.com", "an underscore"),
        ("www", "a single label"),
        ("com.", "a single label"),
        ("www..example.com", "an empty label"),
        (".example.com", "an empty label"),
        ("www.example.com..", "an empty label"),
        ("-www.example.com", "a hyphen"),
        ("www.ex!ample.com", "a character that no host name holds"),
        ("💩.la", "no internationalised name"),
        ("www.\u202eexample.com", "no internationalised name"),
        ("www.example.com mail.example.com", "more than one word"),
        ("www.example.com,mail.example.com", "more than one word"),
        ("ftp://www.example.com", "the scheme ftp"),
        ("someone@example.com", "an e-mail address"),
        ("https://", "a URL without a host"),
        (":443", "a port without a host"),
        ("www.example.com:https", "no port"),
        ("www.example.com:70000", "no port"),
        ("www.example.com:", "no port"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_number_and_reason(line: str, reason: str) -> None:
    answer = read("first.example.com", line)
    assert answer.hosts == ("first.example.com", "last.example.com")
    (note,) = answer.rejected
    assert note.line == 2
    assert reason in note.reason


def test_only_the_line_that_is_not_utf8_is_refused() -> None:
    answer = parse_host_list(b"a.example.com\nb\xfccher.example.com\nc.example.com", max_hosts=10)
    assert answer.hosts == ("a.example.com", "c.example.com")
    assert [(note.line, note.text, note.reason) for note in answer.notes] == [
        (2, "b\\xfccher.example.com", "not UTF-8")
    ]


def test_duplicates_are_named_with_the_line_that_they_repeat() -> None:
    answer = parse_host_list(b"a.example.com\n# x\nhttps://A.example.com/\n", max_hosts=10)
    assert answer.hosts == ("a.example.com",)
    assert [(note.line, note.reason, note.used) for note in answer.notes] == [
        (3, "the same host as line 1", False)
    ]


def test_notes_show_hidden_characters_and_hide_passwords_and_tokens() -> None:
    answer = read("https://me:hunter2@a.example.com/?key=s3cret", "x\x1b[2J\u202e.example.com", "y" * 5_000)
    texts = [note.text for note in answer.notes]
    assert texts[0] == "https://…@a.example.com/?…"
    assert texts[1] == "x<U+001B>[2J<U+202E>.example.com"
    assert len(texts[2]) == hosts.NOTE_CHARACTERS


def test_test_names_are_usable_only_where_asked_for() -> None:
    assert read("good.fleet.test", test_names=True).hosts[0] == "good.fleet.test"
    assert read("good.fleet.test").rejected[0].line == 1
    assert read("test", test_names=True).rejected[0].line == 1


@pytest.mark.parametrize(
    ("data", "reason", "fix"),
    [
        (b"", "The host list is empty.", "Write one name a line"),
        (b"# nothing\n\n", "The host list is empty.", "Write one name a line"),
        (
            b"localhost\n*.a.com\n1.1.1.1\nx\n",
            "line 3 (an IP address; the audit takes names) and 1 more",
            "one name",
        ),
        ("www.example.com".encode("utf-16"), "UTF-16", "Save it as UTF-8"),
        (b"a.example.com\nb.example.com\nc.example.com\n", "more than 2 hosts", "several lists"),
        (b"#" * (hosts.MAX_LIST_BYTES + 1), "bytes", "several lists"),
        (b"\n" * hosts.MAX_LINES, "lines", "several lists"),
    ],
)
def test_a_list_without_any_use_says_what_to_do(data: bytes, reason: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_host_list(data, max_hosts=2)
    assert reason in caught.value.reason
    assert fix in caught.value.fix


def test_names_in_memory_are_judged_like_lines() -> None:
    answer = parse_hosts(["a.example.com", "b\nc.example.com", "\udcff.example.com"], max_hosts=10)
    assert answer.hosts == ("a.example.com",)
    assert [(note.line, note.reason) for note in answer.notes] == [
        (2, "holds a control character; one name a line"),
        (3, "not UTF-8"),
    ]


def test_one_name_is_canonical_or_refused_with_a_reason() -> None:
    assert canonical_host("Bücher.Example.com.") == "xn--bcher-kva.example.com"
    with pytest.raises(InputError, match="a wildcard"):
        canonical_host("*.example.com")
    with pytest.raises(InputError, match="no host name holds"):
        canonical_host("https://www.example.com/")


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_every_line_is_used_or_blank_or_named(lines: list[bytes]) -> None:
    """Whatever the bytes: hosts, rejected lines and blank lines together are all lines."""
    data = b"\n".join([b"first.example.com", *lines])
    answer = parse_host_list(data, max_hosts=100)
    blank = sum(
        1 for line in data.split(b"\n") if _decodes(line) and not line.decode().partition("#")[0].strip()
    )
    named = len({note.line for note in answer.rejected})
    assert len(answer.hosts) + named + blank >= len(data.split(b"\n"))
    assert all(canonical_host(host) == host for host in answer.hosts)


def _decodes(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("fqdn", "answer"),
    [
        ("www.example.com", ("www", "example.com")),
        ("example.com", ("", "example.com")),
        ("a.b.example.co.uk", ("a.b", "example.co.uk")),
        ("www.gov.sg", ("", "www.gov.sg")),
        ("gov.sg", ("", "gov.sg")),
        ("me.github.io", ("", "me.github.io")),
        ("www.fleet.test", ("www", "fleet.test")),
        ("www.xn--bcher-kva.example.com", ("www.xn--bcher-kva", "example.com")),
    ],
)
def test_a_name_splits_at_its_registrable_domain(fqdn: str, answer: tuple[str, str]) -> None:
    assert split_domain(fqdn) == answer
