"""GitHub as the look-alike plays it: rights, commits, trees, archives, limits, failures."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from glovebox.adapters.github import PERMISSIONS, AppCredentials, GitHub
from glovebox.adapters.github_http import PATIENCE, TRIES, Http
from glovebox.errors import ConfigurationError
from glovebox.local.github import INSTALLATION, AppKey, HostedRepository, LookAlike
from glovebox.local.github_trees import Leaf
from glovebox.snapshots.errors import SnapshotError
from tests.snapshots import read

SHOP = "github.com/acme/shop"
FILES = {
    "README.md": b"# Shop\n",
    "src/app.py": b"print()\n",
    ".github/CODEOWNERS": b"# everybody\n* @acme/old\n/docs @acme/docs\n* @acme/payments @somebody\n",
}


@pytest.fixture(scope="module")
def app() -> AppKey:
    return AppKey.made("17")


@pytest.fixture
def host(app: AppKey) -> LookAlike:
    return LookAlike(
        app,
        {
            "acme/shop": HostedRepository(number=7, files=FILES, branches=("feature/x",), topics=("team-a",)),
            "acme/other": HostedRepository(number=8, files={"a": b"1"}, archived=True),
        },
    )


class Waits(list[float]):
    """A clock that the waits move."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def api(host: LookAlike) -> Iterator[str]:
    with host.serving() as address:
        yield address


@pytest.fixture
def github(app: AppKey, api: str, waits: Waits) -> GitHub:
    return made(app, api, waits)


def made(app: AppKey, api: str, waits: Waits, **values: Any) -> GitHub:
    credentials = AppCredentials(app.id, app.private_key)
    http = Http(api, sleep=waits)
    return GitHub(lambda: credentials, host="github.com", api=api, http=http, **values)


def take(github: GitHub, ref: str = "", **known: int) -> None:
    with github.open(SHOP, **known) as source:
        commit = source.commit(ref)
        source.tree(commit)
        with source.archive(commit) as pieces:
            read(b"".join(pieces))


def failed(github: GitHub, ref: str = "", **known: int) -> str:
    """The class of the failure of a whole taking."""
    with pytest.raises(SnapshotError) as caught:
        take(github, ref, **known)
    return caught.value.failure_class


def test_one_repository_is_read_by_its_commit_tree_and_archive(github: GitHub, host: LookAlike) -> None:
    with github.open(SHOP) as source:
        commit = source.commit("")
        assert commit == source.commit("feature/x") == source.commit(commit)
        tree = source.tree(commit)
        with source.archive(commit) as pieces:
            archive, members = read(b"".join(pieces))
    assert archive.commit == commit == host.repositories["acme/shop"].commit()
    assert {each.text: body for each, body in members if each.kind == "file"} == FILES
    assert dict(tree.modes) == dict.fromkeys(FILES, "100644")
    assert dict(tree.blobs) == {path: Leaf("100644", body).blob for path, body in FILES.items()}
    assert not tree.truncated


def test_a_token_reaches_one_repository_to_read_and_is_given_back(github: GitHub, host: LookAlike) -> None:
    with github.open(SHOP, number=7, installation=INSTALLATION):
        (token,) = host.tokens.values()
        assert token.numbers == {7}
        assert token.permissions == PERMISSIONS
    assert host.tokens == {}
    (asked,) = [each for each in host.requests if each.method == "POST"]
    assert json.loads(asked.body) == {"repository_ids": [7], "permissions": PERMISSIONS}


def test_the_app_s_jwt_lives_less_than_ten_minutes(app: AppKey, host: LookAlike, waits: Waits) -> None:
    with host.serving() as api:
        github = made(app, api, waits)
        with github.open(SHOP):
            pass
    claims = host.requests[0].authorization.split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert said["iss"] == "17"
    assert said["exp"] - said["iat"] == 600


def test_an_archive_is_fetched_without_the_token(github: GitHub, host: LookAlike) -> None:
    with github.open(SHOP) as source, source.archive(source.commit("")) as pieces:
        b"".join(pieces)
    (fetched,) = [each for each in host.requests if each.path.startswith("/codeload/")]
    assert fetched.authorization == ""


@pytest.mark.parametrize(
    "place",
    [
        "http://192.0.2.1/x",
        "ftp://127.0.0.1/x",
        "https://user@example.com/x",
        "https://[/",
        "file:///etc/passwd",
    ],
)
def test_an_archive_is_fetched_from_no_unsafe_place(github: GitHub, host: LookAlike, place: str) -> None:
    host.faults.archives_at = place
    assert failed(github) == "access_denied"


@pytest.mark.parametrize("ref", ["nothing", "../../acme/other", ".hidden", "a//b", "refs/.."])
def test_a_ref_that_is_not_there_is_told(github: GitHub, ref: str) -> None:
    assert failed(github, ref) == "ref_unknown"


def test_a_ref_cannot_lead_to_another_place_of_the_interface(github: GitHub, host: LookAlike) -> None:
    assert failed(github, "x?sha=y#z%2e%2e") == "ref_unknown"
    assert any("x%3Fsha%3Dy%23z%252e%252e" in each.path for each in host.requests)


