# make help says what there is. Everything works on a fresh machine with Go and a C compiler (for the race detector).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.ONESHELL:
.PHONY: help build demo test bench soak mutants fuzz lint

VERSION  ?= $(shell git describe --tags --dirty 2>/dev/null)
FUZZTIME ?= 30s
BENCH    ?= .
SOAK     ?= 10m

help: ## say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

build: ## bin/portreeve, one static file
	@CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags '-s -w $(if $(VERSION),-X github.com/portreeve/portreeve/internal/cli.Version=$(VERSION))' -o bin/portreeve ./cmd/portreeve
	@bin/portreeve version

demo: build ## the vulnerable API, naked and guarded, attacked side by side
	@bin/portreeve demo --once
	@printf '\nTo keep both running and try for yourself: bin/portreeve demo\n'

test: ## gofmt, vet, every test with the race detector, then the end-to-end module; counts what was skipped
	@if ! command -v "$$(go env CC)" >/dev/null; then echo "make test: the race detector needs a C compiler ($$(go env CC) is missing)" >&2; exit 1; fi
	@unformatted="$$(gofmt -l .)"
	@if [ -n "$$unformatted" ]; then echo "make test: not formatted:" $$unformatted >&2; exit 1; fi
	@echo "gofmt -l: clean"
	@export CGO_ENABLED=1
	@go vet ./...
	@go -C e2e vet ./...
	@go -C bench vet ./...
	@echo "go vet ./... (module, e2e, bench): clean"
	@echo "go test -race ./... (module, e2e), and the allocations without the race detector:"
	@{
	  status=0
	  go test -race -timeout 20m -json ./... || status=1
	  go test -run '^TestAllocations$$' -json ./internal/gate || status=1 # the race detector allocates by itself
	  go -C e2e test -race -timeout 20m -json ./... || status=1
	  exit $$status
	} | go run ./cmd/testsummary

bench: ## every benchmark, with allocations, beside others' code too; what attacks take from a good client beside them
	@go test -run '^$$' -bench '$(BENCH)' -benchmem $$(grep -rlE '^func Benchmark' --include='*_test.go' --exclude-dir=bench --exclude-dir=e2e . | xargs -n1 dirname | sort -u)
	@PORTREEVE_BESIDE=3s go -C e2e test -count=1 -timeout 0 -v -run '^TestBeside$$' ./...
	@go -C bench test -bench '$(BENCH)' ./...

soak: ## the gate under mixed load for SOAK=10m, then a minute of every attack at once: nothing leaks, nothing grows
	@PORTREEVE_KILLS=200 go test -race -count=1 -timeout 0 -v -run '^TestKilled$$' ./internal/ledger
	@PORTREEVE_SOAK=$(SOAK) go -C e2e test -race -count=1 -timeout 0 -v -run '^TestSoak$$' ./...
	@PORTREEVE_STORM=60s go -C e2e test -race -count=1 -timeout 0 -v -run '^TestStorm$$' ./...

mutants: ## gates that lack one rule each, attacked: at least 90 % are found, and each that is not has its reason
	@PORTREEVE_MUTANTS=all go test -count=1 -timeout 20m -v -run '^TestMutants$$' ./internal/mutant

fuzz: ## every fuzz target for FUZZTIME=30s
	@for pkg in $$(go list ./...); do
	  for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do
	    echo "fuzzing $$pkg $$target for $(FUZZTIME)"
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$$pkg"
	  done
	done

lint: ## gofmt, vet, a tidy module, the house
	@unformatted="$$(gofmt -l .)"
	@if [ -n "$$unformatted" ]; then echo "not formatted:" $$unformatted >&2; exit 1; fi
	@go vet ./...
	@go -C e2e vet ./...
	@go -C bench vet ./...
	@go mod verify
	@go mod tidy -diff
	@go -C e2e mod tidy -diff
	@go -C bench mod tidy -diff
	@go test -count=1 -run 'House|Files|CanFail' .
