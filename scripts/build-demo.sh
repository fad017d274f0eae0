#!/bin/sh
# Builds the programs of the demo and tells how far it is. Needs sh, Go and git.
#
#   scripts/build-demo.sh GO LDFLAGS
set -eu
go=$1 flags=$2

# Without HOME Go does not know where its caches are.
if [ -z "${HOME:-}" ]; then
	HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6) || HOME=
	if [ -z "$HOME" ] || ! [ -w "$HOME" ]; then HOME=$(pwd)/bin/home; fi
	export HOME
fi
export CGO_ENABLED=0

echo "make demo: builds Quell (the first time it downloads 325 MB of modules and takes about 5 minutes; later seconds), then shows one incident, about 15 s."

# The number of packages is known once the modules are there.
total=$("$go" list -deps ./cmd/quell ./cmd/quell-connector ./cmd/quell-lab | wc -l) || exit 1
total=$((total))

# One line that counts on a terminal; elsewhere a line each hundred packages.
failed=$(mktemp "${TMPDIR:-/tmp}/quell-build.XXXXXX")
trap 'rm -f "$failed"' EXIT
{ "$go" build -v -ldflags "$flags" -o bin/ ./cmd/quell ./cmd/quell-connector ./cmd/quell-lab 2>&1 || echo failed > "$failed"; } |
	{
		n=0
		while IFS= read -r line; do
			case $line in
			*[\ :]*) # no package: a download, or a mistake
				[ -t 1 ] && printf '\r\033[K'
				echo "$line"
				;;
			*)
				n=$((n + 1))
				if [ -t 1 ]; then
					printf '\r\033[K  compiled %d of at most %d: %.60s' "$n" "$total" "$line"
				elif [ $((n % 100)) -eq 0 ]; then
					echo "  compiled $n of at most $total packages"
				fi
				;;
			esac
		done
		[ -t 1 ] && [ "$n" -gt 0 ] && printf '\r\033[K'
		# Nothing is built where the file says so: it is written before the pipe ends.
		[ -s "$failed" ] || echo "  built ($n packages compiled, $total in all)"
	}
[ ! -s "$failed" ]
