#!/usr/bin/env bash
# Installs what FoodFlow and its tests need on a Debian machine that has Go,
# and Node with npm. What is there already is left alone, and when nothing is
# missing nothing is asked of the network. The engines themselves (ClickHouse
# by npm, Apache Kafka by Maven) are installed by the program when it needs them.
# "setup.sh run" leaves out what only the tests need, a browser among it.
set -euo pipefail

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

have_postgres() {
  have initdb && return
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# The names that internal/testkit/browser looks for.
have_browser() {
  have chromium || have chromium-browser || have chromium-headless-shell || have google-chrome-stable || have google-chrome
}

for tool in go npm; do
  if ! have "$tool"; then
    say "$tool is missing: install Go 1.26 or newer, and Node 20 with npm, first" >&2
    exit 1
  fi
done

missing=()
why=()
need() { # package, what for
  missing+=("$1")
  why+=("$1 ($2)")
}
have_postgres || need postgresql "the store of master data"
have mosquitto_pub || need mosquitto-clients "a second MQTT client in the tests, and the README's"
have jq || need jq "the README's commands"
have curl || need curl "the README's commands"
[ -e /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates "TLS"
if [ "${1:-}" != run ]; then
  have pgbouncer || [ -x /usr/sbin/pgbouncer ] || need pgbouncer "the pool before Postgres in the tests"
  have java || need default-jre-headless "Apache Kafka in the tests"
  have mvn || need maven "fetches Apache Kafka"
  have kcat || need kcat "a second Kafka client in the tests"
  have_browser || need chromium "opens the pages in the tests"
  have cc || have gcc || { need gcc "the race detector"; need libc6-dev "the race detector"; }
  have git || need git "checking generated files"
fi

if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! have sudo || ! sudo -n true 2>/dev/null; then
    say "missing: ${why[*]}" >&2
    say "not root, and sudo asks for a password; run: sudo apt-get install -y ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi
if ! have apt-get; then
  say "missing: ${why[*]}; install them with this system's package manager" >&2
  exit 1
fi

say "installing ${why[*]}"
# FoodFlow starts Postgres itself on a directory of its own: the package must
# not make and start a cluster beside it.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  "${as_root[@]}" mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
# Nor is any other service to start by itself: a policy says so while packages
# are unpacked (a machine that has one keeps its own).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null
say "done"
