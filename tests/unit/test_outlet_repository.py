"""What the outlet lets out of a repository's scan: lines with fingerprints where the secrets were."""

from __future__ import annotations

import hashlib
import hmac
import re
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from containers.outlet.inspection import Report, UnfitError, log_tail
from containers.outlet.logged import logged_errors, shown_lines
from containers.outlet.repository import found as writing
from containers.outlet.repository.report import report, versions
from glovebox.scans.model import LoggedErrors, OutletOrder, UploadForm
from glovebox.scans.repositories import NATIVE_REPORTS, REPOSITORY_SCANNERS, RepositoryScanner
from glovebox.scans.repository_lines import (
    MAX_PLACE,
    MAX_TEXT,
    License,
    Line,
    Misconfiguration,
    Package,
    Secret,
    Vulnerability,
)
from tests.native_reports import (
    KEY,
    TREE,
    Json,
    fished,
    hog,
    kingfisher,
    license_,
    misconfiguration,
    package,
    result,
    trivy,
    trivy_secret,
    trufflehog,
    vulnerability,
)

TOKEN = "ghp_1B4a2e77838347a7E420ce178F2E7c6912E1"
FORM = UploadForm(url="", fields={})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def fingerprint(value: str) -> str:
    return hmac.new(bytes.fromhex(KEY), value.encode(), hashlib.sha256).hexdigest()


def inspected(
    out: Path, scanner: RepositoryScanner, body: bytes, *, key: str = KEY, most: int = 64 << 20
) -> tuple[Report, list[Line]]:
    (out / NATIVE_REPORTS[scanner]).write_bytes(body)
    order = OutletOrder(
        scan_id="x", attempt=1, kind=scanner, report=FORM, manifest=FORM, max_report_bytes=most,
        fingerprint_key=key,
    )  # fmt: skip
    made = report(out, order, scanner)
    sent = made.file.read()
    assert (made.size, made.sha256) == (len(sent), hashlib.sha256(sent).hexdigest())
    assert made.size <= most
    lines = sent.splitlines()
    assert len(lines) == made.lines
    return made, [msgspec.json.decode(line, type=Line) for line in lines if line]


def one(out: Path, scanner: RepositoryScanner, body: bytes) -> Line:
    made, [line] = inspected(out, scanner, body)
    assert (made.withheld, made.note) == (0, "")
    return line


# ---------------------------------------------------------------- Trivy


def test_a_vulnerability_goes_out_with_what_it_is_about(out: Path) -> None:
    body = trivy(result("repository/package-lock.json", Vulnerabilities=[vulnerability()]))
    assert one(out, "trivy", body) == Vulnerability(
        path="repository/package-lock.json",
        id="CVE-2019-10744",
        package="lodash",
        installed="4.17.4",
        fixed="4.17.12",
        purl="pkg:npm/lodash@4.17.4",
        status="fixed",
        severity="CRITICAL",
        title="nodejs-lodash: prototype pollution",
        description="Versions before 4.17.12 are open to prototype pollution.",
        url="https://avd.aquasec.com/nvd/cve-2019-10744",
    )


def test_a_misconfiguration_that_failed_goes_out_without_lines_of_its_file(out: Path) -> None:
    passed = [misconfiguration(Status=status) for status in ("PASS", "EXCEPTION")]
    body = trivy(result("canary/Dockerfile", "dockerfile", Misconfigurations=[*passed, misconfiguration()]))
    line = one(out, "trivy", body)
    assert isinstance(line, Misconfiguration)
    assert (line.id, line.type, line.path) == ("DS-0002", "dockerfile", "canary/Dockerfile")
    assert (line.line, line.end_line, line.severity, line.resource) == (2, 2, "HIGH", "")
    assert "\x1b" not in str(line)


