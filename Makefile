# FoodFlow. `make` alone lists the targets.
#
# Engines and tools are installed into a cache folder outside the tree
# (FOODFLOW_CACHE_DIR, by default the user's own cache folder).

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(FOODFLOW_CACHE_DIR),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/foodflow)

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := $(CACHE)/tools/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint

# DATA is where `make run` keeps its stores.
DATA ?= data
# PKG, RUN and COUNT narrow a test run: make test-only PKG=./internal/stream RUN=TestX
PKG      ?= ./...
RUN      ?= .
FUZZTIME ?= 20s
# The reliability tests of guarantees, and how often make chaos repeats them;
# each repetition draws its moments of failure anew.
CHAOS     ?= Kill|Letters|Replayed|Shorter|Remade|Crash|Fault|Fenced|Zombie|Rebalance|Network|ApacheKafka|RollingRestart|Retries|Poison|CleanStop|LostReplies|SimulatedPlant|Brokers|Followers|Copies|Away|Outlive|Hostile|Bombs|Noisy|Overload|AfterTheAck|Puback|Deletion|PostgresStop|Skipped|ManyTenants|MigrateTenants|ThousandLogins|Throttle
CHAOS_PKG ?= ./cmd/foodflow ./api ./api/auth ./internal/letter ./processors/... ./internal/stream ./internal/broker/... ./internal/simulate ./clickhouse/sink ./ingest/... ./schemas/... ./internal/outbox ./internal/job ./internal/tenancy ./internal/migrate
CHAOS_N   ?= 20
BENCH    ?=
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

export FOODFLOW_CACHE_DIR := $(CACHE)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.PHONY: setup
setup: ## install what a bare Debian machine lacks (skips what is there)
	@deploy/setup.sh

.PHONY: build
build: ## build the program at bin/foodflow
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: setup-run
setup-run:
	@deploy/setup.sh run

.PHONY: run
run: setup-run build ## start everything with a simulated plant; prints addresses and the demo log-in
	bin/foodflow up --data-dir $(DATA) --ready-file $(DATA)/ready.json

.PHONY: test
test: setup build lint verify ## set up, build, lint, verify, then all tests on real services
	REQUIRE_SERVICES=1 go test -race -shuffle=on -timeout 30m ./...

.PHONY: test-only
test-only: ## run some tests: PKG=./internal/stream RUN=TestName
	go test -race -shuffle=on -timeout 30m -run '$(RUN)' $(PKG)

.PHONY: lint
lint: $(GOLANGCI) ## static checks
	go vet ./...
	$(GOLANGCI) run --allow-parallel-runners ./...

.PHONY: fmt
fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt ./...

.PHONY: generate
generate: ## write generated files anew
	go generate ./...

.PHONY: verify
verify: $(GOLANGCI) ## check formatting, generated files and module checksums; changes nothing
	@GOLANGCI=$(GOLANGCI) deploy/verify.sh

.PHONY: bench
bench: build ## print every figure beside its bare loop: BENCH="ingest-http-100 …"
	bin/foodflow bench $(BENCH)

.PHONY: chaos
chaos: setup build ## the reliability tests with large N: CHAOS_N=20
	REQUIRE_SERVICES=1 FOODFLOW_TEST_HOSTILE=40 FOODFLOW_TEST_OUTAGE=2m FOODFLOW_TEST_TENANTS=1000 FOODFLOW_TEST_LOGINS=1000 go test -timeout 12h -v -count=$(CHAOS_N) -run '$(CHAOS)' $(CHAOS_PKG)

.PHONY: e2e
e2e: setup build ## the whole program from the wire to the API, and its pages in a browser
	REQUIRE_SERVICES=1 go test -race -timeout 30m -v ./cmd/foodflow/...
	REQUIRE_SERVICES=1 go test -race -timeout 30m -v -run Pages ./api

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	@deploy/fuzz.sh $(FUZZTIME)

.PHONY: clean
clean: ## remove what was built (stores and installed engines stay)
	rm -rf bin

$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI_VERSION) into $(@D) (some minutes, once)"
	GOBIN=$(@D) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
