"""What the public queries answer, beside whole records.  The OpenAPI document is made from these types."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from glovebox.sites.item import SiteSummary
from glovebox.sites.ports import RegistryName

Next = Annotated[str, Meta(description="Give it back as `next` for the rest; absent at the end.")]


class HistoryAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    results: list[SiteSummary]
    next: Next | None = None


class NamesAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    count: Annotated[int, Meta(ge=0, description="Names in this answer.")]
    results: list[RegistryName]
    next: Next | None = None


class FileAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    file_name: str
    url: Annotated[str, Meta(description="Relative to the host that serves page, API and files alike.")]
    file_size: Annotated[int, Meta(ge=0, description="Bytes.")]


class FilesAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    count: Annotated[int, Meta(ge=0, description="Files in all.")]
    files: list[FileAnswer]
    next: Next | None = None


class ErrorBody(Struct, frozen=True, kw_only=True):
    code: Annotated[int, Meta(description="The HTTP status.")]
    reason: Annotated[str, Meta(description="A word for programs, such as `missing_parameter`.")]
    message: Annotated[str, Meta(description="A sentence for people.")]


class ErrorAnswer(Struct, frozen=True, kw_only=True):
    error: ErrorBody
