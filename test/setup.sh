#!/bin/sh
# Installs the locked npm packages when they are missing or older than the lockfile. Every npm script that needs them
# starts with this, so that a fresh clone works with one command.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.kanava-lock
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  # beside what the script itself writes, which somebody may read
  exec >&2
  echo "==> npm install (package-lock.json changed or nothing is installed yet)"
  # not `npm ci`: it refuses a lockfile that lacks optional packages of platforms that a registry mirror does not serve
  npm install --no-save --no-audit --no-fund --loglevel=error
  # What `kanava` is made of is compiled by its first run, which takes twice as long: nobody shall wait for that. A value that is filtered out.
  echo '{"value": 1000}' | node cli/launch.js run examples/telemetry --port 0 --once - 2>/dev/null || true
  cp package-lock.json "$stamp"
fi