def test_an_empty_repository_is_told(github: GitHub, host: LookAlike) -> None:
    host.faults.empty.add("acme/shop")
    assert failed(github) == "repository_empty"


@pytest.mark.parametrize("known", [{}, {"number": 7, "installation": INSTALLATION}])
def test_a_repository_that_is_gone_is_told(github: GitHub, host: LookAlike, known: dict[str, int]) -> None:
    host.faults.gone.add("acme/shop")
    assert failed(github, **known) == "repository_gone"


def test_a_repository_that_goes_in_between_is_told(github: GitHub, host: LookAlike) -> None:
    with github.open(SHOP) as source:
        host.faults.gone.add("acme/shop")
        with pytest.raises(SnapshotError) as caught:
            source.commit("")
    assert caught.value.failure_class == "repository_gone"


def test_a_repository_with_a_new_name_is_told_with_that(github: GitHub, host: LookAlike) -> None:
    host.faults.renamed["acme/shop"] = "acme/store"
    with pytest.raises(SnapshotError, match=r"github\.com/acme/store now") as caught:
        take(github, number=7, installation=INSTALLATION)
    assert caught.value.failure_class == "repository_renamed"


def test_a_repository_that_is_renamed_in_between_is_told_with_its_new_name(
    github: GitHub, host: LookAlike
) -> None:
    with github.open(SHOP) as source:
        host.faults.renamed["acme/shop"] = "acme/store"
        with pytest.raises(SnapshotError, match=r"github\.com/acme/store now") as caught:
            source.commit("")
    assert caught.value.failure_class == "repository_renamed"


def test_another_host_s_repository_is_not_asked_for(github: GitHub, host: LookAlike) -> None:
    with pytest.raises(SnapshotError, match="another host"), github.open("gitlab.com/acme/shop"):
        pass
    assert host.requests == []


def test_a_right_that_is_wider_than_asked_for_is_not_used(github: GitHub, host: LookAlike) -> None:
    host.faults.wider_tokens = True
    assert failed(github) == "access_denied"
    assert not any(each.path.startswith("/repos/acme/shop/commits") for each in host.requests)


def test_a_suspended_installation_is_told(github: GitHub, host: LookAlike) -> None:
    host.faults.suspended = True
    assert failed(github) == failed(github, number=7, installation=INSTALLATION) == "access_denied"


@pytest.mark.parametrize(
    "key", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_key_that_is_none_is_told_without_it(app: AppKey, api: str, waits: Waits, key: str) -> None:
    github = made(replace_key(app, key), api, waits)
    with pytest.raises(SnapshotError, match="private key is none") as caught, github.open(SHOP):
        pass
    assert caught.value.failure_class == "access_denied"
    assert caught.value.__cause__ is None


def test_another_app_s_key_is_refused(api: str, waits: Waits) -> None:
    github = made(AppKey.made("17"), api, waits)
    assert failed(github) == "access_denied"


def test_failures_and_limits_that_pass_are_waited_for(github: GitHub, host: LookAlike, waits: Waits) -> None:
    host.faults.cut_connections, host.faults.unavailable, host.faults.rate_limited = 1, 1, 1
    host.faults.retry_after = "9"
    with github.open(SHOP) as source:
        assert source.commit("")
    assert len(waits) == 3
    assert waits[-1] >= 9


def test_failures_that_stay_are_told(github: GitHub, host: LookAlike, waits: Waits) -> None:
    host.faults.unavailable = 1_000
    assert failed(github) == "host_unavailable"
    assert len(waits) <= TRIES
    assert sum(waits) <= PATIENCE


@pytest.mark.parametrize("after", ["", "4000", "0"])
def test_limits_that_stay_are_told(github: GitHub, host: LookAlike, waits: Waits, after: str) -> None:
    host.faults.rate_limited, host.faults.retry_after = 1_000, after
    assert failed(github) == "rate_limited"
    assert sum(waits) <= PATIENCE


def test_a_download_that_breaks_off_is_damaged(github: GitHub, host: LookAlike) -> None:
    host.faults.truncated = True
    assert failed(github) == "snapshot_damaged"


def test_a_host_that_is_not_there_is_told_without_its_address(app: AppKey, waits: Waits) -> None:
    github = made(app, "http://127.0.0.1:9", waits)
    with pytest.raises(SnapshotError) as caught, github.open(SHOP):
        pass
    assert caught.value.failure_class == "host_unavailable"
    assert "127.0.0.1" not in str(caught.value)


def test_an_interface_that_is_not_reached_by_https_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="https"):
        Http("http://github.example.com/api/v3")


def test_an_app_that_was_installed_anew_is_found_by_the_repository_s_name(
    github: GitHub, host: LookAlike
) -> None:
    with github.open(SHOP, number=7, installation=INSTALLATION - 1) as source:
        assert source.commit("")
    assert [each.method for each in host.requests[:3]] == ["POST", "GET", "POST"]


