"""What KServe's webhook puts beside a model, on the standard library alone.

    python sidecars.py storage URI FOLDER
    python sidecars.py agent PORT COMPONENT_PORT

The first is the storage-initializer: `fail` in a URI's path fails with last words, `stall`
never ends, `wait-2` takes two seconds.  The second passes on each connection, as the agent
that batches and logs does.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from pathlib import Path


def fetch(uri: str, folder: Path) -> None:
    """Write what stands for the model at *uri* into *folder*, or end with last words."""
    parts = uri.split("/")
    for part in parts:
        if part.startswith("wait-"):
            threading.Event().wait(float(part.removeprefix("wait-")))
    if "stall" in parts:
        signal.pause()
    if "fail" in parts:
        sys.exit(f"RuntimeError: Failed to fetch model. No model found in {uri}.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"uri": uri}))


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def splice(one: Ends, other: Ends) -> None:
    """Pass on all that comes, both ways, and each way's end, until both have ended."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            for _, each in (one, other):
                each.transport.abort()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(one[0], other[1]))
            group.create_task(pump(other[0], one[1]))
    finally:
        for _, each in (one, other):
            each.close()


async def run_agent(port: int, component: int, host: str = "") -> None:
    """Pass on each connection to the component's port, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", component)
        except OSError:
            writer.close()
            return
        await splice((reader, writer), there)

    listener = await asyncio.start_server(serve, host or None, port)
    print(f"listening on {listener.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    listener.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["storage", uri, folder]:
            fetch(uri, Path(folder))
        case ["agent", port, component, *rest]:
            asyncio.run(run_agent(int(port), int(component), *rest))
        case other:
            sys.exit(f"storage URI FOLDER, or agent PORT COMPONENT_PORT; not {other}")
