#!/usr/bin/env bash
# Make sure that the server of the tests of DynamoDB is built: the crate dynoxide-rs, once, into a
# cache (see tests/dynamodb_server.py). Where there is no cargo the tests use moto's instead.
set -euo pipefail

version=3.2.0
root="${XDG_CACHE_HOME:-$HOME/.cache}/noskew-dynamodb/$version"

[[ -x "$root/bin/dynoxide" ]] && exit
if ! command -v cargo >/dev/null; then
    echo "no cargo here: the tests of DynamoDB run against moto's server"
    exit
fi
echo "building the DynamoDB server of the tests into $root (once; it takes some minutes)"
mkdir -p "$(dirname "$root")"
building=$(mktemp -d "$root.XXXXXX")
trap 'rm -rf "$building"' EXIT
if ! cargo install dynoxide-rs --version "$version" --locked --quiet --root "$building"; then
    echo "it could not be built: the tests of DynamoDB run against moto's server" >&2
    exit
fi
# Of two that build at once, the second finds the first one's and drops its own.
mv --no-target-directory "$building" "$root" 2>/dev/null || [[ -x "$root/bin/dynoxide" ]]
