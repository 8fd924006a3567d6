# The images of Parley: one target a service. Each takes over what its builder stages installed,
# the packages in one layer and Parley's own code in the last one.
FROM python:3.13-slim AS base
ENV PATH=/opt/parley/bin:$PATH \
    PYTHONPATH=/opt/parley-code \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin parley

FROM python:3.13-slim AS builder
WORKDIR /build
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_SYSTEM_PYTHON=1
COPY requirements.lock ./
RUN awk '/^[^ ]/ { wanted = /^uv(-build)?==/ } wanted' requirements.lock > /tmp/uv.lock \
    && pip install --quiet --no-cache-dir --root-user-action=ignore --no-deps --require-hashes \
        --requirement /tmp/uv.lock
COPY deploy/install /usr/local/bin/
COPY libs/contracts/pyproject.toml libs/contracts/
COPY libs/bus/pyproject.toml libs/bus/

FROM builder AS libraries
COPY libs libs


FROM builder AS gateway-packages
COPY services/gateway/pyproject.toml services/gateway/
RUN --mount=type=cache,target=/root/.cache/uv install packages gateway

FROM libraries AS gateway-code
COPY services/gateway services/gateway
RUN install code gateway

FROM base AS gateway
RUN install -d -o parley -g parley -m 700 /data /access /credentials
COPY --from=gateway-packages /opt/parley /opt/parley
COPY --from=gateway-code /opt/parley-code /opt/parley-code
USER 10001:10001
CMD ["python", "-m", "parley_gateway"]

# Runs before all others and makes what each of them may know. A volume belongs to the user who owns
# the folder that it is first mounted on, so the folders of all volumes are made here.
FROM gateway AS credentials
USER root
RUN install -d -o parley -g parley -m 700 \
    /house/nats /house/postgres /house/gateway /house/agent-worker /house/web /house/owner \
    /store/1 /store/2 /store/3
# The checkout may be closed to others; the service's user is one of them.
COPY --chmod=644 deploy/nats.conf /etc/parley/
USER 10001:10001
CMD ["python", "-m", "parley_bus.credentials", "/house", "/etc/parley/nats.conf"]


FROM builder AS agent-worker-packages
COPY services/agent-worker/pyproject.toml services/agent-worker/
RUN --mount=type=cache,target=/root/.cache/uv install packages agent-worker

FROM libraries AS agent-worker-code
COPY services/agent-worker services/agent-worker
RUN install code agent-worker

FROM base AS agent-worker
RUN install -d -o parley -g parley -m 700 /credentials
COPY --from=agent-worker-packages /opt/parley /opt/parley
COPY --from=agent-worker-code /opt/parley-code /opt/parley-code
USER 10001:10001
CMD ["python", "-m", "parley_agent_worker"]


FROM builder AS web-packages
COPY services/web/pyproject.toml services/web/
RUN --mount=type=cache,target=/root/.cache/uv install packages web

FROM libraries AS web-code
COPY services/web services/web
RUN install code web

FROM base AS web
RUN install -d -o parley -g parley -m 700 /credentials
COPY --from=web-packages /opt/parley /opt/parley
COPY --from=web-code /opt/parley-code /opt/parley-code
USER 10001:10001
EXPOSE 4000
CMD ["python", "-m", "parley_web"]


# One door for several webs. From Debian's package, so that one base is all that must be pulled.
FROM python:3.13-slim AS entrance
RUN apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends haproxy \
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=644 deploy/haproxy.cfg /etc/haproxy/haproxy.cfg
USER haproxy
EXPOSE 4000
CMD ["haproxy", "-f", "/etc/haproxy/haproxy.cfg"]
