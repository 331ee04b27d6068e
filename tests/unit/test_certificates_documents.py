"""Documents of authorities are fetched once, whoever asks and whatever comes back."""

from __future__ import annotations

import asyncio

import pytest

from glovebox.siteaudit.certificates import documents
from glovebox.siteaudit.certificates.documents import DocumentCache, DocumentError, UnreadableDocumentError
from tests.certificates import Published

URL = "http://pki.test/a"


def reversed_bytes(data: bytes) -> bytes:
    if not data:
        raise UnreadableDocumentError("It is empty.")
    return data[::-1]


def cache(published: Published, limit: int = 100) -> DocumentCache[bytes]:
    return DocumentCache(published, reversed_bytes, limit)


async def test_one_fetch_serves_all_askers_at_once_and_later() -> None:
    published = Published({URL: b"abc"})
    answers = cache(published)
    assert await asyncio.gather(*(answers.get(URL) for _ in range(5))) == [b"cba"] * 5
    assert await answers.get(URL) == b"cba"
    assert published.asked == {URL: 1}


@pytest.mark.parametrize(
    ("body", "error"), [(None, DocumentError), (b"", UnreadableDocumentError), (bytes(101), DocumentError)]
)
async def test_a_failure_is_remembered_like_an_answer(body: bytes | None, error: type[DocumentError]) -> None:
    published = Published({} if body is None else {URL: body})
    answers = cache(published)
    for _ in range(3):
        with pytest.raises(DocumentError) as raised:
            await answers.get(URL)
        assert type(raised.value) is error
    assert published.asked == {URL: 1}


@pytest.mark.parametrize(
    "url",
    ["ldap://pki.test/a", "file:///etc/passwd", "http://a b/", "http://a/\r\nX: y", "http://" + "a" * 2_000],
)
async def test_addresses_that_no_authority_uses_are_never_asked(url: str) -> None:
    published = Published({url: b"abc"})
    with pytest.raises(DocumentError, match="address"):
        await cache(published).get(url)
    assert not published.asked


async def test_an_asker_that_gives_up_does_not_end_the_fetch_for_others() -> None:
    published = Published({URL: b"abc"})
    answers = cache(published)
    first, second = asyncio.create_task(answers.get(URL)), asyncio.create_task(answers.get(URL))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"cba"
    assert first.cancelled()
    assert published.asked == {URL: 1}


async def test_closing_ends_fetches_under_way() -> None:
    class Never:
        ended = False

        async def fetch(self, url: str, *, max_bytes: int) -> bytes:
            try:
                await asyncio.Event().wait()
            finally:
                self.ended = True
            raise AssertionError

    never = Never()
    answers = DocumentCache(never, reversed_bytes, 100)
    asker = asyncio.create_task(answers.get(URL))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await answers.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asker
    assert never.ended


async def test_the_least_recently_used_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_CACHED_BYTES", 8)
    urls = [f"{URL}/{n}" for n in range(3)]
    published = Published(dict.fromkeys(urls, b"abc"))
    answers = cache(published)
    for url in (urls[0], urls[1], urls[0], urls[2], urls[0], urls[1]):
        await answers.get(url)
    assert published.asked == {urls[0]: 1, urls[1]: 2, urls[2]: 1}