@pytest.mark.parametrize(
    "message",
    [
        "RUN should not be used to change directory: 'cd /app && ./publish npm_Zx9q'",
        "Deprecated MAINTAINER used: npm_Zx9q",
        "should be 'a', not 'it's npm_Zx9q'",
    ],
)
def test_what_trivy_quotes_of_a_configuration_file_stays(out: Path, message: str) -> None:
    (out / NATIVE_REPORTS["trivy"]).write_bytes(
        trivy(
            result(
                "repository/Dockerfile", "dockerfile", Misconfigurations=[misconfiguration(Message=message)]
            )
        )
    )
    order = OutletOrder(scan_id="x", attempt=1, kind="trivy", report=FORM, manifest=FORM, fingerprint_key=KEY)
    sent = report(out, order, "trivy").file.read()
    assert b"DS-0002" in sent
    assert b"npm_Zx9q" not in sent


def resource(out: Path, told: str, key: str = KEY) -> str:
    body = trivy(
        result("repository/a.tf", Misconfigurations=[misconfiguration(CauseMetadata={"Resource": told})])
    )
    [line] = inspected(out, "trivy", body, key=key)[1]
    assert isinstance(line, Misconfiguration)
    return line.resource


def test_what_a_resource_is_made_for_is_told_apart_and_not_told(out: Path) -> None:
    names = ['aws_s3_bucket.b["h1dden"]', 'aws_s3_bucket.b["h2dden"]', 'aws_s3_bucket.b["h1dden']
    told = [resource(out, name) for name in names]
    assert len({*told}) == 3
    assert told == [resource(out, name) for name in names], "the same from scan to scan"
    for each in told:
        assert re.fullmatch(r"aws_s3_bucket\.b\[[0-9a-f]{16}\]", each)
    assert resource(out, names[0], "01" * 32) != told[0]
    assert resource(out, names[0], "") == "aws_s3_bucket.b[[withheld]]"


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("aws_s3_bucket.b[0]", r"aws_s3_bucket\.b\[0\]"),
        ('module.a[1].x.b["h1dden"].c', r"module\.a\[1\]\.x\.b\[[0-9a-f]{16}\]\.c"),
        ('x.b["a"]h1dden["]', r"x\.b\[[0-9a-f]{16}\]"),
        ('module.a["h1dden"].x.b["h1dden"]', r"module\.a\[[0-9a-f]{16}\]"),
        ('x.b["a\nh1dden"]', r"x\.b\[[0-9a-f]{16}\]"),
    ],
)
def test_numbers_of_a_resource_are_told_and_keys_are_not(out: Path, told: str, kept: str) -> None:
    assert re.fullmatch(kept, resource(out, told))


def test_of_a_secret_of_trivys_goes_out_a_fingerprint_of_its_rule_and_masked_line_alone(out: Path) -> None:
    match = str(trivy_secret()["Match"])
    body = trivy(result("repository/src/key.pem", "", Secrets=[trivy_secret()]))
    assert one(out, "trivy", body) == Secret(
        path="repository/src/key.pem",
        rule="private-key",
        fingerprint=fingerprint(f"private-key\0{match}"),
        line=1,
        severity="HIGH",
        title="Asymmetric Private Key",
    )


def test_licenses_and_packages_go_out_packages_last(out: Path) -> None:
    made, lines = inspected(
        out,
        "trivy",
        trivy(
            result("repository/go.mod", "gomod", Packages=[package(Relationship="indirect", Licenses=None)]),
            result("Node.js", "node-pkg", Licenses=[license_(FilePath="repository/a/package.json")]),
        ),
    )
    assert made.note == ""
    assert lines == [
        License(
            path="repository/a/package.json", name="GPL-3.0-only", package="left-pad", category="restricted",
            severity="HIGH",
        ),
        Package(
            path="repository/go.mod", name="lodash", version="4.17.4", purl="pkg:npm/lodash@4.17.4",
            type="gomod",
        ),
    ]  # fmt: skip


def test_a_result_much_larger_than_an_item_is_read_item_by_item(out: Path) -> None:
    names = [f"package-{number}" for number in range(3_000)]
    body = trivy(result("repository/a.lock", Vulnerabilities=[vulnerability(PkgName=name) for name in names]))
    assert len(body) > 2 << 20
    made, lines = inspected(out, "trivy", body)
    assert (made.withheld, made.note) == (0, "")
    assert [line.package for line in lines if isinstance(line, Vulnerability)] == names


