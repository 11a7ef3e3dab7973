"""Whatever JSON may hold, with a liking for the fields of an InferenceService."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = [
    "predictor",
    "transformer",
    "explainer",
    "canary",
    "model",
    "containers",
    "name",
    "annotations",
    "minReplicas",
    "maxReplicas",
    "scaleTarget",
    "scaleMetric",
    "containerConcurrency",
    "timeout",
    "trafficPercent",
    "canaryTrafficPercent",
    "protocolVersion",
    "args",
    "suspend",
    "workerSpec",
    "serving.kserve.io/autoscalerClass",
    "autoscaling.knative.dev/window",
    "fromzero.dev/hold-limit",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 200)
    | st.integers()
    | st.floats(allow_nan=True)
    | st.sampled_from(["external", "rps", "cpu", "0", "3", "10s", "v2", "b", ""])
    | st.text(max_size=10)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=6
        )
    ),
    max_leaves=25,
)
