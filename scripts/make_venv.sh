#!/usr/bin/env bash
# Create a virtual environment with a Python that noskew supports; do nothing if it is there.
#   usage: make_venv.sh DIRECTORY          PYTHON=/path/to/python chooses the interpreter
set -euo pipefail

venv=$1
supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))'

if [[ -x $venv/bin/python ]] && "$venv/bin/python" -c "$supported; import pip" 2>/dev/null; then
    exit 0
fi

found=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    # Run it: a launcher of a version manager can exist for a version that is not active.
    if "$candidate" -c "$supported" 2>/dev/null; then
        found=$candidate
        break
    fi
done
if [[ -z $found ]]; then
    version=$("${PYTHON:-python3}" --version 2>&1 | head -n 1 || true)
    echo "noskew needs Python 3.11 to 3.14; ${PYTHON:-python3} says: $version" >&2
    echo "Install one of them, or name it: make PYTHON=/path/to/python3.11 ..." >&2
    exit 1
fi

if ! "$found" -m venv --clear "$venv"; then
    rm -rf "$venv"
    echo "$found could not create an environment in $venv." >&2
    echo "On Debian and Ubuntu its venv module is a package: apt-get install python3-venv" >&2
    exit 1
fi

# As Python 3.13 does by itself: Git, and the tools that ask it, pass the environment over.
echo '*' > "$venv/.gitignore"