@pytest.mark.parametrize(
    "bad",
    [
        vulnerability(VulnerabilityID=""),
        vulnerability(PkgName=7),
        vulnerability(PkgName="x" * 300),
        vulnerability(Title=["x"]),
        vulnerability(Description="x" * (256 << 10)),
        "text",
        None,
    ],
    ids=lambda bad: str(bad)[:60],
)
def test_an_item_that_cannot_be_told_is_counted_and_costs_no_other(out: Path, bad: object) -> None:
    items = [vulnerability(PkgName="a"), bad, vulnerability(PkgName="b")]
    made, lines = inspected(out, "trivy", trivy(result("repository/x", Vulnerabilities=items)))
    assert (made.withheld, made.note) == (1, "")
    assert [line.package for line in lines if isinstance(line, Vulnerability)] == ["a", "b"]


@pytest.mark.parametrize(
    "changes", [{"SchemaVersion": 3}, {"SchemaVersion": "2"}, {"SchemaVersion": None}, {"SchemaVersion": 2.0}]
)
def test_of_another_schema_nothing_goes_out(out: Path, changes: Json) -> None:
    with pytest.raises(UnfitError, match="not of Trivy's schema 2"):
        inspected(out, "trivy", trivy(result("repository/x", Vulnerabilities=[vulnerability()]), **changes))


def test_of_a_schema_that_is_said_too_late_nothing_goes_out(out: Path) -> None:
    with pytest.raises(UnfitError, match="not of Trivy's schema 2"):
        inspected(out, "trivy", b'{"Results": [], "SchemaVersion": 2}')


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "The report is empty."),
        (b" \n", "The report is empty."),
        (b"[]", "The report is no JSON object."),
        (b"FATAL error", "The report is no JSON object."),
        (b"{}", "the report is not of Trivy's schema 2"),
    ],
)
def test_what_is_no_report_of_trivys_stays_inside(out: Path, body: bytes, why: str) -> None:
    with pytest.raises(UnfitError) as unfit:
        inspected(out, "trivy", body)
    assert str(unfit.value) == why


@pytest.mark.parametrize("kept", range(3))
def test_of_a_report_that_is_cut_goes_out_what_can_be_read(out: Path, kept: int) -> None:
    whole = trivy(
        *[result(f"repository/{n}", Vulnerabilities=[vulnerability(PkgName=f"p{n}")]) for n in range(3)]
    )
    cut = whole[: whole.index(f'"p{kept}"'.encode())]
    made, lines = inspected(out, "trivy", cut)
    assert made.note == "The report is cut off."
    assert [line.package for line in lines if isinstance(line, Vulnerability)] == [
        f"p{number}" for number in range(kept)
    ]


def test_what_follows_a_report_is_told(out: Path) -> None:
    made, lines = inspected(out, "trivy", trivy(result("repository/x", Packages=[package()])) + b"\n{}")
    assert (made.note, len(lines)) == ("Something follows the report's object.", 1)


def test_a_report_of_nothing_at_all_is_a_blank_line_that_ingest_judges(out: Path) -> None:
    made, lines = inspected(out, "trivy", trivy())
    assert (made.lines, made.size, lines) == (1, 1, [])


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("pkg:npm/%40a/b@1.0.0", "pkg:npm/%40a/b@1.0.0"),
        ("pkg:npm/a@git%2Bhttps:%2F%2Fhidden%40h%2Fa.git", "pkg:npm/a"),
        ("javascript:alert(1)", ""),
    ],
)
def test_a_package_url_is_one_or_nothing_and_holds_no_address(out: Path, told: str, kept: str) -> None:
    of_both = result(
        "repository/x",
        Packages=[package(Identifier={"PURL": told})],
        Vulnerabilities=[vulnerability(PkgIdentifier={"PURL": told})],
    )
    lines = inspected(out, "trivy", trivy(of_both))[1]
    assert [line.purl for line in lines if isinstance(line, Package | Vulnerability)] == [kept, kept]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("https://example.com/a-b_c/~d", "https://example.com/a-b_c/~d"),
        ("http://example.com/", ""),
        ("javascript:alert(1)", ""),
        ("https://u:hidden@example.com/", ""),
        ("https://example.com/?token=hidden", ""),
        ('https://example.com/"><script>', ""),
        ("https://example.com/\u202e", ""),
        ("https://example.com/" + "a" * 2_000, ""),
    ],
)
def test_a_link_is_https_without_secrets_or_nothing(out: Path, told: str, kept: str) -> None:
    body = trivy(result("repository/x", Vulnerabilities=[vulnerability(PrimaryURL=told)]))
    line = one(out, "trivy", body)
    assert isinstance(line, Vulnerability)
    assert line.url == kept


