#!/usr/bin/env bash
# Make sure that the servers the tests run against are installed: Redis and PostgreSQL. The
# tests start and stop their own; no running server is needed or touched.
set -euo pipefail

has_redis() { command -v redis-server >/dev/null; }

has_postgres() {
    # Debian keeps the server's programs off PATH.
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

missing=()
has_redis || missing+=(redis-server)
has_postgres || missing+=(postgresql)
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "The tests run real servers, and this machine lacks: ${missing[*]}" >&2
    echo "  Debian, Ubuntu:  sudo apt-get install redis-server postgresql" >&2
    echo "  Fedora:          sudo dnf install redis postgresql-server" >&2
    echo "  macOS:           brew install redis postgresql" >&2
    exit 1
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null

if ! has_redis || ! has_postgres; then
    echo "apt-get installed ${missing[*]}, yet redis-server or initdb is still not found" >&2
    exit 1
fi
