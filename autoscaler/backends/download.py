"""The program that fetches one model: `python -P download.py URI DIRECTORY`.

A program of its own, so that a download that hangs can be killed and the memory that
the cloud libraries take is given back. DIRECTORY appears whole or not at all: the
files come into DIRECTORY.part, reach the disk, and are renamed. A lock beside it makes
a second fetcher wait, and then find that nothing is left to do.

Its last line of output says what went wrong; its exit status whether to try again.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator

DONE, FINAL, TRANSIENT = 0, 3, 4
MODEL = "model"
"""The model's own directory in DIRECTORY; beside it `source` holds the URI."""

_STATUS = {401: "Unauthorized", 403: "AccessDenied", 404: "NotFound", 410: "Gone"}
_DENIED = (
    "AccessDenied|AllAccessDisabled|Forbidden|InvalidAccessKeyId|SignatureDoesNotMatch"
    "|ExpiredToken|NoCredentials|PartialCredentials|DefaultCredentials|GatedRepo"
    "|Unauthorized|ClientAuthentication|InvalidToken"
)
_ABSENT = "NoSuchKey|NoSuchBucket|NotFound|InvalidBucketName|InvalidURI|Gone"
_FINAL = re.compile(
    f"^(?:{_DENIED}|{_ABSENT}|.*NotFound)(?:Error|Exception)?$"
    "|^status 4(?!08|25|29)"  # Timeout, too early, too many: later it may work.
)
_HOPELESS = re.compile(
    "not found|does not exist|authentic|invalid|did not respond with", re.IGNORECASE
)
_AWS_CODE = re.compile(r"error occurred \((\w+)\) when calling")
_HTTP_CODE = re.compile(r"(?:status code|HTTP Error) (\d{3})\b")


def main(uri: str, directory: str) -> int:
    """Fetch *uri* unless it is there; return the exit status."""
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    with open(f"{directory}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(directory):
            return DONE
        part = f"{directory}.part"
        shutil.rmtree(part, ignore_errors=True)  # Whoever left it is gone: we lock.
        try:
            _fetch(uri, part)
            os.rename(part, directory)
        except ImportError as error:
            return _say(
                f"storage: {uri} needs the package {error.name}, which is missing: "
                "pip install 'fromzero[storage]'",
                FINAL,
            )
        except Exception as error:  # Whatever those libraries raise is a reason here.
            shutil.rmtree(part, ignore_errors=True)
            word, final = classify(error)
            return _say(f"storage: {word} for {uri}", FINAL if final else TRANSIENT)
    return DONE


def classify(error: BaseException) -> tuple[str, bool]:
    """Return what went wrong in a word or a line, and whether a retry cannot help.

    >>> classify(RuntimeError("HTTP request failed with status code 503."))
    ('status 503', False)
    >>> classify(PermissionError(13, "Permission denied"))
    ('Permission denied', True)
    """
    chain = list(_chain(error))
    for each in reversed(chain):  # The first cause knows best.
        if word := _code(each):
            return word, bool(_FINAL.match(word))
    line = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    if "no model found" in line.lower():  # What kserve-storage says of no such key.
        return "NotFound", True
    final = isinstance(chain[-1], PermissionError | ValueError)
    if isinstance(chain[-1], OSError) and chain[-1].strerror:
        line = chain[-1].strerror
    return line, final or bool(_HOPELESS.search(line))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> str:
    """Return the library's own word for *error*: a code, a status or a class."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        code = str(response.get("Error", {}).get("Code", ""))
        return _STATUS.get(int(code), code) if code.isdigit() else code
    status = getattr(response, "status_code", None) or getattr(error, "code", None)
    if isinstance(status, int) and 400 <= status < 600:
        return _STATUS.get(status, f"status {status}")
    text = str(error)
    if found := _AWS_CODE.search(text):
        code = found[1]
        return _STATUS.get(int(code), code) if code.isdigit() else code
    if found := _HTTP_CODE.search(text):
        return _STATUS.get(int(found[1]), f"status {found[1]}")
    if text.startswith("HTTP ") and (
        found := re.search(r"not found|denied|auth", text)
    ):
        return {"not found": "NotFound", "denied": "AccessDenied"}.get(
            found[0], "Unauthorized"
        )
    name = type(error).__name__
    return name if _FINAL.match(name) else ""


def _fetch(uri: str, part: str) -> None:
    from kserve_storage import Storage

    model = os.path.join(part, MODEL)
    os.makedirs(model)
    Storage.download(uri, model)
    with open(os.path.join(part, "source"), "w") as file:
        file.write(uri)
    for folder, _, names in os.walk(part):
        for name in names:
            # Else a power cut after the rename could leave a whole name, half filled.
            with open(os.path.join(folder, name), "rb") as file:
                os.fsync(file.fileno())


def _say(line: str, status: int) -> int:
    sys.stderr.flush()
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