def test_texts_are_bounded_and_without_controls_colours_and_what_looks_like_a_secret(out: Path) -> None:
    odd = f"\x1b[31mred\x1b[0m \u202e{TOKEN} password=hidden\x00 " + "word " * 4_000
    body = trivy(result("repository/x", "docker\x1b[0mfile", Misconfigurations=[
        misconfiguration(Description=odd, Title=odd, CauseMetadata={"Resource": odd})
    ]))  # fmt: skip
    line = one(out, "trivy", body)
    assert isinstance(line, Misconfiguration)
    assert line.description.startswith("red [withheld] password=[withheld] word")
    assert len(line.description) == MAX_TEXT
    assert line.type == "dockerfile"
    for hidden in ("\x1b", "\u202e", "\x00", TOKEN, "hidden"):
        assert hidden not in str(line)


def test_a_name_shows_what_is_hidden_in_it(out: Path) -> None:
    body = trivy(result("repository/a\u202eb", Vulnerabilities=[vulnerability(PkgName="lo\u200bdash")]))
    line = one(out, "trivy", body)
    assert isinstance(line, Vulnerability)
    assert (line.package, line.path) == ("lo<U+200B>dash", "repository/a<U+202E>b")


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (f"{TREE}/repository/a.py", "repository/a.py"),
        (f"{TREE}/repository/tree/repository/a.py", "repository/tree/repository/a.py"),
        ("/tmp/tree/other/in/tree/canary/key.pem", "canary/key.pem"),
        ("repository/tree/a.py", "repository/tree/a.py"),
        ("repository/a?token=hidden", "repository/a?[withheld]"),
    ],
)
def test_a_path_is_told_as_the_scanner_was_shown_it(out: Path, told: str, kept: str) -> None:
    assert one(out, "trufflehog", trufflehog([hog(path=told)])).path == kept


@pytest.mark.parametrize(
    "told",
    [
        "/etc/passwd", f"{TREE}/other/a", "other/a", "a", "", "repository", "repository/", TREE,
        "repository/../../etc/passwd", f"{TREE}/canary/invented", "repository/" + "a/" * MAX_PLACE,
        "/proc/1/environ", "../tree/repository/a",
    ],
)  # fmt: skip
def test_what_does_not_come_from_the_tree_is_withheld_and_counted(out: Path, told: str) -> None:
    made, lines = inspected(out, "trufflehog", trufflehog([hog(path=told), hog("another-value")]))
    assert (made.withheld, len(lines)) == (1, 1)


# ---------------------------------------------------------------- TruffleHog and Kingfisher


def test_of_a_secret_of_trufflehogs_goes_out_its_fingerprint_alone(out: Path) -> None:
    assert one(out, "trufflehog", trufflehog([hog(TOKEN)])) == Secret(
        path="repository/src/a.py",
        rule="Github",
        fingerprint=fingerprint(TOKEN),
        line=4,
        severity="HIGH",
        title="GitHub is a platform for version control.",
    )


@pytest.mark.parametrize(
    ("confidence", "severity"), [("high", "HIGH"), ("medium", "MEDIUM"), ("low", "LOW"), ("", "UNKNOWN")]
)
def test_of_a_secret_of_kingfishers_goes_out_its_fingerprint_alone(
    out: Path, confidence: str, severity: str
) -> None:
    line = one(out, "kingfisher", kingfisher(fished(TOKEN, confidence=confidence)))
    assert line == Secret(
        path="repository/src/a.py",
        rule="betterleaks.github-pat",
        fingerprint=fingerprint(TOKEN),
        line=4,
        severity=severity,
        title="Uncovered a GitHub token.",
    )


