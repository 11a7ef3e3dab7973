"""A model server for browsers: a page, events that come in two halves, an echo.

python browsed.py --port=N
"""

from __future__ import annotations

import argparse
import asyncio

from aiohttp import WSMsgType, web

TOLD_S = 30.0
"""What the page has not been told by then is missing in it."""

PAGE = """<!doctype html>
<title>browsed</title>
<ul id="events"></ul>
<ul id="echoes"></ul>
<script>
const say = (list, text) => {
  const item = document.createElement("li");
  item.textContent = text;
  document.getElementById(list).append(item);
};
const streamed = new Promise((over) => {
  const source = new EventSource("../tokens/events");
  source.onmessage = (event) => say("events", event.lastEventId + " " + event.data);
  source.addEventListener("end", () => { source.close(); over(); });
});
const spoken = new Promise((over) => {
  const at = new URL("../chat/echo", location);
  at.protocol = "ws:";
  const socket = new WebSocket(at);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    say("echoes", "open");
    socket.send("grüße");
    socket.send(new Uint8Array(70000).fill(7));
  };
  socket.onmessage = (event) => {
    if (typeof event.data === "string") return say("echoes", event.data);
    const bytes = new Uint8Array(event.data);
    say("echoes", `${bytes.length} times ${bytes[0]}`);
    socket.close(4000, "enough");
  };
  socket.onclose = (event) => {
    say("echoes", `closed ${event.code} ${event.reason}`);
    over();
  };
});
Promise.all([streamed, spoken]).then(() => fetch("told", { method: "POST" }));
</script>
<script src="told"></script>
"""
"""It has not loaded until it has been told all: the browser prints it then."""


class Site:
    """What a browser asks of it."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def told(self, request: web.Request) -> web.Response:
        """Hold the page's load until its script says that it has all."""
        if request.method == "POST":
            self._told.set()
        else:
            try:
                async with asyncio.timeout(TOLD_S):
                    await self._told.wait()
            except TimeoutError:
                pass
        return web.Response(content_type="text/javascript")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send half of the events; the rest to who comes again and says so."""
        said = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await said.prepare(request)
        begun = int(request.headers.get("Last-Event-ID", "0"))
        await said.write(b"retry: 10\n\n")
        for number in range(begun + 1, begun + 4):
            await said.write(b"id: %d\ndata: token %d\n\n" % (number, number))
            await asyncio.sleep(0.01)
        if begun:
            await said.write(b"event: end\ndata:\n\n")
        return said

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    site, app = Site(), web.Application()
    app.router.add_get("/page", site.page)
    app.router.add_route("*", "/told", site.told)
    app.router.add_get("/events", site.events)
    app.router.add_get("/echo", site.echo)
    web.run_app(app, host="127.0.0.1", port=asked.port, print=None)


if __name__ == "__main__":
    main()
