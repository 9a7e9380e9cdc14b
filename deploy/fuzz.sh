#!/usr/bin/env bash
# Runs every fuzz target of the module for a time each: deploy/fuzz.sh 20s
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:-20s}

found=0
while read -r package; do
  # go test -list needs the package's tests to compile; a failure must stop us.
  targets=$(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
  for target in $targets; do
    found=$((found + 1))
    # Minimising by time, as is the default, eats the whole of a short run.
    echo "== $package $target ($time)"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x "$package"
  done
done < <(git grep -l --untracked '^func Fuzz' -- '*_test.go' | xargs -r -n1 dirname | sort -u | sed 's|^|./|')

if [ "$found" -eq 0 ]; then
  echo "fuzz: no targets found" >&2
  exit 1
fi
echo "== $found targets"