@pytest.mark.parametrize(
    "bad", [b"{", b"[]", b'{"SourceMetadata":{}}', b"\xff\xfe", b'"' + b"x" * 300_000 + b'"']
)
def test_a_line_that_cannot_be_read_is_counted_and_costs_no_other(out: Path, bad: bytes) -> None:
    body = trufflehog([hog("first-value")]) + bad + b"\n\n" + trufflehog([hog("second-value")])
    made, lines = inspected(out, "trufflehog", body)
    assert (made.withheld, made.note, len(lines)) == (1, "", 2)


def test_lines_that_are_cut_say_so(out: Path) -> None:
    made, lines = inspected(out, "trufflehog", trufflehog([hog("first-value"), hog("second-value")])[:-20])
    assert (made.withheld, made.note, len(lines)) == (1, "The report is cut off.", 1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "The report is empty."),
        (b"[]", "The report is no JSON object."),
        (b'{"error": "x"}', "the report has no findings, not even none"),
        (b'{"findings": 3}', "the report has no findings, not even none"),
    ],
)
def test_what_is_no_report_of_kingfishers_stays_inside(out: Path, body: bytes, why: str) -> None:
    with pytest.raises(UnfitError) as unfit:
        inspected(out, "kingfisher", body)
    assert str(unfit.value) == why


def test_a_report_of_kingfishers_that_is_cut_or_followed_says_so(out: Path) -> None:
    body = kingfisher(fished("first-value"), fished("second-value"))
    made, lines = inspected(out, "kingfisher", body[: body.index(b"second-value")])
    assert (made.note, len(lines)) == ("The report is cut off.", 1)
    made, lines = inspected(out, "kingfisher", body + b"more")
    assert (made.note, len(lines)) == ("Something follows the report's object.", 2)


def test_the_same_secret_in_the_same_file_goes_out_once(out: Path) -> None:
    same = [hog(TOKEN), hog(TOKEN), hog(TOKEN, path=f"{TREE}/repository/b"), hog(TOKEN, DetectorName="URI")]
    made, lines = inspected(out, "trufflehog", trufflehog(same))
    assert (made.lines, made.withheld) == (3, 0)
    assert len({(line.path, line.rule) for line in lines if isinstance(line, Secret)}) == 3


@pytest.mark.parametrize("key", ["", "0123", "g" * 64, KEY.upper()])
@pytest.mark.parametrize("scanner", REPOSITORY_SCANNERS)
def test_without_a_proper_key_no_secret_goes_out_and_the_reason_says_so(
    out: Path, scanner: RepositoryScanner, key: str
) -> None:
    bodies = {
        "trivy": trivy(result("repository/x", Secrets=[trivy_secret()], Packages=[package()])),
        "trufflehog": trufflehog([hog(TOKEN)]),
        "kingfisher": kingfisher(fished(TOKEN)),
    }
    made, lines = inspected(out, scanner, bodies[scanner], key=key)
    assert "fingerprint key is missing or malformed, so 1 secrets were withheld" in made.note
    assert made.withheld == 1
    assert [type(line) for line in lines] == ([Package] if scanner == "trivy" else [])
    assert scanner == "trivy" or TOKEN not in made.forget(f"log: {TOKEN}")


# ---------------------------------------------------------------- values elsewhere

PASSWORD = "correct-horse/battery.staple"
PEM = (
    "-----BEGIN EC PRIVATE KEY-----\n"
    + "\n".join("Mh" + c * 62 for c in "abc")
    + "\n-----END EC PRIVATE KEY-----"
)


