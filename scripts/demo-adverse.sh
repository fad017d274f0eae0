#!/usr/bin/env bash
# The demo where machines are strange. Each case must end as told, leave no
# process and no directory of its own behind, and take less than 30 s.
#
#   scripts/demo-adverse.sh BIN      the directory with quell, quell-connector, quell-lab
set -euo pipefail
bin=$(cd "$1" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quell adverse.XXXXXX")
chmod 755 "$work"
export TMPDIR=$work
good=0 bad=0 skipped=0
trap 'rm -rf "$work"' EXIT

# The case's own directory, with a space in its path; what is in it afterwards
# besides reviews and our own files was left behind.
begin() {
	name=$1 dir="$work/case $((good + bad + skipped + 1))"
	mkdir -m 755 "$dir"
	began=$(date +%s)
}

# stale lists processes of the demo that still run: lab and server carry the path
# of the case's directory. Their connectors are looked after in internal/e2e.
stale() {
	local p
	for p in /proc/[0-9]*; do
		{
			case "$(tr '\0' ' ' <"$p/cmdline") $(readlink "$p/cwd")" in
			*"$dir"/*quell-demo-*) echo "${p#/proc/} $(tr '\0' ' ' <"$p/cmdline")" ;;
			esac
		} 2>/dev/null || true # it ended while we looked
	done
}

finish() { # EXIT-CODE WANTED [TEXT THAT THE OUTPUT HAS]
	local took=$(($(date +%s) - began)) left problems=""
	[ "$1" = "$2" ] || problems+=" exit code $1, not $2;"
	[ -z "${3:-}" ] || grep -qF -- "$3" "$dir/out" || problems+=" the output does not say \"$3\";"
	[ $took -le 30 ] || problems+=" it took $took s;"
	sleep 0.5
	left=$(stale)
	[ -z "$left" ] || problems+=" processes were left: $left;"
	left=$(find "$dir" -name 'quell-demo-*' -print)
	[ -z "$left" ] || problems+=" directories were left: $left;"
	if [ -z "$problems" ]; then
		echo "ok    $name ($took s)"
		good=$((good + 1))
	else
		echo "FAIL  $name:$problems"
		sed 's/^/      | /' "$dir/out" | tail -25
		bad=$((bad + 1))
	fi
}

skip() { echo "skip  $1: $2"; skipped=$((skipped + 1)); }

# run COMMAND…: in the case's directory, with its output in a file.
run() {
	local code=0
	(cd "$dir" && TMPDIR="$dir" "$@") >"$dir/out" 2>&1 </dev/null || code=$?
	echo $code
}

last=" init "

begin "standard input is /dev/null"
finish "$(run "$bin/quell" demo)" 0 "$last"

begin "--yes"
finish "$(run "$bin/quell" demo --yes)" 0 "nobody is asked"

begin "CI=true"
finish "$(run env CI=true "$bin/quell" demo)" 0 "nobody is asked"

begin "no HOME, a bare environment"
finish "$(run env -i PATH=/usr/bin:/bin TMPDIR="$dir" "$bin/quell" demo)" 0 "$last"

begin "TERM=dumb"
finish "$(run env TERM=dumb "$bin/quell" demo)" 0 "$last"

begin "umask 077"
finish "$(run bash -c "umask 077; exec '$bin/quell' demo")" 0 "$last"

begin "programs and data under a path with spaces and quotes"
mkdir "$dir/it's a \"bin\""
cp "$bin"/quell "$bin"/quell-connector "$bin"/quell-lab "$dir/it's a \"bin\"/"
finish "$(run "$dir/it's a \"bin\"/quell" demo)" 0 "$last"

begin "a directory for temporary files whose path is too long for sockets"
long="$dir/$(printf 'x%.0s' $(seq 1 90))"
mkdir "$long"
finish "$(run env TMPDIR="$long" "$bin/quell" demo)" 0 "$last"

begin "--report names the file"
finish "$(run "$bin/quell" demo --report "$dir/my review.html")" 0 "my review.html"
grep -q "</html>" "$dir/my review.html" || { echo "FAIL  the review is not whole"; bad=$((bad + 1)); }

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	begin "not root"
	cp "$bin"/quell "$bin"/quell-connector "$bin"/quell-lab "$dir"
	chmod 755 "$dir"/quell*
	mkdir -m 777 "$dir/tmp"
	finish "$(run setpriv --reuid=65534 --regid=65534 --clear-groups env -i PATH=/usr/bin:/bin TMPDIR="$dir/tmp" "$dir/quell" demo)" 0 "$last"
else
	skip "not root" "this script is not root, so the other cases showed it"
fi

if unshare -rn true 2>/dev/null && command -v ip >/dev/null; then
	begin "no network but the loopback"
	finish "$(run unshare -rn sh -c "ip link set lo up && exec '$bin/quell' demo")" 0 "$last"
else
	skip "no network but the loopback" "this machine lets nobody make a network namespace, or has no ip"
fi

begin "two at once"
other="$dir/other"
mkdir "$other"
(cd "$other" && TMPDIR="$other" "$bin/quell" demo </dev/null >"$other/out" 2>&1) &
second=$!
first=$(run "$bin/quell" demo)
code=0
wait $second || code=$?
finish "$first$code" 00 "$last"

# interrupt SIGNAL WHEN: ends a demo at a moment and looks at what it leaves. In a
# session of its own the demo is the only one that the signal reaches.
interrupt() {
	local code=0 pid
	# A background job of a shell without job control ignores SIGINT for good; the
	# extra process sets it back.
	(cd "$dir" && TMPDIR="$dir" exec setsid perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$bin/quell" demo --keep </dev/null >"$dir/out" 2>&1) &
	pid=$!
	for _ in $(seq 1 300); do
		grep -qF -- "$2" "$dir/out" 2>/dev/null && break
		sleep 0.1
	done
	kill "-$1" $pid
	wait $pid || code=$?
	echo $code
}

if command -v perl >/dev/null && command -v setsid >/dev/null; then
	begin "Ctrl-C while it starts"
	finish "$(interrupt INT "Quell demo:")" 130
	begin "Ctrl-C in the middle of the run"
	finish "$(interrupt INT "run.claimed")" 130 "nothing of the demo is left"
	begin "Ctrl-C after --keep"
	finish "$(interrupt INT "It keeps running")" 130 "nothing of the demo is left"
	begin "SIGTERM"
	finish "$(interrupt TERM "It keeps running")" 130
else
	skip "Ctrl-C" "perl or setsid is not there"
fi

echo "$good passed, $bad failed, $skipped skipped"
[ $bad -eq 0 ]
