# make alone prints the targets. Go, git and make are all that demo and test need.
export CGO_ENABLED ?= 0
FUZZTIME ?= 5s
BIN := bin/quench

.DEFAULT_GOAL := help
.PHONY: help build demo test test-stores check fmt-check vet staticcheck tidy-check portable race fuzz cross accuracy accuracy-cross points noise usage-quality bench bench-verify bench-verify-postgres bench-bulk bench-usage bench-doc

help: ## print the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/quench, a static binary
	go build -trimpath -o $(BIN) ./cmd/quench

demo: build ## leak two tokens in a throw-away repository and log, watch them die
	@$(BIN) demo

test: ## run the tests
	@[ -n "$$QUENCH_POSTGRES_TESTS" ] || echo "test: those of PostgreSQL are skipped; make test-stores runs them where it is installed"
	go test ./...

test-stores: ## run the tests of what stores anything on SQLite and on a PostgreSQL of their own
	go run ./testdata/postgres go test ./registry/... ./revoker/... ./cmd/quench

check: fmt-check vet staticcheck tidy-check test portable race fuzz cross ## all that CI runs

fmt-check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi

vet:
	go vet ./...

staticcheck:
	go tool staticcheck ./...

tidy-check:
	go mod tidy -diff

portable: ## run the engine's tests without its assembly
	go vet -tags purego ./scanner/... ./sources/...
	go test -short -tags purego ./scanner/... ./fuzz

# On SQLite alone, and without the scripts and kills of whole processes: they take ten
# minutes under the detector, and the packages' own tests run the same goroutines.
# Those of one goroutine have nothing to race with, either, and took two minutes more;
# files that rotate and disks that are full, whole processes again, half of the time of
# their package.
RACE_SKIP := ^(TestREADMECommands|TestConfigurationExamples|TestHouse|TestWatchRotations|TestWatchDiskFull|TestScript|TestScriptOnPostgres|Test[A-Za-z]*Kill[A-Za-z]*|TestAppendAllIsAppend|TestVerifyFinds[A-Za-z]*|TestDrop[A-Za-z]*|TestIssuePolicy|TestEachVendor|TestAnswers|TestLargeMatchSet|TestWatchDatabaseGone|TestFastIsPlain|TestShapesAreBounded|TestMarksAnyWay|TestSlowAtEveryEdge|TestLongLine|TestRules[A-Za-z]*|TestSyntaxes|TestCrowded|TestExamples[A-Za-z]*|FuzzChunks)$$
race: ## run the tests under the race detector, where there is a C compiler
	@if command -v $${CC:-cc} >/dev/null; then CGO_ENABLED=1 QUENCH_POSTGRES_TESTS= go test -race -short -skip "$(RACE_SKIP)" ./...; else echo "race: skipped, there is no C compiler"; fi