def test_a_value_stands_in_no_other_field_of_any_line_before_or_after(out: Path) -> None:
    lines = [
        hog("first-value", path=f"{TREE}/repository/{PASSWORD}/x", DetectorDescription=f"is {PASSWORD}!"),
        hog(PASSWORD),
        hog("third-value", DetectorName=f"a rule, {PASSWORD}"),
    ]
    found = inspected(out, "trufflehog", trufflehog(lines))[1]
    assert PASSWORD not in str(found)
    assert [line.path for line in found] == ["repository/[withheld]/x", *["repository/src/a.py"] * 2]
    assert [line.rule for line in found if isinstance(line, Secret)][2] == "a rule, [withheld]"


def test_values_in_the_other_places_of_a_finding_are_known_as_well(out: Path) -> None:
    key, secret, address = "AKIAQYLPMN5HFIQR7XYA", "zq8Gp3kLm0Xc5VbN2tR7wYfHj4sD6uAiEoPl1QxZ", "hunter2secret"
    hogs = [
        hog(key, RawV2=f"{key}:{secret}", DetectorName="AWS"),
        hog(f"https://bob:{address}@db.example", RawV2=f"https://bob:{address}@db.example/x"),
        hog("value-1", SecretParts={"key": "part-of-it", "n": 1}),
    ]
    forget = inspected(out, "trufflehog", trufflehog(hogs))[0].forget
    for value in (key, secret, address, "part-of-it"):
        assert forget(f"log {value}") == "log [withheld]"
    forget = inspected(out, "kingfisher", kingfisher(fished(key, dependent_captures={"A": secret})))[0].forget
    assert forget(f"<{secret}>{key}\n") == "<[withheld]\n"


def test_of_a_value_of_several_lines_none_stands_elsewhere(out: Path) -> None:
    forget = inspected(out, "trufflehog", trufflehog([hog(PEM)]))[0].forget
    for line in PEM.splitlines()[1:-1]:
        assert line not in forget(f"x\n{line}\ny")
        assert forget(f"x\n{line}\ny").endswith("\ny")


def test_a_password_that_is_a_word_of_the_scanners_own_does_not_hide_what_was_planted(out: Path) -> None:
    planted = fished(PEM, path=f"{TREE}/canary/key.pem", rule="betterleaks.private-key")
    words = [fished(word) for word in ("private-key", "canary", "key.pem", "betterleaks")]
    found = inspected(out, "kingfisher", kingfisher(planted, *words))[1]
    assert next((each.path, each.rule) for each in found if isinstance(each, Secret)) == (
        "canary/key.pem",
        "betterleaks.private-key",
    )


def test_the_logs_tail_holds_no_value_that_the_report_told(out: Path) -> None:
    (out / "scanner.log").write_text(f"scanning\nfound {PASSWORD} in a.py\nand {PEM}\n")
    forget = inspected(out, "trufflehog", trufflehog([hog(PASSWORD), hog(PEM)]))[0].forget
    assert log_tail(out, forget) == "scanning\nfound [withheld] in a.py\nand [withheld]"


LOGS: dict[RepositoryScanner, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "trivy": (
        (
            "2026-11-22T18:15:11Z\tINFO\tNumber of files: h1dden",
            (
                "2026-11-22T18:15:12Z\t\x1b[31mERROR\x1b[0m\t[terraform parser] Error parsing file"
                '\tcause="  password = \\"h1dden\\"" err="main.tf:2,3: h1dden"'
            ),
            "2026-11-22T18:15:13Z\tWARN\t[h1dden] x",
            *("panic: h1dden", "", "h1dden INFO"),
            "2026-11-22T18:15:14+01:00\tFATAL\tFatal error\t- h1dden",
        ),
        (
            "2026-11-22T18:15:11Z INFO",
            "2026-11-22T18:15:12Z ERROR [terraform parser]",
            "2026-11-22T18:15:13Z WARN",
            "[withheld]",
            "2026-11-22T18:15:14+01:00 FATAL",
        ),
    ),
    "trufflehog": (
        (
            '{"level":"info-0","ts":"2026-11-22T18:15:12Z","logger":"trufflehog","msg":"h1dden"}',
            '{"level":"error","ts":"2026-11-22T18:15:13Z","logger":"h1dden","msg":"x"}',
            '{"msg":"h1dden"}',
        ),
        ("2026-11-22T18:15:12Z info-0 trufflehog", "2026-11-22T18:15:13Z error", "[withheld]"),
    ),
    "kingfisher": (
        (
            " WARN kingfisher::scanner::enumerate: cannot read h1dden",
            "2026-11-22T18:15:12.1Z ERROR kingfisher: h1dden",
            "thread 'main' panicked: h1dden",
        ),
        ("WARN kingfisher::scanner::enumerate", "2026-11-22T18:15:12.1Z ERROR kingfisher", "[withheld]"),
    ),
}


