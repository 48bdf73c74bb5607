# The image of `sentinel serve`. docker build -t sentinel-fraud . ; docs/container.md says how to run it.
ARG NODE_VERSION=20

FROM node:${NODE_VERSION}-bookworm-slim AS build
WORKDIR /build
# What is installed changes seldom: a layer of its own.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --include=dev --include=optional --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY ui ui
RUN node scripts/build.mjs && npm prune --omit=dev --no-audit --no-fund
# What of it becomes the image: the command, what it needs, and a workspace that is ready to serve.
COPY features features
COPY pipelines pipelines
COPY proto proto
COPY LICENSE ./
RUN mkdir -p out/opt/sentinel out/workspace/models out/workspace/data \
  && mv dist proto node_modules package.json LICENSE out/opt/sentinel/ \
  && mv features pipelines out/workspace/ \
  && cp /usr/local/bin/node out/opt/sentinel/node

# Debian alone: no npm, no yarn, no compiler.
FROM debian:bookworm-slim
COPY --from=build /build/out/opt/sentinel /opt/sentinel
COPY --from=build /build/out/workspace /workspace
# The registry, the feature state and the prediction log: all that is ever written.
COPY --from=build --chown=10001:10001 /build/out/workspace/models /workspace/models
ENV NODE_ENV=production \
  SENTINEL_WORKSPACE=/workspace \
  HOME=/tmp
WORKDIR /workspace
USER 10001:10001
EXPOSE 8000
# gRPC, where SENTINEL_GRPC_PORT or --grpc-port asks for it.
EXPOSE 50051
VOLUME ["/workspace/models"]
# Alive, not ready: a server without a champion is well and waits for one. An orchestrator asks /readyz before it sends traffic.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/opt/sentinel/node", "-e", "fetch('http://127.0.0.1:8000/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
# A larger space for young objects: fewer and shorter pauses of the garbage collector (docs/operating.md, Capacity).
ENTRYPOINT ["/opt/sentinel/node", "--max-semi-space-size=64", "/opt/sentinel/dist/src/cli/main.js"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
