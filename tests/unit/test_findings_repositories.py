"""Reading what outlets let out about repositories: one finding a thing, and nothing believed of a line."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glovebox.findings import packages, repository_identity, repository_report
from glovebox.findings.binding import Foreign
from glovebox.findings.canaries import PLANTED_FILES, planted_files
from glovebox.findings.judging import Judgement, judge
from glovebox.findings.ledger import squeeze
from glovebox.findings.life import Coverage, Quality
from glovebox.findings.model import Observation, Place, Severity
from glovebox.findings.report import Refusal
from glovebox.findings.repository_report import MAX_CHECKS, RepositoryReport
from glovebox.findings.services import SERVICES
from glovebox.scans.repositories import REPOSITORY_SCANNERS, RepositoryScanner
from glovebox.scans.repository_lines import Line
from tests.repository_flow import (
    TARGET,
    encoded,
    license_line,
    misconfiguration,
    package,
    planted_lines,
    secret,
    vulnerability,
)

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "ghp_" + "a1B2" * 9


def read(*lines: Line | bytes, scanner: RepositoryScanner = "trivy") -> RepositoryReport:
    return RepositoryReport(TARGET, scanner).read(encoded(lines))


def only(*lines: Line, scanner: RepositoryScanner = "trivy") -> Observation:
    [found] = read(*lines, scanner=scanner).observations.values()
    return found


def judged(
    report: RepositoryReport, scanner: RepositoryScanner = "trivy", *, database: bool = True
) -> Judgement:
    coverage = Coverage(regions=frozenset(), services=frozenset(SERVICES[scanner]))
    return judge(report, coverage=coverage, canaries=planted_files(scanner, database=database))


# ---------------------------------------------------------------- what a finding is


def test_a_vulnerability_is_of_a_package_in_a_file() -> None:
    found = only(vulnerability(1))
    assert (found.check, found.service, found.region) == ("CVE-2026-1", "trivy-vulnerability", "global")
    assert (found.resource, found.name) == ("pkg:npm/lodash", "lodash@4.17.4")
    assert found.detail == "4.17.4 → 4.17.21; package-lock.json"
    assert (found.severity, found.places) == (Severity.HIGH, (Place("package-lock.json"),))


def test_a_misconfiguration_is_of_a_file_and_what_is_in_it() -> None:
    found = only(misconfiguration(resource="aws_s3_bucket.logs"))
    assert (found.check, found.resource, found.name) == ("DS-0002", "Dockerfile", "Dockerfile:3")
    assert found.detail == "aws_s3_bucket.logs"
    assert found.places == (Place("Dockerfile", 3),)


def test_a_secret_is_of_its_rule_and_its_value_wherever_it_stands() -> None:
    lines = [secret(1, path=f"repository/{name}.py", line=4) for name in "cab"]
    found = only(*lines, scanner="kingfisher")
    assert (found.check, found.service) == ("secret:kingfisher:github-pat", "kingfisher")
    assert (found.resource, found.name, found.detail) == ("a.py", "a.py:4", "GitHub token; in 3 places")
    assert found.places == (Place("a.py", 4), Place("b.py", 4), Place("c.py", 4))
    assert read(*lines, scanner="kingfisher").duplicates == 2


def test_trivy_masks_values_so_that_its_secrets_are_one_a_file() -> None:
    assert len(read(secret(1), secret(1, path="repository/other.py")).observations) == 2


def test_a_license_counts_from_medium_on() -> None:
    report = read(license_line(), license_line(name="MIT", severity="LOW"), license_line(severity="UNKNOWN"))
    [found] = report.observations.values()
    assert (found.check, found.resource, found.name) == ("license:AGPL-3.0-only", "strict", "AGPL-3.0-only")
    assert found.detail == "restricted license of strict; package-lock.json"
    assert list(report.notes) == ["Licenses that ask for little, and are no findings: 2."]


def test_a_severity_that_nobody_knows_is_informational() -> None:
    assert only(vulnerability(severity="UNKNOWN")).severity is Severity.INFORMATIONAL


SAME = {
    "another version": (
        vulnerability(),
        vulnerability(installed="4.17.5", purl="pkg:npm/lodash@4.17.5", fixed="5.0.0"),
    ),
    "another lock file": (vulnerability(), vulnerability(path="repository/web/package-lock.json")),
    "another text and severity": (vulnerability(), vulnerability(title="x", severity="LOW")),
    "another line": (misconfiguration(), misconfiguration(line=99)),
    "a secret that moved": (secret(), secret(line=99)),
}
OTHERS = {
    "another CVE": (vulnerability(1), vulnerability(2)),
    "another package": (vulnerability(), vulnerability(purl="pkg:pypi/lodash@4.17.4")),
    "another resource": (misconfiguration(), misconfiguration(resource="x")),
    "another file": (misconfiguration(), misconfiguration(path="repository/b/Dockerfile")),
    "another value": (secret(1), secret(2)),
    "another rule": (secret(), secret(rule="aws-key")),
}


@pytest.mark.parametrize("what", SAME)
def test_what_changes_without_the_thing_changing_is_no_new_finding(what: str) -> None:
    first, second = SAME[what]
    assert only(first).id == only(second).id


@pytest.mark.parametrize("what", OTHERS)
def test_other_things_are_other_findings(what: str) -> None:
    assert len(read(*OTHERS[what]).observations) == 2


def test_one_thing_in_two_repositories_is_two_findings() -> None:
    [other] = (
        RepositoryReport("repo:github.com/acme/web", "trivy").read(encoded([vulnerability()])).observations
    )
    assert other != only(vulnerability()).id


def test_what_a_finding_says_does_not_depend_on_the_order_of_its_lines() -> None:
    lines = [
        vulnerability(severity="LOW", installed="1.0", purl="pkg:npm/lodash@1.0"),
        vulnerability(path="repository/a/package-lock.json", severity="CRITICAL"),
        vulnerability(path="repository/z/package-lock.json"),
    ]
    made = {only(*order) for order in permutations(lines)}
    [found] = made
    assert (found.severity, len(found.places)) == (Severity.CRITICAL, 3)


def test_moved_lines_are_told_anew() -> None:
    assert only(misconfiguration()).digest != only(misconfiguration(line=4)).digest


def test_what_a_misconfiguration_says_of_its_file_is_not_kept_whoever_sends_it() -> None:
    told = msgspec.json.decode(msgspec.json.encode(misconfiguration()))
    report = read(msgspec.json.encode({**told, "message": "RUN ./publish t0ken"}))
    assert (len(report.observations), report.refusals.counts) == (1, {})
    assert "t0ken" not in repr((report.observations, report.checks))


def test_texts_are_of_the_check_and_say_how_to_update_each_package() -> None:
    lines = (vulnerability(1), vulnerability(1, package="lodash-es", purl="pkg:npm/lodash-es@4"), secret())
    report = read(*lines)
    text = report.checks["CVE-2026-1"]
    assert text.title == "Prototype pollution"
    assert text.remediation == "Update lodash to 4.17.21, lodash-es to 4.17.21."
    assert text.references == ("https://avd.example.com/cve",)
    assert report.checks["secret:trivy:github-pat"].remediation.startswith("Withdraw it")


def test_many_places_are_counted_and_some_are_named() -> None:
    lines = [secret(path=f"repository/{number:03}.py") for number in range(100)]
    found = only(*lines, scanner="trufflehog")
    assert (len(found.places), found.detail) == (repository_report.MAX_PLACES, "GitHub token; in 100 places")


# ---------------------------------------------------------------- what is not believed

FOREIGN: dict[str, tuple[Line, RepositoryScanner, Foreign]] = {
    "a place beside the snapshot": (vulnerability(path="in/other"), "trivy", Foreign.PLACE),
    "an absolute path": (secret(path="/etc/passwd"), "trufflehog", Foreign.PLACE),
    "a way out of the snapshot": (secret(path="repository/../canary/key.pem"), "trivy", Foreign.PLACE),
    "a vulnerability of TruffleHog": (vulnerability(), "trufflehog", Foreign.KIND),
    "a package of Kingfisher": (package(), "kingfisher", Foreign.KIND),
    "a planted vulnerability of Kingfisher": (
        vulnerability(path="canary/package-lock.json"),
        "kingfisher",
        Foreign.KIND,
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_the_scanner_cannot_have_seen_makes_the_scan_untrusted(what: str) -> None:
    line, scanner, foreign = FOREIGN[what]
    report = read(*planted_lines(scanner), line, scanner=scanner)
    assert report.refusals.foreign == {foreign: 1}
    verdict = judged(report, scanner)
    assert verdict.quality is Quality.UNTRUSTED
    assert verdict.seen.observations == {}


REFUSED: dict[str, tuple[bytes, Refusal]] = {
    "no JSON": (b"{]", Refusal.NO_JSON),
    "broken UTF-8": (encoded([vulnerability(title="A")])[:-1].replace(b'"A"', b'"\xff"'), Refusal.NO_JSON),
    "NaN": (b'{"kind":"secret","path":NaN}', Refusal.NO_JSON),
    "a number": (b"17", Refusal.NO_LINE),
    "no kind": (b'{"path":"repository/a"}', Refusal.NO_LINE),
    "another kind": (b'{"kind":"site","path":"repository/a"}', Refusal.NO_LINE),
    "no fingerprint": (
        b'{"kind":"secret","path":"repository/a","rule":"x","severity":"LOW"}',
        Refusal.NO_LINE,
    ),
    "a value in the place of a fingerprint": (
        encoded([msgspec.structs.replace(secret(), fingerprint=TOKEN)])[:-1],
        Refusal.NO_LINE,
    ),
    "a severity of its own": (
        encoded([vulnerability()])[:-1].replace(b'"HIGH"', b'"APOCALYPTIC"'),
        Refusal.NO_LINE,
    ),
    "too long a line": (b'{"x":"' + b"x" * 70_000 + b'"}', Refusal.OVERSIZE),
    "nesting": (b"[" * 30_000, Refusal.NO_LINE),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_line_is_refused_by_class_and_costs_no_other(what: str) -> None:
    body, refusal = REFUSED[what]
    report = read(*planted_lines("trivy"), vulnerability(), body, misconfiguration())
    assert sum(report.refusals.counts.values()) == 1
    if what != "nesting":  # The decoder has a limit of its own there.
        assert report.refusals.counts == {refusal: 1}
    verdict = judged(report)
    assert (verdict.quality, len(verdict.seen.observations)) == (Quality.PARTIAL, 2)
    assert TOKEN not in str(report.refusals.examples)


def test_texts_are_cleaned_and_redacted_again_and_links_are_https() -> None:
    bad = f"\x1b[31mred\u202e token={TOKEN}"
    lines = (
        vulnerability(title=bad, description=bad, package=TOKEN, url="javascript:alert(1)", status=bad),
        misconfiguration(resolution=bad, resource=bad, url=f"https://x.example/?token={TOKEN}"),
        secret(title=bad, rule=TOKEN, path=f"repository/{TOKEN}\u202e.py"),
        license_line(name=TOKEN, package=TOKEN, category=bad),
        package(TOKEN, TOKEN, licenses=[bad], purl=f"pkg:npm/x@1?vcs_url=https://u:{TOKEN}@h"),
    )
    report = read(*lines)
    assert len(report.observations) == 4
    kept = repr((report.observations, report.checks, report.components, report.refusals.examples))
    assert TOKEN not in kept
    assert "\x1b" not in kept
    assert "\u202e" not in kept
    assert not any(text.references for text in report.checks.values())


def test_hidden_characters_of_a_path_are_spelled_out() -> None:
    [place] = only(secret(path="repository/a\u202eb\n.py")).places
    assert place.path == "a<U+202E>b<U+000A>.py"


def test_limits_of_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_report, "MAX_FOUND_LINES", 3)
    report = read(*(vulnerability(number) for number in range(5)))
    assert (len(report.observations), report.over_limit, report.counted) == (3, True, None)
    assert "more than 3 lines" in report.troubles[0]
    monkeypatch.setattr(repository_report, "MAX_FOUND_BYTES", 10)
    assert read(vulnerability()).troubles == ("The report has more than 10 bytes; it was not read.",)


def test_beyond_the_limit_findings_have_no_texts_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_report, "MAX_CHECKS", 2)
    report = read(*(vulnerability(number) for number in range(5)))
    assert (len(report.checks), len(report.observations)) == (2, 5)
    assert list(report.notes) == ["More than 2 kinds of findings: 3 have no descriptions."]


def test_names_of_checks_are_safe_bounded_and_stay_apart() -> None:
    first, second = (only(secret(rule="a/b c" + "x" * 200 + end)).check for end in "12")
    assert first != second
    assert max(len(first), len(second)) <= repository_identity.MAX_CHECK
    assert first.startswith("secret:trivy:a-b-cx")


@settings(max_examples=200)
@given(st.data())
def test_no_report_raises(data: st.DataObject) -> None:
    good = [*planted_lines("trivy"), vulnerability(), misconfiguration(), secret(), license_line(), package()]
    whole = bytearray(encoded(good))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    report = RepositoryReport(TARGET, "trivy").read(bytes(whole))
    verdict = judged(report)
    assert verdict.quality is Quality.COMPLETE or verdict.reasons
    assert all(each.service in SERVICES["trivy"] for each in report.observations.values())


BOMBS = {
    "as many findings as can be": "lines(100_000, vulnerability(1), 'x' * 100)",
    "wide characters wherever they fit": "lines(4_000, vulnerability(1, title=W * 4_000, status=W * 250, "
    "installed=W * 256, fixed=W * 256, package=W * 256), W * 3_000)",
    "as many secrets as can be": "lines(100_000, secret(1), 'x' * 400)",
    "as many packages as can be": "lines(100_000, package(), 'x' * 100)",
    "packages of wide characters": "lines(9_000, package(version=W * 256, licenses=[W * 256] * 20), W * 200)",
    "one line of 64 MB": "b'{' + b'x' * 64_000_000",
    "nothing but ends of lines": "b'\\n' * 64_000_000",
    "brackets": "b'[' * 60_000_000",
}
LIMITED = """
import resource, sys, tempfile
sys.path.insert(0, sys.argv[1])
import msgspec
from glovebox.findings.report import mapped
from glovebox.findings.repository_report import MAX_CHECKS, RepositoryReport
from tests.repository_flow import TARGET, package, secret, vulnerability

