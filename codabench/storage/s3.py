"""Objects on S3: the server checks the sha256 of what it is sent, and shows nothing that is not complete."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from codabench.storage.objects import Found, Objects, _moment, again

_PART, _PARTS = 32 << 20, 9_000
"""Bytes of a request; more if there would be more requests than a server takes for one object."""
_RENEWABLE = 5 << 30
_RETRIES = {"mode": "standard", "total_max_attempts": 3}
"""Of one request; s3fs makes those again that found no server, and `again` those that the server failed."""


def is_s3(url: str) -> bool:
    """Whether a URL is one of S3."""
    return url.partition("://")[0] in ("s3", "s3a")


def with_defaults(options: dict[str, Any] | None) -> dict[str, Any]:
    """Options for s3fs: signatures of version 4 unless others are asked for, and nothing remembered of listings."""
    given = dict(options or {})
    usual = {"signature_version": "s3v4", "connect_timeout": 10, "retries": _RETRIES}
    given["config_kwargs"] = {**usual, **given.get("config_kwargs", {})}
    return {"use_listings_cache": False, **given}


class S3Objects(Objects):
    """Objects in a bucket. Requests that fail are made again, each a few times."""

    def look(self, name: str) -> Found | None:
        bucket, key, _ = self._fs.split_path(self.path(name))
        with self.reading(name):
            try:
                said = again(lambda: self._fs.call_s3("head_object", Bucket=bucket, Key=key))
            except FileNotFoundError:
                return None
        return Found(name, said["ContentLength"], _moment(said))

    def _fetch(self, name: str, start: int, end: int) -> bytes:
        try:
            return super()._fetch(name, start, end)
        except OSError as error:
            said = getattr(error.__cause__, "response", {}).get("Error", {})
            if said.get("Code") == "InvalidRange":
                return b""
            raise

    def put(self, name: str, spooled: BinaryIO, size: int, sha256: str) -> None:
        bucket, key, _ = self._fs.split_path(self.path(name))
        spooled.seek(0)
        with self.writing(name):
            if size <= 2 * _PART:
                again(lambda: self._put_whole(bucket, key, spooled, sha256))
            else:
                self._put_parts(bucket, key, spooled, size)
            found = self.look(name)
            if found is None or found.size != size:
                raise OSError(errno.EIO, "what arrived there is not what was sent")

    def _put_whole(self, bucket: str, key: str, spooled: BinaryIO, sha256: str) -> None:
        spooled.seek(0)
        self._send("put_object", spooled.read(), sha256, Bucket=bucket, Key=key)

    def _put_parts(self, bucket: str, key: str, spooled: BinaryIO, size: int) -> None:
        where = {"Bucket": bucket, "Key": key}
        begun = again(lambda: self._fs.call_s3("create_multipart_upload", ChecksumAlgorithm="SHA256", **where))
        where["UploadId"] = begun["UploadId"]
        parts: list[dict[str, Any]] = []
        try:
            while data := spooled.read(max(_PART, -(-size // _PARTS))):
                parts.append(self._put_part(data, len(parts) + 1, where))
            self._complete(where, parts)
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.call_s3("abort_multipart_upload", **where)
            raise

    def _put_part(self, data: bytes, number: int, where: dict[str, Any]) -> dict[str, Any]:
        sha256 = hashlib.sha256(data).hexdigest()
        etag = again(lambda: self._send("upload_part", data, sha256, PartNumber=number, **where))
        return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": _base64(sha256)}

    def _complete(self, where: dict[str, Any], parts: list[dict[str, Any]]) -> None:
        try:
            again(lambda: self._fs.call_s3("complete_multipart_upload", MultipartUpload={"Parts": parts}, **where))
        except OSError:
            # The answer to an earlier request may have been lost: then it is there, and no second one can make it.
            there = self._fs.info(f"{where['Bucket']}/{where['Key']}")
            if there["ETag"].strip('"') != _etag_of(parts):
                raise

    def _send(self, method: str, data: bytes, sha256: str, **where: Any) -> str:
        """One request with bytes; what the server says of them must be true of them."""
        said = self._fs.call_s3(method, Body=data, ChecksumSHA256=_base64(sha256), **where)
        etag = str(said["ETag"]).strip('"')
        sure = said.get("ChecksumSHA256") == _base64(sha256)
        # Servers that know no checksums have the MD5 of what arrived as its tag, unless they encrypt it.
        if not sure and len(etag) == 32 and not said.get("ServerSideEncryption"):
            sure = etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
            if not sure:
                raise OSError(errno.EIO, "what arrived there is not what was sent")
        return str(said["ETag"])

    def renew(self, found: Found) -> bool:
        bucket, key, _ = self._fs.split_path(self.path(found.name))
        if found.size >= _RENEWABLE:
            return False
        source = {"Bucket": bucket, "Key": key}
        with self.writing(found.name), contextlib.suppress(FileNotFoundError):
            self._fs.call_s3("copy_object", CopySource=source, MetadataDirective="REPLACE", **source)
            return True
        return False

    def unfinished(self, before: float) -> list[tuple[Found, Callable[[], object]]]:
        bucket, prefix, _ = self._fs.split_path(self.path(""))
        found: list[tuple[Found, Callable[[], object]]] = []
        with self.reading("uploads that were not finished"):
            uploads = self._fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix).get("Uploads", ())
        for upload in uploads:
            at = _moment({"LastModified": upload["Initiated"]})
            if at < before:
                where = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                abort = partial(self._fs.call_s3, "abort_multipart_upload", **where)
                found.append((Found(upload["Key"].removeprefix(prefix), 0, at), abort))
        return found

    def sign_get(self, name: str, seconds: int) -> str | None:
        with self.reading(name):
            return str(self._fs.url(self.path(name), expires=seconds))

    def sign_put(self, name: str, size: int, content_type: str, seconds: int) -> str | None:
        bound = {"ContentLength": size, "ContentType": content_type}
        with self.writing(name):
            return str(self._fs.url(self.path(name), expires=seconds, client_method="put_object", **bound))


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _etag_of(parts: list[dict[str, Any]]) -> str:
    """The tag that an object of these parts has."""
    try:
        tags = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts)
    except ValueError:
        return ""
    return f"{hashlib.md5(tags, usedforsecurity=False).hexdigest()}-{len(parts)}"
