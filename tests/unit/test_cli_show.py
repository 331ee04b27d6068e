"""What a person sees: progress on a terminal and without one, and text of strangers that stays text."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from glovebox.cli import show
from glovebox.cli.tally import Tally
from glovebox.siteaudit.notes import LineNote
from glovebox.siteaudit.record import CertificateReport
from tests.records import failed_record, good_record

HOSTILE = "[red]x[/red]\x1b]0;title\x07\u202e.example.com"


def tally_of(*failures: str | None) -> Tally:
    tally = Tally()
    for number, failure in enumerate(failures):
        host = f"h{number}.example.com"
        tally.add(failed_record(host, failure) if failure else good_record(host))
    return tally


def screen(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    # The terminal of the test, not that of whoever runs it.
    environment = {"TERM": "xterm-256color"}
    return Console(
        file=out, force_terminal=terminal, width=300, legacy_windows=False, _environ=environment
    ), out


def test_a_terminal_shows_how_many_are_done_and_what_failed() -> None:
    console, out = screen(terminal=True)
    with show.progress(console, 5, 1, live=True) as shown:
        shown.audited(tally_of(None, "nxdomain", "expired"))
        shown.looked_up(1, 2)
    text = out.getvalue()
    assert "3/5" in text
    assert "ok 1, nxdomain 1, expired 1" in text
    assert "1/2" in text


def test_without_a_terminal_progress_is_plain_lines_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(show.time, "monotonic", lambda: now)
    console, out = screen(terminal=False)
    with show.progress(console, 40, 0, live=False) as shown:
        for count in range(1, 41):
            now += 1
            shown.audited(tally_of(*[None] * count))
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0] == "10/40 sites, 1.0/s, 30 s left. ok 10"
    assert lines[-1].startswith("40/40 sites")


def test_the_last_shodan_look_up_is_said_without_a_terminal() -> None:
    console, out = screen(terminal=False)
    with show.progress(console, 1, 0, live=False) as shown:
        shown.looked_up(1, 2)
        shown.looked_up(2, 2)
    assert out.getvalue() == "2/2 Shodan look-ups\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_text_of_strangers_is_neither_markup_nor_control(terminal: bool) -> None:
    console, out = screen(terminal=terminal)
    tally = tally_of()
    tally.add(
        good_record("x.example.com", fqdn=HOSTILE, certificate=CertificateReport(valid=True, days_left=1))
    )
    tally.add(failed_record("y.example.com", "tls_alert", failure_class=f"tls_alert:{HOSTILE}"))
    show.show_summary(console, tally)
    show.show_notes(console, [LineNote(line=1, text=HOSTILE, reason="no name")], "line")
    text = out.getvalue()
    assert text.count("[red]x[/red]<U+001B>]0;title<U+0007><U+202E>") == 3
    assert "\x1b]0" not in text
    assert "\u202e" not in text


def test_many_notes_are_counted_not_listed() -> None:
    console, out = screen(terminal=False)
    notes = [LineNote(line=number, text="x", reason="a single label") for number in range(1, 1_025)]
    show.show_notes(console, notes, "line")
    lines = out.getvalue().splitlines()
    assert len(lines) == show.SHOWN_NOTES + 1
    assert lines[-1] == "… and 1,004 more such lines"


def test_the_ten_most_urgent_certificates_are_kept_and_all_are_counted() -> None:
    tally = Tally()
    for days in (*range(60, 0, -1), 5):
        tally.add(
            good_record(f"d{days}.example.com", certificate=CertificateReport(valid=True, days_left=days))
        )
    assert tally.expiring == 31
    assert [days for days, _ in tally.soonest] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
