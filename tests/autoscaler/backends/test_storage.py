"""Where a model is on this machine, and how it gets there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from autoscaler.backends.process import Guard
from autoscaler.backends.storage import Absent, StorageSettings, Store
from tests.autoscaler.backends.scene import IRIS, Calls, local, plain_environ, run
from tests.autoscaler.backends.test_download import CALLING, stand_in


def store(tmp_path, **changes):
    options = {"cache": tmp_path / "cache", "environ": {}, "base": tmp_path, **changes}
    return Store(StorageSettings(**options), Guard())


def absent(answer) -> str:
    assert isinstance(answer, Absent)
    assert answer.final
    return answer.reason


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "models" / "iris"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_text("weights")
    return folder


def test_a_path_is_itself_and_a_relative_one_is_relative_to_the_document(
    tmp_path, model
):
    found = store(tmp_path).locate

    assert found(str(model)) == model
    assert found("models/iris") == model
    assert found(f"file://{model}") == model
    assert found(f"file://localhost{model}") == model
    assert found("file://models/iris") == model


def test_home_is_known(tmp_path, model, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert store(tmp_path).locate("~/models/iris") == model


def test_what_is_not_there_says_where_it_was_looked_for(tmp_path):
    reason = absent(store(tmp_path).locate("models/bert"))

    assert reason == f"storage: models/bert: there is no {tmp_path}/models/bert"


def test_a_scheme_that_nobody_knows_lists_the_known(tmp_path):
    reason = absent(store(tmp_path).locate("ftp://there/iris"))

    assert reason == (
        "storage: ftp://there/iris: scheme ftp is not known; use a path, file, pvc, s3, "
        "gs, hf, http or https"
    )


def test_a_volume_claim_is_a_folder_under_the_root(tmp_path, model):
    found = store(tmp_path, volumes=tmp_path).locate

    assert found("pvc://models/iris") == model
    assert found("pvc://models//iris/") == model
    assert found("pvc://models") == model.parent


def test_without_a_root_there_are_no_volumes(tmp_path):
    reason = absent(store(tmp_path).locate("pvc://models/iris"))

    assert "no directory stands for volumes; name one (--pvc-root)" in reason


@pytest.mark.parametrize("name", ["..", ".", "", "a..b", "Models", "-a", "a_b", "~"])
def test_what_is_no_name_of_a_claim_is_refused(tmp_path, name):
    reason = absent(store(tmp_path, volumes=tmp_path).locate(f"pvc://{name}/iris"))

    assert f"{name!r} is not the name of a volume claim" in reason


@pytest.mark.parametrize("inside", ["../other", "iris/../../other", "link", "link/.."])
def test_nothing_leads_out_of_a_volume(tmp_path, model, inside):
    (tmp_path / "other").mkdir()
    (model.parent / "link").symlink_to(tmp_path / "other")
    reason = absent(store(tmp_path, volumes=tmp_path).locate(f"pvc://models/{inside}"))

    assert "leads out of its volume" in reason


def test_a_volume_may_itself_be_a_link(tmp_path, model):
    (tmp_path / "disk").symlink_to(model.parent)

    assert store(tmp_path, volumes=tmp_path).locate("pvc://disk/iris") == model


def test_a_single_file_is_alone_in_its_directory(tmp_path, model):
    (model / "notes.txt").write_text("not for a server")
    stored = store(tmp_path)
    folder = stored.locate(str(model / "model.bin"))

    assert isinstance(folder, Path)
    assert [each.name for each in folder.iterdir()] == ["model.bin"]
    assert (folder / "model.bin").read_text() == "weights"
    assert stored.locate(str(model / "model.bin")) == folder


def test_a_cache_that_cannot_be_written_is_a_reason(tmp_path, model):
    (tmp_path / "cache").write_text("a file")
    answer = store(tmp_path).locate(str(model / "model.bin"))

    assert isinstance(answer, Absent)
    assert not answer.final
    assert answer.reason.startswith("storage: cannot write ")


def test_a_name_too_long_for_the_system_is_a_reason(tmp_path):
    assert "File name too long" in absent(store(tmp_path).locate("x" * 5000))


@pytest.mark.parametrize(
    "uri", ["s3://a/b", "gs://a/b", "hf://a/b", "http://a/b.zip", "HTTPS://a/b.tar"]
)
def test_what_is_elsewhere_must_be_fetched(tmp_path, uri):
    assert store(tmp_path).locate(uri) is None


def test_an_archive_must_be_unpacked_and_again_when_it_changed(tmp_path, model):
    archive = model / "iris.tar.gz"
    archive.write_text("one")

    assert store(tmp_path).locate(str(archive)) is None


@asynccontextmanager
async def fetching(tmp_path, code, **changes):
    """Give a store that fetches with *code*, a way to ask it, and the calls made."""
    library = stand_in(tmp_path / "library", code)
    guard = Guard()
    async with Calls() as calls:
        environ = {
            **plain_environ(),
            "PYTHONPATH": str(library),
            "CALL": str(calls.port),
        }
        settings = StorageSettings(cache=tmp_path / "c", environ=environ, **changes)
        stored = Store(settings, guard)

        def ask(uri):
            answer = asyncio.get_running_loop().create_future()
            stored.fetch(uri, answer.set_result)
            return answer

        try:
            yield stored, ask, calls
        finally:
            await guard.close()


def test_who_asks_meanwhile_waits_for_the_same_fetch(tmp_path):
    async def scene():
        async with fetching(tmp_path, CALLING) as (stored, ask, calls):
            first = ask("s3://models/iris")
            call = await calls.next()
            second = ask("s3://models/iris")
            assert stored.fetching == ("s3://models/iris",)
            assert stored.locate("s3://models/iris") is None
            call.tell("")
            place = await first
            assert place == await second == stored.locate("s3://models/iris")
            assert [each.name for each in place.iterdir()] == ["model.bin"]
            assert stored.fetching == ()

    run(scene)


def test_models_with_the_same_last_name_have_places_of_their_own(tmp_path):
    async def scene():
        async with fetching(tmp_path, "open(out + '/f', 'w').write(uri)") as (
            _,
            ask,
            _c,
        ):
            one, other = await ask("s3://a/iris"), await ask("s3://b/iris/")
            assert (one / "f").read_text() == "s3://a/iris"
            assert (other / "f").read_text() == "s3://b/iris/"

    run(scene)


def test_a_fetch_that_fails_says_why_and_may_be_tried_again(tmp_path):
    async def scene():
        code = (
            "import sys; print('babble', file=sys.stderr); raise OSError(5, 'bad disk')"
        )
        async with fetching(tmp_path, code) as (_, ask, _calls):
            answer = await ask("s3://models/iris")
            assert answer == Absent(
                reason="storage: bad disk for s3://models/iris", final=False
            )
            stand_in(tmp_path / "library", "pass")
            assert isinstance(await ask("s3://models/iris"), Path)

    run(scene)


def test_a_fetch_that_dies_is_a_reason_too(tmp_path):
    async def scene():
        code = "import os; os.write(1, b'oh no\\n'); os.abort()"
        async with fetching(tmp_path, code) as (_, ask, _calls):
            answer = await ask("s3://models/iris")
            assert answer == Absent(
                reason="storage: killed by SIGABRT: oh no for s3://models/iris",
                final=False,
            )

    run(scene)


def test_a_fetch_that_nobody_needs_any_more_is_killed(tmp_path):
    async def scene():
        async with fetching(tmp_path, CALLING) as (stored, ask, calls):
            answer = ask("s3://models/iris")
            call = await calls.next()
            stored.forget("s3://models/iris")
            stored.forget("s3://models/other")
            assert not (await answer).final
            await call.gone()
            assert stored.locate("s3://models/iris") is None

    run(scene)


def test_a_fetch_that_hangs_is_killed(tmp_path):
    async def scene():
        async with fetching(tmp_path, CALLING, limit_s=0.5) as (_, ask, _calls):
            answer = await ask("s3://models/iris")
            assert "killed by SIGKILL" in answer.reason

    run(scene)


def test_an_archive_that_changed_is_unpacked_again(tmp_path):
    archive = tmp_path / "iris.zip"
    code = "open(out + '/f', 'w').write(open(uri.removeprefix('file://')).read())"

    async def scene():
        async with fetching(tmp_path, code) as (stored, ask, _calls):
            for text in ("one", "another"):
                archive.write_text(text)
                assert stored.locate(f"file://{archive}") is None
                place = await ask(f"file://{archive}")
                assert place == stored.locate(f"file://{archive}")
                assert (place / "f").read_text() == text

    run(scene)


def backend(tmp_path, code, calls):
    environ = {
        **plain_environ(),
        "PYTHONPATH": str(stand_in(tmp_path / "library", code)),
        "CALL": str(calls.port),
    }
    return local(
        tmp_path, storage=StorageSettings(cache=tmp_path / "cache", environ=environ)
    )


def test_a_failed_download_is_a_failed_start(tmp_path):
    async def scene():
        async with Calls() as calls:
            machine, witness = backend(
                tmp_path, "raise PermissionError(13, 'no')", calls
            )
            async with machine:
                machine.configure(IRIS, calls.launch(storage_uri="s3://models/iris"))
                machine.scale(IRIS, 1, ())
                failure = await witness.failure()
                assert failure.final
                assert failure.reason == "storage: no for s3://models/iris"
                await witness.count(IRIS, 0)

    run(scene)


def test_replicas_wait_for_their_model_and_then_all_start(tmp_path):
    async def scene():
        async with Calls() as calls:
            machine, witness = backend(tmp_path, CALLING, calls)
            async with machine:
                machine.configure(IRIS, calls.launch(storage_uri="s3://models/iris"))
                machine.scale(IRIS, 2, ())
                download = await calls.next()
                await witness.until(lambda: len(witness.pictures[IRIS]) == 2)
                assert witness.addressed(IRIS) == []
                download.tell("")
                running = [await calls.next() for _ in range(2)]
                models = {Path(each.env["MODEL_DIR"]) for each in running}
                (model,) = models
                assert (model / "model.bin").read_text() == "whole"
                await witness.count(IRIS, 2)

    run(scene)


def test_a_revision_that_is_removed_needs_its_model_no_more(tmp_path):
    async def scene():
        async with Calls() as calls:
            machine, witness = backend(tmp_path, CALLING, calls)
            async with machine:
                machine.configure(IRIS, calls.launch(storage_uri="s3://models/iris"))
                machine.scale(IRIS, 1, ())
                download = await calls.next()
                machine.remove(IRIS)
                await download.gone()
                await witness.count(IRIS, 0)
                assert witness.failures == []

    run(scene)


def test_leaving_ends_a_download(tmp_path):
    async def scene():
        async with Calls() as calls:
            machine, _ = backend(tmp_path, CALLING, calls)
            async with machine:
                machine.configure(IRIS, calls.launch(storage_uri="s3://models/iris"))
                machine.scale(IRIS, 1, ())
                download = await calls.next()
            await download.gone()

    run(scene)
