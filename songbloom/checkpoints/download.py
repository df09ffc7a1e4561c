"""Brings the files of a published release into a folder, from whichever copy still has them."""

from __future__ import annotations

import http.client
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import yaml

from songbloom.checkpoints.registry import (
    DEFAULT_LOCAL_DIR,
    File,
    Release,
    Source,
    find,
    is_native,
    present,
)
from songbloom.checkpoints.transfer import Interrupted, Progress, Transfer, TransferError, hash_file, open_url
from songbloom.errors import CheckpointError, InvalidInput, OutputError

_log = logging.getLogger(__name__)
WORTH_KEEPING = 64 << 20  # bytes of a copy that are not given up for another
_CARD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Endpoints:
    """Where the two hubs answer; a mirror or a test puts its own address here."""

    hub: str = "https://huggingface.co"
    modelscope: str = "https://www.modelscope.cn"

    def __post_init__(self) -> None:
        for name, value in (("hub", self.hub), ("modelscope", self.modelscope)):
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise InvalidInput(name, value, "an endpoint must be an http:// or https:// address")

    @classmethod
    def from_environment(cls) -> Endpoints:
        """The public hubs, unless HF_ENDPOINT or MODELSCOPE_DOMAIN (host name or address) say otherwise."""
        modelscope = os.environ.get("MODELSCOPE_DOMAIN") or cls.modelscope
        return cls(
            hub=os.environ.get("HF_ENDPOINT") or cls.hub,
            modelscope=modelscope if "://" in modelscope else f"https://{modelscope}",
        )

    def base(self, source: Source) -> str:
        return (self.hub if source.kind == "hub" else self.modelscope).rstrip("/")

    def url(self, source: Source, file_name: str) -> str:
        """The address of a file; both parts come from the registry, never from a server."""
        if source.kind == "hub":
            return f"{self.base(source)}/{source.repo}/resolve/main/{quote(file_name)}"
        return (
            f"{self.base(source)}/api/v1/models/{source.repo}/repo"
            f"?Revision=master&FilePath={quote(file_name, safe='')}"
        )


@dataclass
class DownloadReport:
    """What a download did.

    Attributes:
        folder: holds every file of the release; give it to the loader.
        fetched: file name -> the source it came from; files that were there already are not in it.
        licences: source -> the licence statement of that copy, for every source something came from.
    """

    release: Release
    folder: Path
    fetched: dict[str, Source] = field(default_factory=dict)
    licences: dict[Source, str] = field(default_factory=dict)


def download(
    model: str | Release,
    local_dir: str | Path = DEFAULT_LOCAL_DIR,
    *,
    endpoints: Endpoints | None = None,
    progress: Callable[[Progress], None] | None = None,
    timeout: float = 30.0,
) -> DownloadReport:
    """Completes the release ``model`` in ``local_dir`` and says where everything came from.

    The files go to the sub-folder of the release's name, or to ``local_dir`` itself where that already holds
    part of it. For each file the sources are tried in order, the one that gave the previous file first.
    Complete files stay as they are; partial ones are continued. A bundled or converted model needs nothing.

    Args:
        model: a name of the registry, or a release of one's own making.
        endpoints: default ``Endpoints.from_environment()``.
        progress: called a few times a second with the state of the current file.
        timeout: seconds a server may stay silent.

    Raises:
        InvalidInput: unknown name, or a ``local_dir`` or endpoint that cannot be one.
        CheckpointError: no source gave a file; names every source and its reason.
        OutputError: the folder cannot be written or is too full.
    """
    release = model if isinstance(model, Release) else find(model)
    endpoints = endpoints or Endpoints.from_environment()
    local_dir = Path(local_dir)
    ready = present(release, local_dir)
    if ready is not None and is_native(ready):
        return DownloadReport(release, ready)
    if release.bundled:
        raise CheckpointError(
            f"{release.name} should come with the package but is not there: install it again"
        )
    if not timeout > 0:
        raise InvalidInput("timeout", timeout, "must be a number of seconds above 0")
    folder = _folder(release, local_dir)
    job = _Job(release, local_dir, folder, endpoints, progress, timeout)
    missing = [file for file in release.files if not _complete(folder / file.name, file)]
    known = sum(file.size or 0 for file in missing)
    if known > (free := shutil.disk_usage(folder).free):
        raise OutputError(
            f"{folder}: {release.name} needs {known:,} bytes, {free:,} are free; choose another --local-dir"
        )
    for file in missing:
        job.bring(file)
    return DownloadReport(release, folder, job.fetched, {s: job.licence(s) for s in job.fetched.values()})


def _folder(release: Release, local_dir: Path) -> Path:
    if local_dir.exists() and not local_dir.is_dir():
        raise InvalidInput("local_dir", str(local_dir), "is a file; give a folder")
    own = {file.name for file in release.files if file.name.startswith(f"{release.name}.")}
    begun = any((local_dir / f"{name}{end}").exists() for name in own for end in ("", ".part"))
    folder = local_dir if begun or local_dir.name == release.name else local_dir / release.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{folder}: no permission to write; choose another folder with --local-dir")
    return folder


