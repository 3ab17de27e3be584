#!/usr/bin/env bash
# Make sure that the servers the tests run against are installed: Redis, PostgreSQL, Kafka (Java's,
# fetched by Maven into a cache) and a DynamoDB (built by cargo into a cache). The tests start and
# stop their own; no running server is needed or touched.
#
#   system_packages.sh [command…]    the same, and commands that have a package of their name (wrk)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
commands="$*"

has_redis() { command -v redis-server >/dev/null; }

has_postgres() {
    # Debian keeps the server's programs off PATH.
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

absent_commands() {
    local name
    for name in $commands; do
        command -v "$name" >/dev/null || echo "$name"
    done
}

has_java() { command -v java >/dev/null && java -version >/dev/null 2>&1; }

# Named by what is to be fetched (see tests/kafka_server.py), so a changed pom is fetched anew.
pom=tests/kafka/pom.xml
kafka="${XDG_CACHE_HOME:-$HOME/.cache}/noskew-kafka/$(cksum "$pom" | cut -d ' ' -f 1)"

has_kafka() { [[ -n "${KAFKA_BOOTSTRAP:-}" || -e "$kafka/.complete" ]]; }

install_packages() {
    local missing=()
    has_redis || missing+=(redis-server)
    has_postgres || missing+=(postgresql)
    has_java || [[ -n "${KAFKA_BOOTSTRAP:-}" ]] || missing+=(openjdk-17-jre-headless)
    has_kafka || command -v mvn >/dev/null || missing+=(maven)
    # Unquoted: one word for each.
    missing+=($(absent_commands))
    [[ ${#missing[@]} -eq 0 ]] && return

    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "This runs real servers and their tools, and this machine lacks: ${missing[*]}" >&2
        echo "  Debian, Ubuntu:  sudo apt-get install ${missing[*]}" >&2
        echo "  Fedora:          sudo dnf install redis postgresql-server java-headless maven $commands" >&2
        echo "  macOS:           brew install redis postgresql openjdk maven $commands" >&2
        exit 1
    fi
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
    if ! has_redis || ! has_postgres || [[ -n "$(absent_commands)" ]]; then
        echo "apt-get installed ${missing[*]}, yet redis-server, initdb or one of $commands is still not found" >&2
        exit 1
    fi
}

fetch_kafka() {
    has_kafka && return
    echo "fetching Kafka into $kafka"
    mkdir -p "$(dirname "$kafka")"
    local made
    made=$(mktemp -d "$kafka.XXXXXX")
    mvn --batch-mode --quiet --file "$pom" dependency:copy-dependencies \
        -DoutputDirectory="$made" -DincludeScope=runtime
    touch "$made/.complete"
    # Of two that fetch at once, the second finds the first one's and drops its own.
    mv --no-target-directory "$made" "$kafka" 2>/dev/null || rm -rf "$made"
    has_kafka
}

install_packages
fetch_kafka
scripts/dynamodb_server.sh
