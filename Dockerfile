# The product image: the programs and nothing else.
FROM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/quell ./cmd/quell-connector
# The data directory belongs to the user that serves, and to nobody else.
RUN install -d -m 0700 -o 65532 -g 65532 /out/data /out/keys

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/quell /out/quell-connector /usr/local/bin/
COPY --from=build --chown=65532:65532 /out/data /var/lib/quell
COPY --from=build --chown=65532:65532 /out/keys /var/lib/quell-keys
# Connectors' sockets need a temporary directory.
COPY --from=build --chown=65532:65532 /out/data /tmp
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/quell"]
CMD ["serve", "--config", "/etc/quell/quell.yaml"]