def _complete(path: Path, file: File) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    whole = file.size in (None, path.stat().st_size) and (not file.sha256 or hash_file(path) == file.sha256)
    if not whole:
        _log.warning("%s: damaged or of another version; it is fetched again", path)
    return whole


@dataclass
class _Job:
    """One run of ``download``: what it has learned about the sources so far."""

    release: Release
    local_dir: Path
    folder: Path
    endpoints: Endpoints
    progress: Callable[[Progress], None] | None
    timeout: float
    fetched: dict[str, Source] = field(default_factory=dict)
    _unreachable: dict[str, str] = field(default_factory=dict)

    def bring(self, file: File) -> None:
        """Puts ``file`` into the folder."""
        if self._reuse(file):
            return
        reasons: list[str] = []
        for source in self._order(file):
            transfer = self._transfer(file, source)
            error = self._try(transfer, source)
            if error is None:
                self.fetched[file.name] = source
                return
            reasons.append(f"{source} ({self.endpoints.base(source)}): {error}")
            if isinstance(error, Interrupted) and not file.sha256 and transfer.arrived() >= WORTH_KEEPING:
                # Another copy, of which nothing says that it is equal, would begin from nothing.
                remedy = f"try it again later, or delete {transfer.part} to take another copy from the start"
                reasons.append(f"{transfer.arrived() / 1e6:,.0f} MB have come from {source}: {remedy}")
                break
        raise CheckpointError(self._failure(file, reasons))

    def _try(self, transfer: Transfer, source: Source) -> TransferError | None:
        """Fetch a file; what went wrong, if something did. A host that does not answer is asked once."""
        base = self.endpoints.base(source)
        if base in self._unreachable:
            return Interrupted(self._unreachable[base], unreachable=True)
        _log.info("%s: from %s", transfer.target.name, source)
        try:
            transfer.fetch()
        except TransferError as error:
            if error.unreachable:
                self._unreachable[base] = f"{base} did not answer before"
            return error
        return None

    def licence(self, source: Source) -> str:
        """What the card of ``source`` says now; the registry's words where it says nothing."""
        try:
            with open_url(self.endpoints.url(source, "README.md"), self.timeout) as response:
                text = response.read(_CARD_BYTES).decode("utf-8", errors="replace")
            front = re.match(r"\s*---\s*\n(.*?)\n---", text, re.DOTALL)
            head = yaml.safe_load(front.group(1)) if front else None
        except (TransferError, OSError, http.client.HTTPException, yaml.YAMLError, ValueError) as error:
            _log.info("card of %s: %s", source, error)
            return source.licence
        words = [head.get(key) for key in ("license", "license_name")] if isinstance(head, dict) else []
        stated = ", ".join(word for word in words if isinstance(word, str))
        return f"{stated[:200]} (its card)" if stated else source.licence

    def _transfer(self, file: File, source: Source) -> Transfer:
        return Transfer(
            url=self.endpoints.url(source, file.name),
            target=self.folder / file.name,
            size=file.size,
            sha256=file.sha256,
            timeout=self.timeout,
            progress=self.progress,
        )

    def _order(self, file: File) -> list[Source]:
        """The sources for ``file``: where it was begun, where the last one came from, then the registry's."""
        last = next(reversed(self.fetched.values()), None)
        sources = [source for source in self.release.sources if source.may_have(file.name)]
        return sorted(sources, key=lambda s: (not self._transfer(file, s).begun_here(), s != last))

    def _reuse(self, file: File) -> bool:
        """Takes ``file`` from another release's folder, where its hash proves it is the same."""
        if not file.sha256:
            return False
        for path in (self.local_dir / file.name, *sorted(self.local_dir.glob(f"*/{file.name}"))):
            if path.parent != self.folder and path.is_file() and hash_file(path) == file.sha256:
                _link_or_copy(path, self.folder / file.name)
                return True
        return False

    def _failure(self, file: File, reasons: list[str]) -> str:
        names = ", ".join(each.name for each in self.release.files)
        return "\n".join(
            [
                f"{self.release.name}: could not get {file.name}. Sources tried:",
                *(f"  - {reason}" for reason in reasons),
                "What has arrived is kept; the same command continues from there.",
                f"If you have the files already ({names}),",
                "put them into one folder and name it: --local-dir FOLDER",
            ]
        )


def _link_or_copy(path: Path, target: Path) -> None:
    aside = target.with_name(target.name + ".copy")
    try:
        aside.unlink(missing_ok=True)
        try:
            os.link(path, aside)
        except OSError:
            shutil.copyfile(path, aside)
        aside.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        aside.unlink(missing_ok=True)
