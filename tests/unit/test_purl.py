"""Package URLs: what is kept of them names packages, and holds no address."""

from __future__ import annotations

import pytest

from glovebox.scans.purl import safe_purl, without_version


@pytest.mark.parametrize(
    ("purl", "safe", "unversioned"),
    [
        ("pkg:npm/lodash@4.17.4", "pkg:npm/lodash@4.17.4", "pkg:npm/lodash"),
        ("pkg:npm/%40babel/core@7.0.0", "pkg:npm/%40babel/core@7.0.0", "pkg:npm/%40babel/core"),
        (
            "pkg:golang/github.com/a/b@v1.2.3#sub",
            "pkg:golang/github.com/a/b@v1.2.3",
            "pkg:golang/github.com/a/b",
        ),
        (
            "pkg:deb/debian/curl@7.50?arch=i386&x=y",
            "pkg:deb/debian/curl@7.50?arch=i386",
            "pkg:deb/debian/curl",
        ),
        ("pkg:maven/a.b/c", "pkg:maven/a.b/c", "pkg:maven/a.b/c"),
        ("pkg:rpm/a@1%3A2.0-3?epoch=1", "pkg:rpm/a@1%3A2.0-3?epoch=1", "pkg:rpm/a"),
        ("pkg:gem/a@1.0-java?platform=java", "pkg:gem/a@1.0-java?platform=java", "pkg:gem/a"),
        (
            "pkg:maven/a/b@1?type=jar&vcs_url=git+https://u:h1dden@h/",
            "pkg:maven/a/b@1?type=jar",
            "pkg:maven/a/b",
        ),
        ("pkg:pypi/a@1.0%2Blocal", "pkg:pypi/a@1.0%2Blocal", "pkg:pypi/a"),
        # Versions that are addresses, as Trivy makes them of package-lock.json, escaped once, twice or not.
        ("pkg:npm/a@git%2Bhttps:%2F%2Fh1dden%40h%2Fa.git", "pkg:npm/a", "pkg:npm/a"),
        ("pkg:npm/a@git%252Bhttps%253A%252F%252Fh1dden%2540h", "pkg:npm/a", "pkg:npm/a"),
        ("pkg:npm/a@git+https://h1dden@h/a.git", "pkg:npm/a", "pkg:npm/a"),
        ("pkg:npm/a@u:h1dden", "pkg:npm/a", "pkg:npm/a"),
        ("pkg:npm/a@token%3Dh1dden", "pkg:npm/a", "pkg:npm/a"),
        ("pkg:npm/a@ghp_1B4a2e77838347a7E420ce178F2E7c6912E1", "pkg:npm/a", "pkg:npm/a"),
        ("pkg:npm/token%3Dh1dden@1", "", ""),
        ("pkg:npm/https:%2F%2Fu:h1dden%40h@1", "", ""),
        ("pkg:golang/https://u:h1dden@h/x@1", "", ""),
        ("pkg:npm/a@1?distro=token%3Dh1dden", "pkg:npm/a@1", "pkg:npm/a"),
        ("javascript:alert(1)", "", ""),
        ("pkg:npm/" + "a" * 2_000, "", ""),
        ("lodash", "", ""),
        ("pkg:npm/a b@1", "", ""),
        ("pkg:npm/x\u202ey@1", "", ""),
    ],
)
def test_package_urls(purl: str, safe: str, unversioned: str) -> None:
    assert safe_purl(purl) == safe
    assert "h1dden" not in safe
    assert without_version(safe) == unversioned
