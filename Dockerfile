# One image for every stage: `sluice run STAGE`. It needs no Java: Kafka and ClickHouse run in their own containers.
FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/opt/sluice
# dependencies first: they rarely change and are most of the image, so their layer stays cached
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --no-install-project
COPY schemas schemas
COPY connectors connectors
COPY dashboards dashboards
COPY streams streams
RUN uv sync --locked --no-dev --no-editable

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/sluice sluice \
    && install --directory --owner=sluice --mode=0750 /etc/sluice
COPY --from=build /opt/sluice /opt/sluice
COPY deploy/sluice.yaml /opt/sluice/share/sluice.yaml
ENV PATH=/opt/sluice/bin:$PATH PYTHONUNBUFFERED=1 SLUICE_STATE=/var/lib/sluice
USER 10001
WORKDIR /var/lib/sluice
ENTRYPOINT ["sluice"]
CMD ["--help"]