@pytest.mark.parametrize("scanner", LOGS)
def test_of_a_log_go_out_time_level_and_component_and_none_of_its_words(
    out: Path, scanner: RepositoryScanner
) -> None:
    log, shown = LOGS[scanner]
    (out / "scanner.log").write_text("\n".join(log) + "\n")
    assert log_tail(out, shown=shown_lines(scanner)).splitlines() == [*shown]


def test_of_our_own_scanners_logs_all_lines_go_out() -> None:
    assert [shown_lines(kind)(["any", "line"]) for kind in ("site", "account")] == [["any", "line"]] * 2


PLANTED = st.sampled_from(["pla%nted-V4lue", TOKEN, 'quo"ted\\value', "u\u00fcml\u00e4ut\u2028value", PEM])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[RepositoryScanner, bytes, set[str]]:
    """Reports with values in every place that may have one, whole or damaged; and the values."""
    scanner = draw(st.sampled_from(REPOSITORY_SCANNERS))
    values = draw(st.lists(PLANTED, min_size=1, max_size=3))
    place = st.sampled_from([*values, "x"])
    path = f"{TREE}/repository/" + draw(place).replace("\n", "")
    if scanner == "trivy":
        # It tells no value, so what is planted is what no line may show of it.
        told = [trivy_secret(Match=value, Code={"Lines": [{"Content": value}]}) for value in values]
        body = trivy(result("repository/x", Secrets=told, Packages=[package()]))
    elif scanner == "trufflehog":
        body = trufflehog(
            hog(
                value,
                path=path,
                DetectorDescription=draw(place),
                Redacted=value,
                DetectorName="a." + draw(place),
            )
            for value in values
        )
    else:
        body = kingfisher(*[fished(value, path=path, rule="a." + draw(place)) for value in values])
    if draw(st.booleans()):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=4)) + body[at + draw(st.integers(0, 40)) :]
        # Of an item that cannot be read nobody knows the value.
        values = values if scanner == "trivy" else []
    return scanner, body, set(values)


@given(bodies())
def test_whatever_a_report_says_no_value_goes_out(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[RepositoryScanner, bytes, set[str]]
) -> None:
    scanner, body, values = drawn
    out = tmp_path_factory.getbasetemp() / "any"
    out.mkdir(exist_ok=True)
    try:
        made, lines = inspected(out, scanner, body)
    except UnfitError:
        return
    told = "\n".join(str(text) for line in lines for text in msgspec.structs.astuple(line)) + made.note
    assert not [value for value in values if value in told or value.replace("\n", " ") in told]


@given(st.sampled_from(REPOSITORY_SCANNERS), st.binary(max_size=300))
def test_whatever_the_bytes_there_are_lines_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, scanner: RepositoryScanner, body: bytes
) -> None:
    out = tmp_path_factory.getbasetemp() / "bytes"
    out.mkdir(exist_ok=True)
    for start in (b"", b'{"SchemaVersion": 2, "Results": [', b'{"findings": ['):
        with suppress(UnfitError):
            made, lines = inspected(out, scanner, start + body)
            # Nothing that was cut short looks as if it were whole.
            assert lines or made.withheld or made.note or (scanner, start) == ("trufflehog", b"")


# ---------------------------------------------------------------- caps


def test_findings_come_before_packages_where_there_is_little_room(out: Path) -> None:
    many = [package(Name=f"package-{number}") for number in range(500)]
    body = trivy(
        result("repository/x", Packages=many), result("repository/y", Vulnerabilities=[vulnerability()])
    )
    made, lines = inspected(out, "trivy", body, most=20_000)
    assert made.note == "there is no room for all packages"
    assert isinstance(lines[0], Vulnerability)
    assert 50 < len(lines) < 500


