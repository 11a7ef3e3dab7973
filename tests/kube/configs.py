"""The files that the programs of a cluster are started with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.kube.network import GATEWAY, GATEWAY6

SERVICES, SERVICES6 = "10.96.0.0/16", "fd00:10:96::/112"
API = "10.96.0.1"
"""The first address of the range: Kubernetes gives it to the Service of its own API."""

ADMINS = ("admin", "kubelet", "controllers", "scheduler", "kserve", "client")
"""Users that may do everything, apart so that the audit log tells who did what."""

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, nonResourceURLs: ["/livez*", "/readyz*", "/healthz*", "/openapi*"]}
- {level: None, users: ["system:apiserver"]}
- level: Request
  verbs: [create, update, patch]
  resources:
  - {group: apps, resources: [deployments/scale]}
  - {group: coordination.k8s.io, resources: [leases]}
- {level: Metadata}
"""


def token_of(user: str) -> str:
    """Return the word by which the API server knows *user*, one of ADMINS."""
    return f"the-word-of-{user}"


def tokens() -> str:
    """Return the users and their words, as --token-auth-file wants them."""
    return "".join(
        f'{token_of(user)},{user},{user},"system:masters"\n' for user in ADMINS
    )


def kubeconfig(server: str, ca: Path, token: str, namespace: str = "default") -> str:
    """Return a kubeconfig with one context; JSON is YAML too."""
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": server, "certificate-authority": str(ca)},
            }
        ],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [
            {
                "name": "test",
                "context": {"cluster": "test", "user": "test", "namespace": namespace},
            }
        ],
    }
    return json.dumps(config, indent=1)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that is its own authority, for the API server's addresses.

    Its key also signs the tokens of service accounts: one key less to make.
    """
    chain, key = folder / "api.crt", folder / "api.key"
    names = [
        *(f"IP:{address}" for address in (API, GATEWAY, GATEWAY6, "127.0.0.1", "::1")),
        *("DNS:" + name for name in ("localhost", "kubernetes.default.svc")),
    ]
    command = [
        *(
            "openssl",
            "req",
            "-x509",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=kubernetes",
        ),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
        *("-addext", f"subjectAltName={','.join(names)}"),
        *("-keyout", str(key), "-out", str(chain)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return chain, key
