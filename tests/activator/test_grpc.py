"""A real gRPC client and server with the activator between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from autoscaler.core.domain import Entrance
from autoscaler.core.messages import Refusal, Wake
from tests.activator.rig import KEY, free_port, play, rig

grpc = pytest.importorskip("grpc", reason="pip install grpcio")


def predict(request: bytes, context) -> bytes:
    return b"predicted " + request


def chat(requests: Iterator[bytes], context) -> Iterator[bytes]:
    for each in requests:
        yield b"said " + each


@contextmanager
def server() -> Iterator[int]:
    with ThreadPoolExecutor(4) as pool:
        made = grpc.server(pool)
        handlers = {
            "Predict": grpc.unary_unary_rpc_method_handler(predict),
            "Chat": grpc.stream_stream_rpc_method_handler(chat),
        }
        made.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("inference.Model", handlers),)
        )
        port = made.add_insecure_port("127.0.0.1:0")
        made.start()
        try:
            yield port
        finally:
            made.stop(None).wait(10)


def client(port: int):
    # A pool of connections shared by name would outlive one test.
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.insecure_channel(f"127.0.0.1:{port}", options)


def door() -> Entrance:
    return Entrance(port=free_port(), name="grpc", tunnel=True)


def test_calls_are_held_while_the_model_sleeps_and_then_answered_stream_by_stream():
    async def scene() -> None:
        entrance = door()
        async with rig() as made:
            made.see(entrances=(entrance,))
            await made.open()
            with server() as port, client(entrance.port) as channel:
                unary = channel.unary_unary("/inference.Model/Predict")
                stream = channel.stream_stream("/inference.Model/Chat")
                first = asyncio.to_thread(unary, b"a" * 100_000, timeout=15)
                async with asyncio.TaskGroup() as tasks:
                    asked = tasks.create_task(first)
                    await made.until(lambda: made.board_level() == 1)
                    assert [type(each) for each in made.said] == [Wake]
                    made.see(port, entrances=(entrance,))
                assert asked.result() == b"predicted " + b"a" * 100_000
                words = [b"%d" % number * 1000 for number in range(200)]

                said = await asyncio.to_thread(
                    lambda: list(stream(iter(words), timeout=15))
                )

                assert said == [b"said " + each for each in words]
                assert made.board_level() == 1
            await made.until(lambda: made.board_level() == 0)

    play(scene(), 30.0)


def test_a_call_may_be_held_for_longer_than_a_client_waits_for_a_first_word():
    async def scene() -> None:
        entrance = door()
        async with rig() as made:
            made.see(entrances=(entrance,))
            await made.open()
            options = [
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.min_reconnect_backoff_ms", 300),
                ("grpc.initial_reconnect_backoff_ms", 300),
            ]
            address = f"127.0.0.1:{entrance.port}"
            with server() as port, grpc.insecure_channel(address, options) as channel:
                unary = channel.unary_unary("/inference.Model/Predict")
                work = asyncio.to_thread(unary, b"a" * 10_000, timeout=15)
                async with asyncio.TaskGroup() as tasks:
                    asked = tasks.create_task(work)
                    gate = made.activator._plane.board.gate(KEY)
                    assert gate is not None
                    await made.until(lambda: gate.bytes > 10_000)
                    # Time is the subject: gRPC's own, three times what it would wait.
                    await asyncio.sleep(0.9)
                    made.see(port, entrances=(entrance,))

                assert asked.result() == b"predicted " + b"a" * 10_000

    play(scene(), 30.0)


def test_a_start_that_cannot_succeed_is_told_to_the_client_in_its_own_words():
    async def scene() -> None:
        entrance = door()
        async with rig() as made:
            reason = "image pull failed: no such image"
            made.see(
                entrances=(entrance,), refusal=Refusal(reason=reason, retry_after_s=1.0)
            )
            await made.open()
            with client(entrance.port) as channel:
                unary = channel.unary_unary("/inference.Model/Predict")

                with pytest.raises(grpc.RpcError) as raised:
                    await asyncio.to_thread(unary, b"a", timeout=15)

            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert reason in raised.value.details()

    play(scene(), 30.0)
