"""One container of a pod: pulled, started, probed, restarted with back-off, stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from tests.kube.environment import Unmade, environment, expand
from tests.kube.images import Image, visible
from tests.kube.node import Backoff, now
from tests.kube.probes import counted, http, probe
from tests.kube.process import Boxed
from tests.kube.reports import Ended, State
from tests.kube.sandbox import Sandbox

Object = dict[str, Any]
LEAST_GRACE_S = 2.0
"""What is left for SIGTERM after a preStop hook that took all the grace."""
LONG_ENOUGH_S = 600.0
"""A run so long makes a kubelet forget the crashes before it."""


class Container:
    """Drives one container; *changed* hears of every change of its state."""

    def __init__(
        self, spec: Object, sandbox: Sandbox, changed: Callable[[], None], policy: str
    ) -> None:
        self.spec, self._box, self._changed, self._policy = (
            spec,
            sandbox,
            changed,
            policy,
        )
        self.state = State(name=spec["name"], image=spec["image"])
        self.settled = asyncio.Event()
        """It has started, by its startup probe where it has one."""
        self._boxed: Boxed | None = None
        self._why_killed = ""
        self._crashes = Backoff()
        self._going = False

    @property
    def _name(self) -> str:
        return str(self.spec["name"])

    def _wait_for(self, reason: str, message: str = "") -> None:
        self.state.waiting = reason, message
        self._past()
        self._changed()

    def _past(self) -> None:
        """Its end, where it had one, is the last one now."""
        if self.state.ended:
            self.state.last, self.state.ended = self.state.ended, None

    async def run(self) -> None:
        """Run it, and again as the restart policy says; return after its last end."""
        while True:
            ended = await self._once()
            if self._left() or not self._again(ended.code):
                return
            # The first time, a kubelet tries again at once.
            if self.state.restarts:
                await self._rest()

    def _left(self) -> bool:
        return self._going

    def _again(self, code: int) -> bool:
        return self._policy == "Always" or (self._policy == "OnFailure" and code != 0)

    async def _rest(self) -> None:
        pod, rest_s = self._box.pod["metadata"], self._crashes.next()
        whose = f"{pod['name']}_{pod['namespace']}({pod['uid']})"
        self._box.node.voice.warn(
            self._box.pod,
            "BackOff",
            f"Back-off restarting failed container {self._name} in pod {whose}",
            self._name,
        )
        self._wait_for(
            "CrashLoopBackOff",
            f"back-off {self._crashes.words()} restarting failed "
            f"container={self._name} pod={whose}",
        )
        await asyncio.sleep(rest_s * self._box.node.pace.backoff)

    async def _once(self) -> Ended:
        """Make the container and see it through to its end."""
        image = await self._box.pull(self.spec, self._wait_for)
        boxed = await self._made(image)
        self._boxed = boxed
        begun, started = asyncio.get_running_loop().time(), now()
        self.state.since = started
        self._past()
        self.state.restarts += self.state.last is not None
        self._box.node.voice.say(
            self._box.pod, "Started", f"Started container {self._name}", self._name
        )
        self._changed()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._probed(boxed))
            if image.oom_s is not None:
                group.create_task(self._starved(boxed, image.oom_s))
            try:
                code = await boxed.process.wait()
            finally:
                # Cancelled here: whoever ends the pod is in a hurry.
                await boxed.process.kill()
            watch.cancel()
        if asyncio.get_running_loop().time() - begun > LONG_ENOUGH_S:
            self._crashes = Backoff()
        return self._over(boxed, code, started)

    def _over(self, boxed: Boxed, code: int, started: str) -> Ended:
        reason = self._why_killed or ("Completed" if code == 0 else "Error")
        fallback = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        words = boxed.last_words(of_log=code != 0 and fallback)
        if code == 128 and not self._why_killed:
            reason, words = "StartError", boxed.last_words(of_log=True)
        self._why_killed, self._boxed = "", None
        self.settled.clear()
        ended = Ended(
            code=code, reason=reason, message=words, started=started, finished=now()
        )
        self.state.since, self.state.ended = "", ended
        self.state.ready = self.state.started = False
        self._changed()
        return ended

    async def _made(self, image: Image) -> Boxed:
        """Make and start the process."""
        env, spec = await self._configured(image)
        asked = image.command(
            self.spec.get("command") or [], self.spec.get("args") or []
        )
        spec["command"] = [expand(each, env) for each in asked]
        spec["shows"] = visible(image)
        self._box.node.voice.say(
            self._box.pod, "Created", f"Created container: {self._name}", self._name
        )
        return Boxed(self._box.folder, self._name, spec, self._box.host)

    async def _configured(self, image: Image) -> tuple[dict[str, str], Object]:
        """Return its variables and what box.py is told, once all that is there."""
        while True:
            try:
                env = await environment(
                    self.spec, self._box.pod, image, self._box.fetch
                )
                return env, self._box.spec(self.spec, image, env)
            except Unmade as error:
                self._wait_for("CreateContainerConfigError", str(error))
                self._box.node.voice.warn(
                    self._box.pod, "Failed", f"Error: {error}", self._name
                )
                await asyncio.sleep(self._box.node.pace.backoff)

    async def _starved(self, boxed: Boxed, after_s: float) -> None:
        await asyncio.wait({boxed.process.ended}, timeout=after_s)
        if not boxed.process.ended.done():
            self.kill("OOMKilled")

    def kill(self, reason: str = "") -> None:
        """Kill it with SIGKILL, as the kernel does, for *reason*."""
        if self._boxed:
            self._why_killed = reason
            self._boxed.process.send(signal.SIGKILL)

    async def _probed(self, boxed: Boxed) -> None:
        """Ask what is to be asked for as long as it runs."""
        if spec := self.spec.get("startupProbe"):
            seen = counted(spec, False)
            await self._ask(
                "Startup", spec, boxed, lambda fine: seen.seen(fine) or seen.out
            )
            if not seen.fine:
                await self._unhealthy("startup", spec)
                return
        self.state.started = True
        self.settled.set()
        if "readinessProbe" not in self.spec:
            self.state.ready = True
        self._changed()
        async with asyncio.TaskGroup() as group:
            if spec := self.spec.get("readinessProbe"):
                group.create_task(self._readiness(spec, boxed))
            if spec := self.spec.get("livenessProbe"):
                group.create_task(self._liveness(spec, boxed))

    async def _readiness(self, spec: Object, boxed: Boxed) -> None:
        seen = counted(spec, False)

        def heard(fine: bool) -> bool:
            if seen.seen(fine) != self.state.ready:
                self.state.ready = seen.fine
                self._changed()
            return False

        await self._ask("Readiness", spec, boxed, heard)

    async def _liveness(self, spec: Object, boxed: Boxed) -> None:
        seen = counted(spec, True)
        await self._ask(
            "Liveness", spec, boxed, lambda fine: self._going or not seen.seen(fine)
        )
        if not self._going:
            await self._unhealthy("liveness", spec)

    async def _unhealthy(self, which: str, spec: Object) -> None:
        self._box.node.voice.say(
            self._box.pod,
            "Killing",
            f"Container {self._name} failed {which} probe, will be restarted",
            self._name,
        )
        grace = spec.get("terminationGracePeriodSeconds")
        # Not awaited to the end of the process, which cancels this task.
        await self._end(self._box.grace_s if grace is None else float(grace))

    async def _ask(
        self, what: str, spec: Object, boxed: Boxed, heard: Callable[[bool], bool]
    ) -> None:
        """Probe every periodSeconds, until *heard* has heard enough."""
        paces = self._box.node.pace
        pace = paces.probes
        if what == "Liveness" and paces.liveness is not None:
            pace = paces.liveness
        await asyncio.sleep(float(spec.get("initialDelaySeconds") or 0) * pace)
        while True:
            verdict = await probe(spec, self.spec, self._box.host.ipv4, boxed.run)
            if not verdict.fine:
                self._box.node.voice.warn(
                    self._box.pod,
                    "Unhealthy",
                    f"{what} probe failed: {verdict.why}",
                    self._name,
                )
            if heard(verdict.fine):
                return
            await asyncio.sleep(float(spec.get("periodSeconds") or 10) * pace)

    async def stop(self, grace_s: float) -> None:
        """End it for good: preStop, SIGTERM, and SIGKILL when the grace is over."""
        self._going = True
        if self._boxed:
            self._box.node.voice.say(
                self._box.pod, "Killing", f"Stopping container {self._name}", self._name
            )
        await self._end(grace_s)

    async def _end(self, grace_s: float) -> None:
        boxed = self._boxed
        if boxed is None:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + grace_s
        if hook := (self.spec.get("lifecycle") or {}).get("preStop"):
            await self._before_stop(hook, boxed, grace_s)
        boxed.process.send(signal.SIGTERM)
        left_s = max(until - loop.time(), LEAST_GRACE_S if grace_s else 0.0)
        await asyncio.wait({boxed.process.ended}, timeout=left_s)
        await boxed.process.kill()

    async def _before_stop(self, hook: Object, boxed: Boxed, grace_s: float) -> None:
        """Do what is to be done before SIGTERM, unless the container ends meanwhile."""
        try:
            async with asyncio.timeout(grace_s):
                if sleep := hook.get("sleep"):
                    rest_s = float(sleep["seconds"])
                    await asyncio.wait({boxed.process.ended}, timeout=rest_s)
                elif action := hook.get("httpGet"):
                    await http(action, self.spec, self._box.host.ipv4)
                elif action := hook.get("exec"):
                    code, said = await boxed.run(action["command"], grace_s)
                    if code:
                        raise ValueError(f"exit status {code}: {said.strip()}")
        except (OSError, ValueError) as error:
            self._box.node.voice.warn(
                self._box.pod, "FailedPreStopHook", f"PreStopHook failed: {error}"
            )
