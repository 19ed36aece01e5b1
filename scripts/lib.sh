# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every script here shares: places, privileges, progress. Source it.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${MMAPDEV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mmapdev}
# shellcheck disable=SC2034 # for scripts
build=$top/build

# The linux-source package that the CI kernel and the selftest harness are of.
LINUX_SOURCE=${LINUX_SOURCE:-6.12}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root, or sudo, for: $*"
	fi
}

# step TEXT COMMAND...: run a long command with its output in a log, show that
# it is alive and how long it took, and show the end of the log if it fails. If
# $expect says how many seconds it takes, the minutes left are shown.
step() {
	local text=$1 log start=$SECONDS pid next=15 left
	shift
	mkdir -p "$cache/log"
	log=$cache/log/$(tr -c 'a-zA-Z0-9\n' - <<<"$text").log
	printf '  %-50s' "$text${expect:+, minutes left:}" >&2
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		[ $((SECONDS - start)) -ge $next ] || continue
		next=$((next + 15))
		left=$(((${expect:-0} - SECONDS + start + 59) / 60))
		if [ $left -gt 0 ] && [ $((next % 60)) = 30 ]; then
			printf ' %d' $left >&2
		else
			printf . >&2
		fi
	done
	if wait "$pid"; then
		printf ' %d s\n' $((SECONDS - start)) >&2
	else
		printf ' failed\n' >&2
		tail -n 30 "$log" >&2
		die "'$text' failed; its whole log is $log"
	fi
}

# The first archive that this machine's own apt installs from, for fetching
# packages of other Debian suites: no mirror is named here.
apt_mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		grep -v -e security -e '^$' | head -n 1 | sed 's,/$,,'
}

# lock NAME: one preparation of a thing at a time; others wait for it.
lock() {
	mkdir -p "$cache"
	exec {lock_fd}>"$cache/.$1.lock"
	flock "$lock_fd"
}
