# Quell as an image: the two programs that serve, and nothing else. No shell, no
# package, not root; its own files may be read-only:
#
#   docker build -t quell --build-arg VERSION=$(git describe --tags --always) .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     --tmpfs /tmp:mode=0700,uid=65532,gid=65532 \
#     -v quell-data:/var/lib/quell -v quell-keys:/var/lib/quell-keys \
#     -v /etc/quell:/etc/quell:ro --network host quell
#
# The API listens on loopback alone, hence the host's network, or a TLS proxy in the
# same network namespace.

# The pin: a tag can be moved to other bytes, a digest cannot. The digest is that of
# the multi-platform index of docker.io/library/golang:1.26.8, the Go that go.mod
# names; the tag stands there for people. To move both together:
#   docker buildx imagetools inspect golang:1.26.8 --format '{{.Manifest.Digest}}'
FROM golang:1.26.8@sha256:3c3e25a4da13fd0478eed2df1eb35a0e667094a7124d3993a6a1d30f71c17e79 AS build
WORKDIR /src
# Modules first: they change rarely, and go.sum pins each by its hash.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/quell ./cmd/quell-connector
# The directories of data and keys belong to the user that serves, and to nobody else.
RUN install -d -m 0700 -o 65532 -g 65532 /out/data /out/keys /out/tmp && \
    echo 'quell:x:65532:65532:Quell:/var/lib/quell:/sbin/nologin' > /out/passwd

# Nothing comes with scratch: no bytes, so no pin either.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/passwd /etc/passwd
# Time zones are within the programs (time/tzdata).
COPY --from=build /out/quell /out/quell-connector /usr/local/bin/
COPY --from=build --chown=65532:65532 /out/data /var/lib/quell
COPY --from=build --chown=65532:65532 /out/keys /var/lib/quell-keys
# Connectors' sockets need a directory for temporary files.
COPY --from=build --chown=65532:65532 /out/tmp /tmp
VOLUME ["/var/lib/quell", "/var/lib/quell-keys", "/tmp"]
# The engine asks who it runs as; these answer where --user names a number that
# /etc/passwd does not have.
ENV USER=quell HOME=/var/lib/quell
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/quell"]
CMD ["serve", "--config", "/etc/quell/quell.yaml"]
