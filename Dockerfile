# docker build -t REGISTRY/fromzero:VERSION .
FROM python:3.12-slim AS build
WORKDIR /src
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
