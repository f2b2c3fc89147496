.DEFAULT_GOAL := help
SHELL := /bin/bash -o pipefail
lint := go tool -modfile=tools/go.mod golangci-lint

.PHONY: build servers test race lint fuzz e2e matrix soak scale kill-restores chains damage large bench benchmarks demo docs snapshot packages clean help

build: ## bin/pgincr, one static binary
	CGO_ENABLED=0 go build -trimpath -o bin/pgincr ./cmd/pgincr

servers: ## PostgreSQL 13 to 18 and storage servers for the tests, where they are missing
	tools/postgres/install.sh
	tools/storage/install.sh

test: servers ## every test, the end-to-end ones too
	go test -timeout 85m ./...

race: servers ## the packages' tests with the race detector
	go test -race -timeout 60m ./pkg/... ./internal/... ./cmd/...

lint: ## all linters, and the order of imports
	$(lint) run
	cd tools && go tool golangci-lint run --config ../.golangci.yml ./...

fuzz: ## 20 seconds for each fuzz target (FUZZTIME=5m for longer)
	.ci/fuzz $(or $(FUZZTIME),20s)

e2e: servers ## the binary against real servers, test by test
	go test -v -count=1 -timeout 60m ./e2e

matrix: servers ## every scenario on every major by every page map source; the table of docs/testing.md
	rm -f /tmp/pgincr-matrix.jsonl
	PGINCR_MATRIX=/tmp/pgincr-matrix.jsonl PGINCR_TEST_PG=all go test -count=1 -timeout 0 -skip 'TestHistories' ./e2e
	PGINCR_MATRIX_REPORT=/tmp/pgincr-matrix.jsonl go test -count=1 -run '^TestReport$$' ./internal/matrix

soak: servers ## random histories for 10 minutes (MINUTES=60 for longer, PLAYERS=4 for more at a time)
	PGINCR_HISTORY_MINUTES=$(or $(MINUTES),10) PGINCR_HISTORY_PLAYERS=$(or $(PLAYERS),2) \
		go test -v -count=1 -timeout 0 -parallel $(or $(PLAYERS),2) -run TestHistories ./e2e

kill-restores: servers ## kill a hundred restores and backups of each kind, and compactions (KILLS=500 for more)
	PGINCR_RESTORE_KILLS=$(or $(KILLS),100) PGINCR_COMPACT_KILLS=$(or $(KILLS),100) PGINCR_BACKUP_KILLS=$(or $(KILLS),100) \
		go test -v -count=1 -timeout 0 -run 'TestKilledRestore|TestKilledCompact|TestKilledBackup' ./e2e

chains: servers ## every link of chains of 1, 9 and 50 under load, on all majors (CHAINS="50" for some)
	for n in $(or $(CHAINS),1 9 50); do PGINCR_CHAIN=$$n go test -v -count=1 -timeout 0 -run TestChainUnderLoad ./e2e || exit 1; done

damage: ## flip every byte of every object of small repositories (PGINCR_DAMAGE=configuration: of some)
	PGINCR_DAMAGE=$(or $(PGINCR_DAMAGE),all) go test -v -count=1 -timeout 0 -run '^TestDamage$$' ./pkg/restore

scale: servers ## a million files, 100,000 tables, 1 TB, 200 links, 100,000 segments (SCALE=0.1 for a tenth)
	PGINCR_SCALE=$(or $(SCALE),1) go test -v -count=1 -timeout 0 -run '^TestScale$$' ./e2e

large: servers ## WAL segments of 1 GB, 10,000 tables, a table of 5 GB (8 GB of space, mostly holes)
	PGINCR_LARGE=1 go test -v -count=1 -timeout 0 -run TestLarge ./e2e

bench: ## Go benchmarks of all packages
	go test -run '^$$' -bench . -benchmem ./pkg/...

benchmarks: servers ## pgincr beside other tools, into docs/benchmarks.md (an hour and 60 GB in /var/tmp, where results.json stays; alone on the machine)
	tools/peers/install.sh
	go run ./bench/peers run
	go run ./bench/peers render
	go run ./bench/peers clean

demo: build servers ## the main job, command by command, on a throwaway cluster
	bin/pgincr demo

docs: ## what is generated from the program's own description of itself
	go generate ./...

snapshot: ## release archives, packages and container images of the working tree, in dist/
	go run github.com/goreleaser/goreleaser/v2@v2.15.1 release --snapshot --clean

packages: ## the Debian package and the container image, built and used in a clean Debian (root)
	tools/packages/test.sh

clean: ## what make has built
	rm -rf bin dist

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15
