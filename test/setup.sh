#!/bin/sh
# Installs the locked npm packages when they are missing or older than the lockfile. Every npm script that needs them
# starts with this, so that a fresh clone works with one command.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.kanava-lock
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  echo "==> npm ci (package-lock.json changed or nothing is installed yet)"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi
