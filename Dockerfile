# The product's image: gateway and tenants. Classic builder, no network of its own needed beyond pip's.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
COPY requirements/runtime.txt /tmp/runtime.txt
RUN pip install --no-cache-dir --require-hashes --no-binary claude-agent-sdk -r /tmp/runtime.txt
COPY pyproject.toml README.md LICENSE /src/
COPY gateway /src/gateway
COPY nanoclaw /src/nanoclaw
COPY openclaw /src/openclaw
COPY shared /src/shared
COPY policies /src/policies
RUN pip install --no-cache-dir --no-deps /src && rm -rf /src
ENV TZ=Asia/Seoul CLAWGATE_STATE=/var/lib/clawgate CLAWGATE_RUNTIME=/run/clawgate
ENTRYPOINT ["clawgate"]
CMD ["up"]
