# The product's images; built by scripts/images.sh, which first puts `wheels`, `own` and `node` into the context, so that
# no step needs a network. BASE is for the machine's own architecture and has Python 3.11 with venv, curl, git, ssh,
# ca-certificates and time zones: one made on the host, or python:3.11-bookworm.
ARG BASE

FROM ${BASE} AS packages
COPY wheels /wheels
RUN python3 -m venv /opt/clawgate \
 && /opt/clawgate/bin/pip install --no-cache-dir --quiet --no-index --no-deps /wheels/*.whl
COPY own /own
RUN /opt/clawgate/bin/pip install --no-cache-dir --quiet --no-index --no-deps /own/*.whl \
 && /opt/clawgate/bin/pip uninstall --quiet --yes pip setuptools

FROM ${BASE} AS common
# 1000 is what the policy's container has; Compose may run it with any other number. Written by hand, since a minimal
# base has no useradd.
RUN grep -q '^node:' /etc/passwd || echo 'node:x:1000:1000:Clawgate:/home/node:/usr/sbin/nologin' >> /etc/passwd; \
    grep -q '^node:' /etc/group || echo 'node:x:1000:' >> /etc/group; \
    mkdir -p /home/node/.openclaw && chown -R 1000:1000 /home/node
COPY --from=packages /opt/clawgate /opt/clawgate
ENV PATH=/opt/clawgate/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    TZ=Asia/Seoul \
    HOME=/home/node \
    PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /

FROM common AS nanoclaw
CMD ["nanoclaw", "run"]

# One layer for both: OpenClaw's agent may run node, and the gateway can make the token calls with it (docs/auth.md).
FROM common AS with_node
COPY --chown=0:0 node /usr/local/bin/node

FROM with_node AS gateway
CMD ["clawgate", "gateway"]

FROM with_node AS openclaw
# Where the policy's commands look; what is there are views without secrets.
RUN ln -s .openclaw/threads/token-state.json /home/node/.threads-token-state.json \
 && ln -s .openclaw/threads/instagram-token-state.json /home/node/.instagram-token-state.json
CMD ["openclaw", "run"]
