#!/usr/bin/env bash
# Checks that the tree is formatted, that generated files are what the
# generators write, and that the modules are the ones go.sum names. Generators
# run on a copy, so the tree stays as it is, whatever the outcome.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

"${GOLANGCI:?the path of golangci-lint}" fmt --diff ./... || {
  echo "verify: not formatted; run make fmt" >&2
  exit 1
}

if grep -rqs --include='*.go' '^//go:generate' .; then
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
    if [ -e "$f" ]; then printf '%s\0' "$f"; fi
  done | tar --null -T - -cf - | tar -C "$copy" -xf -
  cp -r "$copy" "$copy.before"
  trap 'rm -rf "$copy" "$copy.before"' EXIT
  (cd "$copy" && go generate ./...)
  diff -ru "$copy.before" "$copy" || {
    echo "verify: generated files are old; run make generate" >&2
    exit 1
  }
fi

go mod verify >/dev/null