def test_where_there_is_no_room_for_findings_the_reason_says_so(out: Path) -> None:
    body = trufflehog(hog(f"value-{number}") for number in range(1_000))
    made, lines = inspected(out, "trufflehog", body, most=100_000)
    assert made.note == "there is no room for all that was found; the rest was left"
    assert 100 < len(lines) < 1_000


def test_of_more_lines_than_ingest_reads_the_first_go_out(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_FOUND_LINES", 10)
    made, lines = inspected(out, "trufflehog", trufflehog(hog(f"value-{number}") for number in range(11)))
    assert (len(lines), made.note) == (10, "there is no room for all that was found; the rest was left")


@pytest.mark.parametrize(
    ("scanner", "start", "part"),
    [
        ("trivy", b'{"SchemaVersion": 2, "Results": [', b"{},"),
        ("trivy", b'{"SchemaVersion": 2, "Results": [{"Target": "repository/x", "Secrets": [', b"1,"),
        ("trivy", b'{"SchemaVersion": 2,', b'"a":1,'),
        ("trufflehog", b"", b"1\n"),
        ("kingfisher", b'{"findings": [', b"[],"),
        ("kingfisher", b"", b"{}"),
    ],
)
def test_millions_of_commas_are_left(
    out: Path, scanner: RepositoryScanner, start: bytes, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_PARTS", 5_000)
    assert "more than 5,000 parts" in inspected(out, scanner, start + part * 10_000)[0].note


# ---------------------------------------------------------------- beside the report


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"Version":"0.76.0","VulnerabilityDB":{"Version":2,"UpdatedAt":"2026-11-22T06:41:57.123456789Z"}}',
         ("0.76.0", "2026-11-22T06:41:57.123456789Z")),
        (b'{"Version":"v3.90.0"}', ("v3.90.0", "")),
        (b'{"Version":"dev"}', ("dev", "")),
        (b'{"Version":"<script>","VulnerabilityDB":{"UpdatedAt":"now"}}', ("", "")),
        (b'{"Version":1}', ("", "")),
        (b'{"Version":"' + b"1" * 100_000, ("", "")),
        (b"\xff", ("", "")),
    ],
)  # fmt: skip
def test_what_a_scanner_says_of_itself_is_a_version_and_a_date_or_nothing(
    out: Path, body: bytes, told: tuple[str, str]
) -> None:
    (out / "version.json").write_bytes(body)
    assert versions(out) == told


def test_without_a_version_there_is_none(out: Path) -> None:
    assert versions(out) == ("", "")


@pytest.mark.parametrize(
    ("scanner", "log", "count"),
    [
        ("trivy", "2026-11-22T18:15:12Z\tERROR\tx\n2026-11-22T18:15:12+01:00\t\x1b[31mFATAL\x1b[0m\ty\n", 2),
        ("trivy", "2026-11-22T18:15:12Z\tWARN\tERROR\n2026-11-22T18:15:12Z\tINFO\t ERROR \nERROR\n", 0),
        ("trufflehog", '{"level":"error","msg":"x"}\n{"level":"fatal"}\n{"level":"error-1"}\n', 3),
        ("trufflehog", '{"level":"info-0","msg":"{\\"level\\":\\"error\\"}"}\n x {"level":"error"}\n', 0),
        ("kingfisher", " ERROR kingfisher: x\n2026-11-22T18:15:12.1Z ERROR y\n\x1b[31mERROR\x1b[0m z\n", 3),
        ("kingfisher", " INFO kingfisher: ERROR \n WARN ERROR\nERRORS\n", 0),
    ],
)
def test_errors_in_a_scanners_log_are_counted(
    out: Path, scanner: RepositoryScanner, log: str, count: int
) -> None:
    (out / "scanner.log").write_text(log)
    assert logged_errors(out, scanner) == ([LoggedErrors(what="other", count=count)] if count else [], "")