W = chr(0x1F600)

def lines(count, line, path):
    # Each of another package, rule and place.
    whole, size = [], 0
    for number in range(count):
        changes = {"path": f"repository/{number}{path}"}
        if hasattr(line, "purl"):
            changes["purl"] = f"pkg:npm/x{number}@1"
        whole.append(msgspec.json.encode(msgspec.structs.replace(line, **changes)) + b"\\n")
        size += len(whole[-1])
        if size > 64_000_000:
            break
    return b"".join(whole)

with tempfile.TemporaryFile() as file:
    file.write(eval(sys.argv[2]))
    file.flush()
    size = file.tell()
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = used + size + 400_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with mapped(file) as data:
        found = RepositoryReport(TARGET, "trivy").read(data)
print(found.lines, len(found.observations), found.troubles)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_read_within_400_mb(name: str) -> None:
    """The limit is on addresses, of which the mapped file takes its size without taking memory."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ROOT), BOMBS[name]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1_000:]


# ---------------------------------------------------------------- what was planted


@pytest.mark.parametrize("scanner", REPOSITORY_SCANNERS)
def test_planted_files_make_their_services_speak_and_are_in_no_count(scanner: RepositoryScanner) -> None:
    report = read(*planted_lines(scanner), scanner=scanner)
    assert report.services == set(SERVICES[scanner])
    verdict = judged(report, scanner)
    assert (verdict.quality, verdict.seen.observations, report.items) == (Quality.COMPLETE, {}, 0)
    assert (report.statuses, report.checks, list(report.components or [])) == ({}, {}, [])


@pytest.mark.parametrize("canary", PLANTED_FILES, ids=lambda canary: canary.service)
def test_a_planted_file_that_goes_unreported_makes_the_scan_untrusted(canary: object) -> None:
    [planted] = [each for each in PLANTED_FILES if each == canary]
    [scanner] = [each for each in REPOSITORY_SCANNERS if planted.service in SERVICES[each]]
    lines = [line for line in planted_lines(scanner) if not _about(line, planted.service)]
    verdict = judged(
        read(*lines, vulnerability() if scanner == "trivy" else secret(), scanner=scanner), scanner
    )
    assert verdict.quality is Quality.UNTRUSTED
    assert verdict.reasons == (planted.missed,)


def _about(line: Line, service: str) -> bool:
    kind = type(line).__name__.lower()
    return service.endswith(kind) or (service in ("trufflehog", "kingfisher") and kind == "secret")


def test_the_same_rule_elsewhere_in_what_was_planted_is_not_what_was_planted() -> None:
    lines = list(planted_lines("trufflehog"))
    moved = msgspec.structs.replace(lines[0], path="canary/other.pem")
    assert judged(read(moved, scanner="trufflehog"), "trufflehog").quality is Quality.UNTRUSTED


def test_without_a_database_no_vulnerability_is_expected() -> None:
    lines = [line for line in planted_lines("trivy") if not _about(line, "trivy-vulnerability")]
    assert judged(read(*lines), database=False).quality is Quality.COMPLETE
    assert judged(read(*planted_lines("trivy")), database=False).seen.observations == {}


def test_a_report_of_nothing_at_all_is_untrusted_and_not_damaged() -> None:
    report = RepositoryReport(TARGET, "trivy").read(b"\n")
    assert (report.counted, report.troubles) == (1, ("The report is empty.",))
    assert judged(report).quality is Quality.UNTRUSTED


# ---------------------------------------------------------------- packages


def test_packages_are_no_findings_and_each_is_listed_once() -> None:
    report = read(
        package("b"), package("a", direct=True), package("a", path="repository/z/lock", licenses=["BSD"])
    )
    assert report.observations == {}
    listed = report.components or []
    assert [(each.name, each.direct, each.licenses) for each in listed] == [
        ("a", True, ("BSD", "MIT")),
        ("b", False, ("MIT",)),
    ]
    assert packages.unpacked(packages.packed(listed)) == listed


def test_other_scanners_list_none() -> None:
    assert read(secret(), scanner="trufflehog").components is None


def test_packages_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_COMPONENTS", 2)
    report = read(*(package(name) for name in "abca"))
    assert len(report.components or []) == 2
    assert list(report.notes) == ["Packages beyond the 50,000 that are kept: 1."]


def test_names_and_digests_of_all_texts_fit_an_item_though_nothing_compresses() -> None:
    numbers = random.Random(1)  # noqa: S311 - a test's
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
    names = ("".join(numbers.choices(letters, k=repository_identity.MAX_CHECK)) for _ in range(MAX_CHECKS))
    assert len(squeeze({name: numbers.randbytes(4) for name in names})) < 350_000
