"""The program that fetches one model: whole or not at all, and why not."""

from __future__ import annotations

import asyncio
import errno
import sys
from pathlib import Path

import pytest

from autoscaler.backends import download
from tests.autoscaler.backends.scene import CHILD, Calls, plain_environ, run

PROGRAM = download.__file__

# In the place of kserve-storage: it calls the test, with half of the model there.
CALLING = CHILD.partition("line = call()")[0] + (
    "open(out + '/half', 'w').write('half'); call().makefile().readline()\n"
    "open(out + '/model.bin', 'w').write('whole'); os.remove(out + '/half')"
)


def stand_in(folder: Path, code: str) -> Path:
    """Write a kserve_storage whose download does *code* on `uri` and `out`."""
    folder.mkdir(exist_ok=True)
    body = f"exec({code!r}, {{'uri': uri, 'out': out}})"
    (folder / "kserve_storage.py").write_text(
        f"class Storage:\n    @staticmethod\n    def download(uri, out):\n        {body}\n"
    )
    return folder


async def start(uri, directory, library, port=0):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", PROGRAM, uri, str(directory),
        env={**plain_environ(), "PYTHONPATH": str(library), "CALL": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


def fetch(tmp_path, code, uri="s3://models/iris"):
    """Fetch with *code* as the library; return the exit status and the last line."""
    result = []

    async def scene():
        library = stand_in(tmp_path / "library", code)
        process = await start(uri, tmp_path / "cache" / "iris", library)
        said, _ = await process.communicate()
        result.extend((process.returncode, said.decode().strip().rpartition("\n")[2]))

    run(scene)
    return tuple(result)


def test_a_model_that_was_fetched_is_there_with_its_source(tmp_path):
    code = "open(out + '/model.bin', 'w').write(uri); print('a library babbles')"

    assert fetch(tmp_path, code)[0] == download.DONE
    place = tmp_path / "cache" / "iris"
    assert (place / "model" / "model.bin").read_text() == "s3://models/iris"
    assert (place / "source").read_text() == "s3://models/iris"
    assert sorted(each.name for each in place.parent.iterdir()) == ["iris", "iris.lock"]


def test_what_is_there_is_not_fetched_again(tmp_path):
    assert fetch(tmp_path, "pass")[0] == download.DONE
    assert fetch(tmp_path, "raise SystemExit('fetched again')")[0] == download.DONE


def test_without_the_library_it_says_what_to_install(tmp_path):
    code = "raise ModuleNotFoundError('no', name='kserve_storage')"

    assert fetch(tmp_path, code) == (
        download.FINAL,
        "storage: s3://models/iris needs the package kserve_storage, which is missing: "
        "pip install 'fromzero[storage]'",
    )


def test_a_failure_leaves_nothing_that_looks_like_a_model(tmp_path):
    code = "open(out + '/half', 'w').write('half'); raise PermissionError(13, 'no')"

    assert fetch(tmp_path, code) == (
        download.FINAL,
        "storage: no for s3://models/iris",
    )
    assert [each.name for each in (tmp_path / "cache").iterdir()] == ["iris.lock"]


def test_a_fetcher_killed_midway_leaves_no_model_and_the_next_begins_anew(tmp_path):
    async def scene():
        place = tmp_path / "cache" / "iris"
        library = stand_in(tmp_path / "library", CALLING)
        async with Calls() as calls:
            first = await start("s3://models/iris", place, library, calls.port)
            await calls.next()
            first.kill()
            await first.communicate()
            assert (place.parent / "iris.part" / "model" / "half").exists()
            assert not place.exists()

            second = await start("s3://models/iris", place, library, calls.port)
            (await calls.next()).tell("")
            await second.communicate()
            assert second.returncode == download.DONE
            assert [each.name for each in (place / "model").iterdir()] == ["model.bin"]
            assert not (place.parent / "iris.part").exists()

    run(scene)


def test_a_second_fetcher_waits_for_the_first_and_finds_all_done(tmp_path):
    async def scene():
        place = tmp_path / "cache" / "iris"
        library = stand_in(tmp_path / "library", CALLING)
        async with Calls() as calls:
            first = await start("s3://models/iris", place, library, calls.port)
            call = await calls.next()
            other = stand_in(tmp_path / "other", "raise SystemExit('fetched twice')")
            second = await start("s3://models/iris", place, other)
            call.tell("")
            await first.communicate()
            await second.communicate()
            assert (first.returncode, second.returncode) == (0, 0)

    run(scene)


def test_a_second_fetcher_goes_on_where_the_first_was_killed(tmp_path):
    async def scene():
        place = tmp_path / "cache" / "iris"
        library = stand_in(tmp_path / "library", CALLING)
        async with Calls() as calls:
            first = await start("s3://models/iris", place, library, calls.port)
            await calls.next()
            second = await start("s3://models/iris", place, library, calls.port)
            first.kill()
            (await calls.next()).tell("")
            await second.communicate()
            await first.communicate()
            assert second.returncode == download.DONE

    run(scene)


class Response:
    def __init__(self, status_code):
        self.status_code = status_code


class LibraryError(Exception):
    def __init__(self, words="", **attributes):
        super().__init__(words)
        self.__dict__.update(attributes)


class GatedRepoError(Exception):
    pass


def caused_by(cause, words="Failed to download"):
    error = RuntimeError(words)
    error.__cause__ = cause
    return error


def aws(code):
    return LibraryError(response={"Error": {"Code": code}})


@pytest.mark.parametrize(
    ("error", "word", "final"),
    [
        (aws("NoSuchBucket"), "NoSuchBucket", True),
        (aws("403"), "AccessDenied", True),
        (aws("404"), "NotFound", True),
        (aws("SlowDown"), "SlowDown", False),
        (caused_by(aws("InvalidAccessKeyId")), "InvalidAccessKeyId", True),
        (
            RuntimeError(
                "x: An error occurred (NoSuchKey) when calling the GetObject operation"
            ),
            "NoSuchKey",
            True,
        ),
        (
            RuntimeError("An error occurred (403) when calling the HeadObject operation"),
            "AccessDenied",
            True,
        ),
        (RuntimeError("Failed to fetch model. No model found in a/b."), "NotFound", True),
        (LibraryError(response=Response(401)), "Unauthorized", True),
        (LibraryError(response=Response(503)), "status 503", False),
        (LibraryError(response=Response(429)), "status 429", False),
        (RuntimeError("HTTP request failed with status code 404."), "NotFound", True),
        (RuntimeError("HTTP access denied: check the token"), "AccessDenied", True),
        (caused_by(GatedRepoError("ask")), "GatedRepoError", True),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device", False),
        (PermissionError(13, "Permission denied"), "Permission denied", True),
        (ConnectionResetError("reset by peer"), "reset by peer", False),
        (TimeoutError(), "TimeoutError", False),
        (RuntimeError("Invalid hf URI."), "Invalid hf URI", True),
    ],
    ids=range(19),
)  # fmt: skip
def test_what_went_wrong_is_a_word_and_known_to_be_final_or_not(error, word, final):
    assert download.classify(error) == (word, final)
