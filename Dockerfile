# outboxctl in a container: docker build --build-arg VERSION=1.2.3 --tag outboxctl .
# How to run it, and what could be proven of it: docs/deploy/README.md
ARG PYTHON=3.13.9-slim-bookworm@sha256:b685a4fa58bb19d1814d78a1ec0f0208f351452724f78b20212c984d6e124a34

FROM python:${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_ONLY_BINARY=:all:
COPY requirements.lock ./
# The image's own pip may be too old to take hashes from constraints: first the locked one.
RUN grep '^pip==' requirements.lock > pip.lock \
 && python -m pip install --quiet --require-hashes --requirement pip.lock \
 && python -m pip install --quiet --constraint requirements.lock hatchling hatch-vcs
COPY pyproject.toml README.md LICENSE alembic.ini docker-compose.yml ./
COPY alembic/ alembic/
COPY docs/runbook.md docs/runbook.md
COPY src/ src/
# There is no Git in here to ask for the tag.
ARG VERSION=0.0.0
RUN SETUPTOOLS_SCM_PRETEND_VERSION=${VERSION} \
    python -m pip wheel --quiet --no-deps --no-build-isolation --no-binary outboxctl --wheel-dir dist .
# Everything at the version and with the hash of the lock file; the wheel with the hash it has here.
RUN python -m venv --without-pip /opt/outboxctl \
 && wheel=$(ls "$PWD"/dist/*.whl) \
 && python -m pip --python /opt/outboxctl install --quiet --constraint requirements.lock \
    "outboxctl[aws] @ file://$wheel#sha256=$(sha256sum "$wheel" | cut -d ' ' -f 1)"

FROM python:${PYTHON}
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="outboxctl" \
      org.opencontainers.image.description="Run, watch, replay and drill a PostgreSQL outbox to Elasticsearch pipeline" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="https://outboxctl.readthedocs.io/en/latest/"
COPY --from=build /opt/outboxctl /opt/outboxctl
ENV PATH=/opt/outboxctl/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OUTBOX_METRICS_HOST=0.0.0.0
# A number, so that Kubernetes can see that it is not root; no such user needs to exist.
USER 65532:65532
WORKDIR /
EXPOSE 9108
STOPSIGNAL SIGTERM
# Not urllib: it would ask the proxy that Docker may put into the environment.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, sys, http.client; asked = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('OUTBOX_METRICS_PORT', '9108')), timeout=2); asked.request('GET', '/healthz'); sys.exit(asked.getresponse().status != 200)"]
ENTRYPOINT ["outboxctl"]
CMD ["worker"]
