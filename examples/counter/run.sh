#!/usr/bin/env bash
# Starts the node with the counter, uses it from a second process, and stops it.
# usage: run.sh [PROGRAM [PORT]]
set -euo pipefail
program=${1:-"$(dirname "$0")/../../build/bin/example-counter"}
port=${2:-7231}

coproc server { exec "$program" serve "$port"; }
trap 'kill "$server_PID" 2>/dev/null || true' EXIT
read -r -t 10 line <&"${server[0]}"   # says that it listens
echo "$line"
"$program" use "$port"