# Minimising an input that is merely new takes a worker's whole budget by default.
# Go 1.26 can end a run with "context deadline exceeded" and no failing input
# (go.dev/issue/75804): such a run, and no other, is done once more.
# Each package is built once for all of its targets.
fuzz: ## run every fuzz target for FUZZTIME (5s)
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for p in $$(grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  go test -c -fuzz=. -o "$$dir/fuzz.test" $$p; \
	  for f in $$(cd $$p && "$$dir/fuzz.test" -test.list '^Fuzz' | grep '^Fuzz' || true); do \
	    echo "fuzz $$p $$f"; \
	    run() { (cd $$p && "$$dir/fuzz.test" -test.run '^$$' -test.fuzz "^$$f\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 10x -test.fuzzcachedir "$$dir/cache/$$p") >"$$dir/log" 2>&1; }; \
	    run || { ! grep -q 'Failing input' "$$dir/log" && grep -q '^ *context deadline exceeded' "$$dir/log" && run; } || { cat "$$dir/log"; exit 1; }; \
	  done; done

cross: ## build for the other platforms
	GOOS=linux GOARCH=arm64 go build ./...
	GOOS=darwin GOARCH=arm64 go build ./...
	GOOS=windows GOARCH=amd64 go build ./...

.PHONY: crash
crash: ## kill processes that change the registry, and that end leaked tokens, 200 times each; restart PostgreSQL 100 times
	QUENCH_TEST_KILLS=200 go test ./registry -run '^TestKill$$' -count=1 -v
	QUENCH_TEST_KILLS=200 go test ./cmd/quench -run '^TestKilledWithSecrets$$' -count=1 -timeout 30m -v
	QUENCH_TEST_RESTARTS=100 go run ./testdata/postgres go test ./registry -run '^TestServerRestart$$' -count=1 -timeout 30m -v

.PHONY: watch-faults
watch-faults: ## 10,000 rotations of each kind, two minutes of kills, a database gone for a minute; on PostgreSQL too, where it is installed
	QUENCH_TEST_ROTATIONS=10000 QUENCH_TEST_KILL_SECONDS=120 QUENCH_TEST_GONE_SECONDS=60 go test ./cmd/quench -run '^TestWatch(Rotations|Killed.*|DatabaseGone|DiskFull|PassesOnToFullDisk|Unmounted|Unreadable|WithoutEvents)$$' -count=1 -timeout 60m -v
	QUENCH_TEST_GONE_SECONDS=60 go run ./testdata/postgres go test ./cmd/quench -run '^Test(WatchPostgresGone|PostgresRestarted)$$' -count=1 -timeout 30m -v

accuracy: ## measure detection on labelled excerpts: make accuracy DATA=DIR
	go run ./testdata/accuracy "$(DATA)"

accuracy-cross: ## the same on repositories left out when learning: make accuracy-cross DATA=DIR
	go run ./testdata/accuracy -cross -clean "$$(go env GOROOT)/src" "$(DATA)"

noise: ## count findings in text without secrets: make noise DATA="DIR DIR"
	go run ./testdata/noise $(DATA)

points: ## learn the points of the generic rule anew: make points DATA=DIR
	go run ./testdata/accuracy -learn scanner/internal/score/points.txt -clean "$$(go env GOROOT)/src" "$(DATA)"

usage-quality: ## judge the usage watch on ten simulated months of 1,000 tokens
	QUENCH_USAGE_SEEDS=10 go test -count=1 -timeout 30m -run '^TestQuality$$' -v ./registry/usage

bench: ## measure against cat, git, rg and gitleaks; BENCHFLAGS="-repo NAME=DIR" adds histories
	go run ./testdata/bench/table $(BENCHFLAGS)
	$(MAKE) bench-verify bench-bulk bench-usage bench-watch bench-revoke

bench-verify: ## measure verification with a million tokens, by QUENCH_CALLERS=8 for each CPU
	QUENCH_LARGE=1000000 go test ./registry -run '^$$' -bench Load -benchtime 5s -timeout 30m

bench-bulk: ## measure the import of a file of a million tokens
	QUENCH_BULK=1000000 go test ./registry/bulk -run '^$$' -bench Million -benchtime 1x -timeout 30m

bench-verify-postgres: ## the same on a PostgreSQL of its own, where it is installed
	QUENCH_LARGE=1000000 go run ./testdata/postgres go test ./registry -run '^$$' -bench Load -benchtime 5s -timeout 30m

.PHONY: bench-reach
bench-reach: ## measure how soon a change reaches another process; on PostgreSQL too, where it is installed
	go test ./registry -run '^$$' -bench '^BenchmarkReach$$/sqlite' -benchtime 300x
	go run ./testdata/postgres go test ./registry -run '^$$' -bench '^BenchmarkReach$$/postgres' -benchtime 300x

bench-usage: ## measure the usage watch on one core: reading logs, judging, writing
	go test ./registry/accesslog ./registry/usage ./registry/usage/watch -run '^$$' -bench 'Read|Observe|Feed|Ingest' -cpu 1

# Each measures once, a thousand leaks: the percentiles are what it tells.
.PHONY: bench-revoke
bench-revoke: ## measure from a finding to its end, from an alert to its sink, and 100,000 queued incidents; on PostgreSQL too, where it is installed
	QUENCH_BENCH_QUEUED=100000 go test ./revoker ./revoker/notify -run '^$$' -bench 'Found|Written|Drain' -benchtime 1x -timeout 60m
	QUENCH_BENCH_QUEUED=10000 go run ./testdata/postgres go test ./revoker ./revoker/notify -run '^$$' -bench 'Found|Written|Drain' -benchtime 1x -timeout 60m

.PHONY: bench-watch
bench-watch: ## measure watch: time to kill, a flood in eight files, 10,000 files, idle; idle on PostgreSQL too, where it is installed
	QUENCH_BENCH_WATCH=1 go test ./cmd/quench -run '^TestMeasureWatch' -count=1 -timeout 30m -v
	QUENCH_BENCH_WATCH=1 go run ./testdata/postgres go test ./cmd/quench -run '^TestMeasureWatchIdle$$/^PostgreSQL$$' -count=1 -timeout 30m -v

bench-doc: ## measure, and write docs/benchmarks.md
	go run ./testdata/bench/table $(BENCHFLAGS) -doc docs/benchmarks.md
