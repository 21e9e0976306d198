#!/bin/sh
# Builds the C core with its tests under the address and undefined-behaviour sanitizers, and runs them. Fails if anything does.
# CC names the compiler, OUT a folder for what is built (a temporary one by default).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
made=${OUT:-$(mktemp -d)}
[ -n "${OUT:-}" ] || trap 'rm -rf "$made"' EXIT
mkdir -p "$made"
${CC:-cc} -std=c11 -g -O1 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
    -I"$here/.." -o "$made/delta_tests" "$here"/*.c "$here"/../*.c
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} "$made/delta_tests"
