# Targets that a person would guess. The product is built without cgo; only the
# race detector needs a C compiler.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 30s

WORKFLOWCHECK := go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0
GOLANGCI      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The programs that there are: each directory in cmd with a main.
PROGRAMS := $(patsubst %/main.go,./%,$(wildcard cmd/*/main.go))

# Packages that link the Temporal server. With the race detector that takes
# minutes and gigabytes, so `make race` leaves them out.
HEAVY := /internal/(engine|serve|e2e)$$|/cmd/quell$$

.PHONY: all help build demo demo-adverse darwin test race check lint fuzz bench soak integration mutants docs update clean

all: build

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1: \2/p' Makefile

build: ## build the programs into bin/
	CGO_ENABLED=0 $(GO) build -ldflags '$(LDFLAGS)' -o bin/ $(PROGRAMS)

demo: ## build, then show one incident from alert to review on this machine; DEMO=--keep leaves it running
	@scripts/build-demo.sh '$(GO)' '$(LDFLAGS)'
	@bin/quell demo $(DEMO)

# The end-to-end tests take the longest, so they start first. Tests wait more than they
# work: four packages at once keep two cores busy.
test: ## all tests, in their short form
	CGO_ENABLED=0 $(GO) test -p 4 -parallel 4 ./internal/e2e ./...

race: ## the tests with the race detector, without those that link the Temporal server
	CGO_ENABLED=1 $(GO) test -race $$($(GO) list ./... | grep -Ev '$(HEAVY)')

check: ## format, vet, import directions, determinism of workflow code
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt -w these:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) test -count=1 ./internal/archtest
	$(GO) run $(WORKFLOWCHECK) -config .ci/workflowcheck.yaml -show-pos ./workflows/...

lint: ## golangci-lint, pinned; its first build takes some minutes
	$(GO) run $(GOLANGCI) run ./...

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for f in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
		for t in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/p' $$f); do \
			echo "$$(dirname $$f) $$t"; \
			$(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$(dirname $$f); \
		done; \
	done

bench: ## checks and expressions; playbooks against a hand-written workflow, in pairs
	QUELL_BENCH=1 CGO_ENABLED=0 $(GO) test -count=1 -v -run TestBench ./playbooks/compile
	QUELL_BENCH=1 CGO_ENABLED=0 $(GO) test -count=1 -timeout 2h -v -run Bench ./internal/e2e

soak: ## crash tables, models and the end-to-end tests with their full figures
	QUELL_SOAK=1 CGO_ENABLED=0 $(GO) test -count=1 -timeout 1h -v -run 'TestCrash|TestModel|TestVoteTable' ./activities ./internal/effects ./server
	QUELL_SOAK=1 CGO_ENABLED=0 $(GO) test -count=1 -timeout 4h -v ./internal/e2e

integration: ## the built programs in their own processes, both databases, an identity provider, a generated client
	QUELL_INTEGRATION=1 CGO_ENABLED=0 $(GO) test -count=1 -timeout 1h -v ./internal/e2e ./internal/store/... ./internal/signin

demo-adverse: build ## the demo under the conditions of strange machines
	scripts/demo-adverse.sh bin

darwin: ## what ships, built and vetted as for macOS
	@for p in $(PROGRAMS); do GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null $$p || exit 1; done
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) vet $$($(GO) list ./... | grep -v /internal/e2e)

mutants: ## the conformance suite against connectors with planted faults
	QUELL_MUTANTS=1 CGO_ENABLED=0 $(GO) test -count=1 -timeout 60m -v -run 'TestFiles|TestMutants' ./connectors/conformance/mutants

docs: ## write the generated pages of docs/
	$(GO) test -count=1 ./server -run TestDescription -update
	$(GO) test -count=1 ./playbooks/compile -run TestPages -update
	$(GO) test -count=1 ./playbooks/schema -run TestPublished -update
	$(GO) test -count=1 ./internal/app -run TestReference -update

update: ## rewrite the expectations of golden tests; look at the difference before you commit
	@for d in $$(grep -rlE 'flag\.Bool\("update"' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
		$(GO) test -count=1 $$d -update || exit 1; \
	done

clean:
	rm -rf bin