def test_a_right_that_is_not_used_is_given_back(github: GitHub, host: LookAlike) -> None:
    host.faults.wider_tokens = True
    assert failed(github) == "access_denied"
    with pytest.raises(SnapshotError, match="wider right"):
        list(github.repositories())
    assert not any(each.path.startswith("/installation/repositories") for each in host.requests)
    assert host.tokens == {}


def test_where_listing_fails_its_right_is_given_back(github: GitHub, host: LookAlike) -> None:
    host.faults.statuses["/installation/repositories"] = 418
    with pytest.raises(SnapshotError, match="418"):
        list(github.repositories())
    assert host.tokens == {}


@pytest.mark.parametrize("status", [301, 403, 410, 451])
def test_one_repository_s_refused_owners_do_not_end_the_listing_of_all(
    github: GitHub, host: LookAlike, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = replace(host.repositories["acme/shop"], number=9)
    host.repositories["acme/bad"] = bad
    host.faults.statuses["/repos/acme/bad/contents"] = status
    found = {each.id: each.codeowners for each in github.repositories()}
    assert (found["github.com/acme/bad"], found[SHOP]) == ((), ("@acme/payments", "@somebody"))
    assert "acme/bad" in capsys.readouterr().out


def test_one_repository_s_endless_owners_do_not_end_the_listing_of_all(
    github: GitHub, host: LookAlike, capsys: pytest.CaptureFixture[str]
) -> None:
    host.repositories["acme/bad"] = HostedRepository(number=9, files={"CODEOWNERS": b"#" * (3 << 20) + b"\n"})
    found = {each.id: each.codeowners for each in github.repositories()}
    assert (found["github.com/acme/bad"], found[SHOP]) == ((), ("@acme/payments", "@somebody"))
    assert "acme/bad" in capsys.readouterr().out


@pytest.mark.parametrize("status", [401, 500])
def test_what_concerns_all_ends_the_listing(github: GitHub, host: LookAlike, status: int) -> None:
    host.faults.statuses["/repos/acme/shop/contents"] = status
    with pytest.raises(SnapshotError, match=str(status)):
        list(github.repositories())


def test_an_enterprise_server_is_asked_below_its_prefix(app: AppKey, host: LookAlike, waits: Waits) -> None:
    enterprise = LookAlike(app, host.repositories, prefix="/api/v3")
    with enterprise.serving() as api:
        credentials = AppCredentials(app.id, app.private_key)
        github = GitHub(lambda: credentials, host="git.example.com", api=api, http=Http(api, sleep=waits))
        with github.open("git.example.com/acme/shop") as source:
            assert source.commit("")
        assert {each.id for each in github.repositories()} == {
            "git.example.com/acme/shop",
            "git.example.com/acme/other",
        }


def test_all_that_the_app_is_installed_on_is_listed_with_its_owners(github: GitHub, host: LookAlike) -> None:
    found = {each.id: each for each in github.repositories()}
    assert found.keys() == {SHOP, "github.com/acme/other"}
    shop = found[SHOP]
    assert (shop.number, shop.installation, shop.default_branch, shop.private, shop.archived) == (
        *(7, INSTALLATION, "main"),
        *(True, False),
    )
    assert shop.topics == ("team-a",)
    assert shop.codeowners == ("@acme/payments", "@somebody")
    assert found["github.com/acme/other"].archived
    assert host.tokens == {}


def test_many_repositories_are_listed_page_by_page(app: AppKey, waits: Waits) -> None:
    empty = HostedRepository(number=0, files={}, archived=True)
    many = LookAlike(app, {f"acme/r{number}": replace(empty, number=number + 1) for number in range(205)})
    with many.serving() as api:
        found = list(made(app, api, waits).repositories())
    assert len({each.id for each in found}) == 205


def test_nothing_of_tokens_keys_and_addresses_is_in_what_is_raised(
    github: GitHub, host: LookAlike, app: AppKey, api: str
) -> None:
    """Each failure in turn, with everything that hangs on its exception."""
    told: list[str] = []
    for fault in ("unavailable", "rate_limited", "cut_connections", "truncated", "wider_tokens", "suspended"):
        before = getattr(host.faults, fault)
        setattr(host.faults, fault, True if isinstance(before, bool) else 1_000)
        with pytest.raises(SnapshotError) as caught:
            take(github)
        error: BaseException | None = caught.value
        while error is not None:
            told.append(f"{error!r} {error}")
            error = error.__cause__
        setattr(host.faults, fault, before)
    secrets = [each.authorization.removeprefix("Bearer ") for each in host.requests if each.authorization]
    assert secrets
    for secret in (*secrets, app.private_key.splitlines()[1], api, "codeload"):
        assert not [text for text in told if secret in text]


def replace_key(app: AppKey, key: str) -> AppKey:
    return replace(app, private_key=key)


def test_the_look_alike_makes_archives_as_git_does(host: LookAlike) -> None:
    repository = host.repositories["acme/shop"]
    with repository.archive("acme-shop-1", "1" * 40) as body, tarfile.open(fileobj=body) as archive:
        assert archive.pax_headers == {"comment": "1" * 40}
        assert archive.getnames()[0] == "acme-shop-1"
