"""What the containers of a pod share: its network, its volumes, its security."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.kube.admin import Refused
from tests.kube.dns import DOMAIN
from tests.kube.environment import Unmade
from tests.kube.images import Image
from tests.kube.mounts import Volumes
from tests.kube.network import Host
from tests.kube.node import AGAIN_S, UNHEARD, Backoff, Node

Object = dict[str, Any]
TOKEN_S = 3607
"""What the tokens that are mounted everywhere are asked for: an hour, and 7 s."""


class Sandbox:
    """The inside of one pod on *node*; its containers are made with it."""

    def __init__(self, node: Node, pod: Object, host: Host) -> None:
        self.node, self.pod, self.host = node, pod, host
        self.folder = node.folder / str(pod["metadata"]["uid"])
        self.folder.mkdir()
        self.volumes = Volumes(self.folder, pod, (self.fetch, self.token))
        self._tokens: dict[str, tuple[str, float]] = {}
        pod["serving"] = node.api
        addresses = [{"ip": host.ipv4}, {"ip": host.ipv6}]
        pod["status"] |= {
            "podIP": host.ipv4,
            "podIPs": addresses,
            "hostIP": node.address,
            "hostIPs": [{"ip": node.address}],
        }
        self._write_names()

    @property
    def grace_s(self) -> float:
        grace = self.pod["spec"].get("terminationGracePeriodSeconds")
        return 30.0 if grace is None else float(grace)

    def _write_names(self) -> None:
        namespace, name = (self.pod["metadata"][key] for key in ("namespace", "name"))
        domain = ".".join(DOMAIN)
        searched = (f"{namespace}.{domain}", domain, domain.partition(".")[2])
        (self.folder / "resolv.conf").write_text(
            f"search {' '.join(searched)}\n"
            f"nameserver {self.node.address}\noptions ndots:5\n"
        )
        (self.folder / "hosts").write_text(
            "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
            f"{self.host.ipv4} {name}\n{self.host.ipv6} {name}\n"
        )

    async def fetch(self, kind: str, name: str) -> Object | None:
        """Get a ConfigMap or Secret, or None; waits while nobody answers."""
        namespace = self.pod["metadata"]["namespace"]
        while True:
            try:
                path = f"/api/v1/namespaces/{namespace}/{kind}/{name}"
                return await self.node.talk.get(path)
            except Refused as error:
                if error.status == 404:
                    return None
                await asyncio.sleep(AGAIN_S)
            except UNHEARD:
                await asyncio.sleep(AGAIN_S)

    async def token(self, source: Mapping[str, Any]) -> str:
        """Ask for a token bound to this pod, anew when 80 % of its time is over."""
        loop, meta = asyncio.get_running_loop(), self.pod["metadata"]
        key = json.dumps(source, sort_keys=True)
        known, until = self._tokens.get(key, ("", 0.0))
        if loop.time() < until:
            return known
        life_s = int(source.get("expirationSeconds") or TOKEN_S)
        bound = {"apiVersion": "v1", "kind": "Pod"}
        bound |= {"name": meta["name"], "uid": meta["uid"]}
        audiences = [source["audience"]] if source.get("audience") else []
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": audiences,
                "expirationSeconds": life_s,
                "boundObjectRef": bound,
            },
        }
        account = self.pod["spec"].get("serviceAccountName") or "default"
        path = f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}"
        try:
            answer = await self.node.talk.create(f"{path}/token", request)
        except (*UNHEARD, Refused) as error:
            if known:
                return known
            raise Unmade(f"failed to fetch token: {error}") from error
        fresh = str(answer["status"]["token"])
        self._tokens[key] = fresh, loop.time() + 0.8 * life_s
        return fresh

    async def pull(self, container: Object, waits: Callable[[str, str], None]) -> Image:
        """Return the image of *container* once it can be had."""
        name, voice = container["image"], self.node.voice
        backoff = Backoff()
        while True:
            image = self.node.images.get(name)
            always = container.get("imagePullPolicy") == "Always"
            if image and not image.refused and name in self.node.pulled and not always:
                said = f'Container image "{name}" already present on machine'
                voice.say(self.pod, "Pulled", said, container["name"])
                return image
            voice.say(self.pod, "Pulling", f'Pulling image "{name}"', container["name"])
            if image and not image.refused:
                if name not in self.node.pulled:
                    await asyncio.sleep(image.pull_s)
                self.node.pulled.add(name)
                said = f'Successfully pulled image "{name}" in {image.pull_s:g}s'
                voice.say(self.pod, "Pulled", said, container["name"])
                return image
            why = image.refused if image else f"{name}: not found"
            words = f'failed to pull and unpack image "{name}": {why}'
            said = f'Failed to pull image "{name}": {words}'
            voice.warn(self.pod, "Failed", said, container["name"])
            voice.warn(self.pod, "Failed", "Error: ErrImagePull", container["name"])
            waits("ErrImagePull", words)
            # A kubelet comes back to the pod soon, and then says that it rests.
            await asyncio.sleep(self.node.pace.backoff)
            rest_s = backoff.next()
            back = f'Back-off pulling image "{name}"'
            voice.say(self.pod, "BackOff", back, container["name"])
            voice.warn(self.pod, "Failed", "Error: ImagePullBackOff", container["name"])
            waits("ImagePullBackOff", f"{back}: ErrImagePull: {words}")
            await asyncio.sleep((rest_s - 1) * self.node.pace.backoff)

    def spec(
        self, container: Object, image: Image, env: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return what box.py is told, but for the command; raises Unmade."""
        shared = self.pod["spec"].get("securityContext") or {}
        own = container.get("securityContext") or {}
        both = shared | own
        user = both.get("runAsUser")
        uid = image.user if user is None else int(user)
        group = both.get("runAsGroup", image.user if user is None else 0)
        if both.get("runAsNonRoot") and uid == 0:
            name = container["name"]
            raise Unmade(
                "container has runAsNonRoot and image will run as root "
                f"(container: {name})"
            )
        groups = [int(each) for each in shared.get("supplementalGroups") or ()]
        if shared.get("fsGroup"):
            groups.append(int(shared["fsGroup"]))
        dropped = (own.get("capabilities") or {}).get("drop") or ()
        names = [
            [str(self.folder / name), f"/etc/{name}", True]
            for name in ("resolv.conf", "hosts")
        ]
        return {
            "host": self.pod["metadata"]["name"][:63],
            "folder": container.get("workingDir") or image.folder,
            "uid": uid,
            "gid": int(group),
            "groups": groups,
            "read_only": bool(own.get("readOnlyRootFilesystem")),
            "drop": "ALL" in dropped,
            "no_new_privileges": own.get("allowPrivilegeEscalation") is False,
            "message": container.get("terminationMessagePath")
            or "/dev/termination-log",
            "env": dict(env),
            "mounts": [*names, *self.volumes.mounts(container)],
        }
