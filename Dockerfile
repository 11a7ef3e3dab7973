# docker build -t REGISTRY/fromzero:VERSION .
FROM python:3.12-slim AS build
WORKDIR /src
# What is on a request's way is compiled: docs/decisions/0013.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
ENV HATCH_BUILD_HOOK_ENABLE_MYPYC=1
COPY pyproject.toml README.md LICENSE ./
COPY fromzero fromzero
COPY autoscaler autoscaler
COPY activator activator
COPY simulations simulations
RUN python -m venv /opt/fromzero \
 && /opt/fromzero/bin/pip install --no-cache-dir --no-compile . \
 && /opt/fromzero/bin/python -m compileall -q /opt/fromzero/lib \
 && /opt/fromzero/bin/pip uninstall -q -y pip

FROM python:3.12-slim
COPY --from=build /opt/fromzero /opt/fromzero
ENV PATH=/opt/fromzero/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
ENTRYPOINT ["fromzero"]
