# outboxctl in a container: docker build --build-arg VERSION=1.2.3 --tag outboxctl .
# How to run it, and what could be proven of it: docs/deploy/README.md
ARG PYTHON=3.13.9-slim-bookworm@sha256:b685a4fa58bb19d1814d78a1ec0f0208f351452724f78b20212c984d6e124a34

FROM python:${PYTHON} AS build
WORKDIR /src
ENV PIP_ONLY_BINARY=:all:
COPY requirements.lock ./
# The image's own pip may be too old to take hashes from constraints: first the locked one.
RUN grep '^pip==' requirements.lock > pip.lock \
 && python -m pip install --require-hashes --requirement pip.lock \
 && python -m pip install --constraint requirements.lock hatchling hatch-vcs
COPY pyproject.toml README.md LICENSE alembic.ini docker-compose.yml ./
COPY alembic/ alembic/
COPY docs/runbook.md docs/runbook.md
COPY src/ src/
# There is no Git in here to ask for the tag.
ARG VERSION=0.0.0
RUN SETUPTOOLS_SCM_PRETEND_VERSION=${VERSION} \
    python -m pip wheel --no-deps --no-build-isolation --no-binary outboxctl --wheel-dir dist .
# Everything at the version and with the hash of the lock file; the wheel with the hash it has here.
RUN python -m venv --without-pip /opt/outboxctl \
 && wheel=$(ls "$PWD"/dist/*.whl) \
 && python -m pip --python /opt/outboxctl install --constraint requirements.lock \
    "outboxctl[aws] @ file://$wheel#sha256=$(sha256sum "$wheel" | cut -d ' ' -f 1)"

FROM python:${PYTHON}
COPY --from=build /opt/outboxctl /opt/outboxctl
ENV PATH=/opt/outboxctl/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 OUTBOX_METRICS_HOST=0.0.0.0
# A number, so that Kubernetes can see that it is not root; no such user needs to exist.
USER 65532:65532
EXPOSE 9108
# Not urllib: it would ask the proxy that Docker may put into the environment.
HEALTHCHECK --interval=10s \
  CMD ["python", "-c", "import os, sys, http.client; asked = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('OUTBOX_METRICS_PORT', '9108')), timeout=2); asked.request('GET', '/healthz'); sys.exit(asked.getresponse().status != 200)"]
ENTRYPOINT ["outboxctl"]
CMD ["worker"]
