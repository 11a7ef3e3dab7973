"""The stand-in for KServe's controller does what the real one was seen to do."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.kube import kserve_objects as objects
from tests.kube.admin import Refused
from tests.kube.documents import at, isvc, play_ready, scale, until
from tests.kube.kserve import KServe, within
from tests.kube.kserve_status import conditions
from tests.kube.talk import Talk

N = "clf-predictor"
TRANSFORMER = {"containers": [{"name": "kserve-container", "image": "transform"}]}
CANARY = {
    "trafficPercent": 20,
    "predictor": {
        "name": "v2",
        "minReplicas": 0,
        "model": {"modelFormat": {"name": "sklearn"}, "name": ""},
    },
}


@dataclass
class Stage:
    """KServe at work in a namespace, and what a test does there."""

    talk: Talk
    kserve: KServe
    space: str

    def at(self, kind: str, name: str = "") -> str:
        return at(self.space, kind, name)

    async def get(self, kind: str, name: str) -> dict:
        return await self.talk.get(self.at(kind, name))

    async def begin(self, document: dict) -> dict:
        """Create an InferenceService, and wait until KServe has made its children."""
        made = await self.talk.create(self.at("inferenceservices"), document)
        await self.after(made)
        return made

    async def after(self, document: dict) -> None:
        name, generation = (document["metadata"][key] for key in ("name", "generation"))

        async def seen() -> bool:
            return self.kserve.reconciled.get((self.space, name), 0) >= generation

        await until(f"generation {generation} of {name}", seen)

    async def poke(self, name: str = "clf") -> None:
        """Change what no child depends on, and wait until KServe has reconciled it."""
        live = await self.get("inferenceservices", name)
        longer = live["spec"]["predictor"].get("timeout", 60) + 1
        change = {"spec": {"predictor": {"timeout": longer}}}
        path = self.at("inferenceservices", name)
        await self.after(await self.talk.patch(path, change))

    async def scale(self, replicas: int, name: str = N) -> None:
        path = f"{self.at('deployments', name)}/scale"
        await self.talk.patch(path, scale(replicas))

    async def replicas(self, name: str = N) -> int:
        return (await self.get("deployments", name))["spec"]["replicas"]

    async def says(self, kind: str, status: str) -> dict:
        """Wait until a condition of clf has a status, and return it."""

        async def said() -> dict | None:
            live = await self.get("inferenceservices", "clf")
            found = conditions(live).get(kind, {})
            return found if found.get("status") == status else None

        return await until(f"{kind} {status}", said)

    async def absent(self, kind: str, name: str) -> bool:
        try:
            await self.get(kind, name)
        except Refused as error:
            return error.status == 404
        return False

    async def run(self, pods: int = 1) -> None:
        """Play the kubelet until clf is ready on at least *pods* pods."""

        async def running() -> bool:
            played = await play_ready(self.talk, self.space)
            live = await self.get("inferenceservices", "clf")
            ready = conditions(live).get("Ready", {}).get("status") == "True"
            return played >= pods and ready

        await until("ready", running)


@pytest.fixture
def play(cluster, space):
    """Give a test a way to run its scene with KServe at work."""

    @asynccontextmanager
    async def stage(options):
        user = cluster.user("kserve")
        async with (
            Talk(cluster.admin) as talk,
            KServe(user, **options).running() as one,
        ):
            yield Stage(talk, one, space)

    def run(scene, **options):
        async def whole():
            async with asyncio.timeout(60), stage(options) as on:
                await scene(on)

        asyncio.run(whole())

    return run


@pytest.mark.slow
def test_external_makes_a_deployment_and_a_service_and_nothing_that_scales(play):
    async def scene(on):
        made = await on.begin(isvc(on.space, minReplicas=0, maxReplicas=3))

        deployment = await on.get("deployments", N)
        service = await on.get("services", N)
        assert deployment["spec"]["replicas"] == 1
        assert deployment["spec"]["selector"] == {"matchLabels": {"app": f"isvc.{N}"}}
        assert service["spec"]["selector"] == {"app": f"isvc.{N}"}
        for each in (deployment, service):
            labels = each["metadata"]["labels"]
            assert labels["serving.kserve.io/inferenceservice"] == "clf"
            assert labels["component"] == "predictor"
            owner = each["metadata"]["ownerReferences"][0]
            assert (owner["uid"], owner["controller"]) == (
                made["metadata"]["uid"],
                True,
            )
        assert await on.absent("horizontalpodautoscalers", N)

    play(scene)


@pytest.mark.slow
def test_scale_writes_survive_on_every_component_of_class_external(play):
    async def scene(on):
        both = {"transformer": TRANSFORMER, "canary": [CANARY]}
        await on.begin(isvc(on.space, minReplicas=0, **both))

        for name in (N, "clf-transformer", "clf-v2-predictor"):
            for replicas in (0, 2):
                await on.scale(replicas, name)
                await on.poke()
                assert await on.replicas(name) == replicas

    play(scene)


@pytest.mark.slow
def test_at_zero_it_is_ready_and_pending_and_waking_is_a_warning(play):
    async def scene(on):
        await on.begin(isvc(on.space, minReplicas=0))
        await on.run()
        ingress = await on.get("ingresses", "clf")
        assert ingress["spec"]["rules"][0]["host"] == f"clf-{on.space}.example.com"

        await on.scale(0)

        async def asleep():
            live = await on.get("inferenceservices", "clf")
            return (
                live
                if live["status"]["modelStatus"]["copies"]["totalCopies"] == 0
                else 0
            )

        live = await until("no copies", asleep)
        said = conditions(live)
        assert (said["Ready"]["status"], said["PredictorReady"]["status"]) == (
            "True",
            "True",
        )
        assert said["PredictorReady"]["reason"] == "NewReplicaSetAvailable"
        model = live["status"]["modelStatus"]
        assert model["states"]["targetModelState"] == "Pending"
        assert model["transitionStatus"] == "InProgress"
        address = live["status"]["address"]["url"]
        assert address == f"http://{N}.{on.space}.svc.cluster.local"

        await on.scale(1)
        said = await on.says("Ready", "False")
        assert said["reason"] == "MinimumReplicasUnavailable"
        assert not await on.absent("ingresses", "clf")

        async def warned():
            events = (await on.talk.get(on.at("events")))["items"]
            return [e for e in events if e["reason"] == "InferenceServiceNotReady"]

        (event,) = await until("a warning", warned)
        assert (event["type"], event["involvedObject"]["name"]) == ("Warning", "clf")

    play(scene)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("least", "replicas"),
    [
        pytest.param({"minReplicas": 2}, 2, id="to its minReplicas"),
        pytest.param({}, 1, id="to one"),
    ],
)
def test_class_none_fights_for_its_replicas(play, least, replicas):
    async def scene(on):
        await on.begin(isvc(on.space, scaler="none", **least))

        await on.scale(5)

        async def back():
            return await on.replicas() == replicas

        await until("put back", back)

    play(scene)


@pytest.mark.slow
def test_class_absent_makes_an_hpa_and_external_takes_only_that_away(play):
    async def scene(on):
        document = isvc(on.space, scaler="", minReplicas=0, maxReplicas=4)
        await on.begin(document)

        hpa = await on.get("horizontalpodautoscalers", N)
        assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (1, 4)
        (metric,) = hpa["spec"]["metrics"]
        assert metric["resource"]["name"] == "cpu"
        assert metric["resource"]["target"]["averageUtilization"] == 80

        foreign = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "mine"},
            "spec": hpa["spec"],
        }
        await on.talk.create(on.at("horizontalpodautoscalers"), foreign)
        change = {"metadata": {"annotations": {objects.CLASS: "external"}}}
        await on.talk.patch(on.at("inferenceservices", "clf"), change)
        await until("gone", lambda: on.absent("horizontalpodautoscalers", N))
        assert not await on.absent("horizontalpodautoscalers", "mine")

    play(scene)


@pytest.mark.slow
def test_leaving_keda_leaves_its_scaled_object(play):
    async def scene(on):
        await on.begin(isvc(on.space, scaler="keda", minReplicas=0))
        assert not await on.absent("scaledobjects", N)

        change = {"metadata": {"annotations": {objects.CLASS: "external"}}}
        await on.talk.patch(on.at("inferenceservices", "clf"), change)
        await on.poke()

        assert not await on.absent("scaledobjects", N)

    play(scene)


@pytest.mark.slow
def test_an_annotation_of_the_inferenceservice_rolls_its_pods(play):
    async def scene(on):
        await on.begin(isvc(on.space))
        window = "autoscaling.knative.dev/window"

        change = {"metadata": {"annotations": {window: "60s", f"{window}-x": "1"}}}
        await on.talk.patch(on.at("inferenceservices", "clf"), change)

        async def rolled():
            live = await on.get("deployments", N)
            template = live["spec"]["template"]["metadata"]["annotations"]
            return template.get(window) == "60s" and live["metadata"]["generation"] == 2

        await until("a new template", rolled)

        async def two():
            return len((await on.talk.get(on.at("replicasets")))["items"]) == 2

        await until("a second ReplicaSet", two)

    play(scene)


@pytest.mark.slow
def test_what_others_do_to_a_service_and_a_template_is_put_back(play):
    async def scene(on):
        await on.begin(isvc(on.space))
        service = await on.get("services", N)
        assert service["spec"]["ports"][0]["targetPort"] == 8080

        path = on.at("services", N)
        noted = {"metadata": {"annotations": {"mine": "1"}}}
        await on.talk.patch(path, noted)
        await on.poke()
        assert "mine" in (await on.get("services", N))["metadata"]["annotations"]
        await on.talk.patch(path, {"spec": {"selector": {"app": "else"}}})

        async def put_back():
            live = await on.get("services", N)
            return live if live["spec"]["selector"] == {"app": f"isvc.{N}"} else None

        live = await until("its selector", put_back)
        assert "mine" not in live["metadata"]["annotations"]
        assert live["spec"]["clusterIP"] == service["spec"]["clusterIP"]

        path = on.at("deployments", N)
        await on.talk.patch(path, noted)
        await on.poke()
        assert "mine" in (await on.get("deployments", N))["metadata"]["annotations"]
        await on.scale(3)
        await on.talk.patch(path, {"spec": {"progressDeadlineSeconds": 60}})

        async def whole():
            live = await on.get("deployments", N)
            return live if live["spec"]["progressDeadlineSeconds"] == 600 else None

        live = await until("its deadline", whole)
        assert "mine" not in live["metadata"]["annotations"]
        assert live["spec"]["replicas"] == 3

    play(scene)


@pytest.mark.slow
def test_stop_deletes_what_was_made_and_slices_owned_by_the_service_with_it(play):
    async def scene(on):
        await on.begin(isvc(on.space))
        service = (await on.get("services", N))["metadata"]["uid"]
        ours = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{N}-ours",
                "labels": {
                    "kubernetes.io/service-name": N,
                    "endpointslice.kubernetes.io/managed-by": "tests",
                },
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Service", "name": N, "uid": service}
                ],
            },
            "addressType": "IPv4",
            "ports": [{"name": N, "port": 9000}],
            "endpoints": [{"addresses": ["10.244.9.9"]}],
        }
        await on.talk.create(on.at("endpointslices"), ours)
        await on.poke()
        slices = (await on.talk.get(on.at("endpointslices")))["items"]
        assert f"{N}-ours" in [each["metadata"]["name"] for each in slices]

        path = on.at("inferenceservices", "clf")
        await on.talk.patch(path, {"metadata": {"annotations": {objects.STOP: "True"}}})

        await until("no Deployment", lambda: on.absent("deployments", N))
        await until("no Service", lambda: on.absent("services", N))
        await until("no slice", lambda: on.absent("endpointslices", f"{N}-ours"))
        assert (await on.says("Stopped", "True"))["type"] == "Stopped"
        assert (await on.says("PredictorReady", "False"))["reason"] == "Stopped"

        await on.talk.patch(path, {"metadata": {"annotations": {objects.STOP: None}}})
        await until("a Service", lambda: on.get("services", N))
        assert (await on.get("services", N))["metadata"]["uid"] != service

    play(scene)


@pytest.mark.slow
def test_a_canary_at_zero_is_not_ready_and_the_whole_is(play):
    async def scene(on):
        await on.begin(isvc(on.space, minReplicas=0, canary=[CANARY]))
        await on.run(pods=2)
        await on.says("CanaryPredictorReady", "True")

        await on.scale(0, "clf-v2-predictor")

        said = await on.says("CanaryPredictorReady", "False")
        assert said["reason"] == "CanariesNotReady"
        await on.says("Ready", "True")
        live = await on.get("inferenceservices", "clf")
        (canary,) = live["status"]["canaryStatuses"]
        assert (canary["name"], canary["ready"]) == ("v2", False)

    play(scene)


@pytest.mark.slow
def test_canaries_make_it_delete_whatever_has_the_label_pair(play):
    async def scene(on):
        await on.begin(isvc(on.space, canary=[CANARY]))
        service = await on.get("services", N)
        pair = {objects.ISVC: "clf", "component": "predictor"}
        copy = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "helper", "labels": pair},
            "spec": {"ports": [{"port": 80}], "selector": service["spec"]["selector"]},
        }
        await on.talk.create(on.at("services"), copy)

        await on.poke()

        async def gone():
            await on.poke()
            return await on.absent("services", "helper")

        await until("the helper is deleted", gone)
        assert not await on.absent("services", "clf-v2-predictor")

        promoted = CANARY["predictor"]
        change = {"spec": {"canary": None, "predictor": promoted}}
        await on.talk.patch(on.at("inferenceservices", "clf"), change)
        await until("no old Deployment", lambda: on.absent("deployments", N))
        assert not await on.absent("deployments", "clf-v2-predictor")

    play(scene)


@pytest.mark.slow
def test_a_malformed_document_is_skipped_and_no_other_is_disturbed(play):
    async def scene(on):
        bad = isvc(on.space, "bad") | {"spec": {"predictor": "none"}}
        await on.talk.create(on.at("inferenceservices"), bad)
        odd = isvc(on.space, "odd", scaler="own")
        await on.talk.create(on.at("inferenceservices"), odd)
        await on.begin(isvc(on.space))

        assert not await on.absent("deployments", N)

        async def told():
            return {name for _, name in on.kserve.errors} == {"bad", "odd"}

        await until("both are told of", told)
        assert "own" in on.kserve.errors[on.space, "odd"]

    play(scene)


@pytest.mark.slow
def test_knative_mode_makes_nothing_here(play):
    async def scene(on):
        mode = {objects.MODE: "Serverless"}
        await on.begin(isvc(on.space, annotations=mode))

        assert await on.absent("deployments", N)

    play(scene)


@pytest.mark.slow
def test_kserves_own_crd_takes_what_it_is_given_and_what_is_said_of_it(play, full_crds):
    async def scene(on):
        both = {"transformer": TRANSFORMER, "canary": [CANARY]}
        await on.begin(isvc(on.space, minReplicas=0, **both))
        await on.run(pods=3)

        live = await on.get("inferenceservices", "clf")
        assert live["status"]["canaryStatuses"][0]["ready"] in (True, False)
        assert live["status"]["modelStatus"]["transitionStatus"]

    play(scene)


@pytest.mark.slow
def test_routes_of_the_gateway_end_after_a_minute_unless_told(play):
    async def scene(on):
        await on.begin(isvc(on.space))
        await on.run()

        for name in ("clf", N):
            route = await on.get("httproutes", name)
            (rule,) = route["spec"]["rules"]
            assert rule["timeouts"] == {"request": "60s"}
            assert rule["backendRefs"][0]["name"] == N
        assert await on.absent("ingresses", "clf")

    play(scene, gateway=True)


@pytest.mark.slow
def test_the_mode_has_its_old_name_where_kserve_is_old(play):
    async def scene(on):
        old = {objects.MODE: "RawDeployment"}
        await on.begin(isvc(on.space, annotations=old))

        live = await on.get("inferenceservices", "clf")
        assert live["status"]["deploymentMode"] == "RawDeployment"

    play(scene, mode="RawDeployment")


@pytest.mark.slow
def test_a_headless_service_is_called_at_the_containers_own_port(play):
    async def scene(on):
        await on.begin(isvc(on.space))

        service = await on.get("services", N)
        assert service["spec"]["clusterIP"] == "None"
        live = await on.get("inferenceservices", "clf")
        assert live["status"]["address"]["url"].endswith(".svc.cluster.local:8080")

    play(scene, headless=True)


def made(document: dict) -> dict:
    """Return *document* as the API server would: with a uid."""
    return document | {"metadata": document["metadata"] | {"uid": "1"}}


def ports(*declared: dict, **more) -> list[tuple]:
    container = {"name": "kserve-container", "ports": list(declared)}
    document = made(
        isvc("a") | {"spec": {"predictor": {"containers": [container], **more}}}
    )
    (child,) = objects.children(document)
    found = objects.service(document, child)["spec"]["ports"]
    return [
        (each["name"], each["port"], each["targetPort"], each.get("appProtocol", ""))
        for each in found
    ]


def test_the_first_port_is_80_and_the_others_keep_their_number():
    h2c = {"name": "h2c", "containerPort": 9000}

    assert ports() == [(N, 80, 8080, "")]
    assert ports({"containerPort": 5000}) == [("http", 80, 5000, "")]
    assert ports({"name": "web", "containerPort": 8000}, h2c) == [
        ("web", 80, 8000, ""),
        ("h2c", 9000, 9000, "kubernetes.io/h2c"),
    ]
    assert ports(batcher={}) == [(N, 80, 9081, "")]


def test_a_transformer_is_told_its_predictors_service():
    document = made(isvc("production", transformer=TRANSFORMER, name="clf"))
    document["spec"]["predictor"]["name"] = "v1"
    child = next(c for c in objects.children(document) if c.component == "transformer")

    container, _ = objects.container_of(document, child)

    assert " ".join(container["args"]) == (
        "--model_name clf --predictor_host clf-v1-predictor.production --http_port 8080"
    )


def test_a_container_without_a_probe_gets_one_that_asks_its_port_every_10_s():
    document = made(isvc("a", kind="triton"))
    (child,) = objects.children(document)

    container, _ = objects.container_of(document, child)

    probe = container["readinessProbe"]
    assert (probe["tcpSocket"]["port"], probe["periodSeconds"]) == (8080, 10)


def test_the_components_own_class_wins():
    document = isvc("a", annotations={}, scaler="hpa")
    document["spec"]["predictor"]["annotations"] = {objects.CLASS: "external"}
    (child,) = objects.children(document)

    assert objects.autoscaler_class(document, child) == "external"


def test_hpa_takes_neither_concurrency_nor_fewer_than_one():
    document = made(isvc("a", scaler="", scaleMetric="concurrency", scaleTarget=4))
    document["spec"]["predictor"] |= {"minReplicas": 0}
    (child,) = objects.children(document)

    hpa = objects.autoscaler(document, child)

    assert hpa["spec"]["minReplicas"] == hpa["spec"]["maxReplicas"] == 1
    assert "metrics" not in hpa["spec"]


def test_within_ignores_what_only_the_live_one_says():
    assert within({"a": 1}, {"a": 1, "b": 2})
    assert not within({"a": [1, 2]}, {"a": [1]})
    assert not within({"a": 1}, {"a": 2})
