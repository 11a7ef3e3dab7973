"""A short form of benchmarks.soak: too short to say anything of memory."""

import asyncio

import pytest

from benchmarks.soak import soak


@pytest.mark.slow
def test_mixed_traffic_leaves_nothing_behind_and_all_of_it_is_counted():
    async def scene():
        async with asyncio.timeout(150):
            return await soak(20.0, seed=1)

    found = asyncio.run(scene())

    assert found.wrong == []
    assert found.differs == {}
    assert found.left == {}
    assert found.requests > 300
    assert found.did.keys() >= {
        "keep_alive", "pipeline", "stream", "hold", "upload", "read_slowly",
        "tunnel", "leave", "fail", "garble",
    }  # fmt: skip
