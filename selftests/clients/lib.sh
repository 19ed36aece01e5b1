# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the clients share. Each sources this first, and is run by ../clients.sh:
#
#   CLIENT DIRECTORY
#
# DIRECTORY is on tmpfs and the client's own. DIRECTORY/file is the file under
# test, empty: a file of that tmpfs, or a way to the object $OBJECT. The client
# says on stdout what must come out the same on both, and ends with
# the_file_was_used. CLIENTS=long asks for more of everything.

set -euo pipefail
export LC_ALL=C TZ=UTC

dir=$1
file=$dir/file
# shellcheck disable=SC2034 # for the clients
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
object=/sys/class/mmapdev/${OBJECT-}
device=/sys/class/misc/mmapdev/stats

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# log TEXT...: not a result, but good to see when one is wrong
log() { echo "# $*" >&2; }

# long_or LONG SHORT
long_or() {
	if [ "${CLIENTS-}" = long ]; then echo "$1"; else echo "$2"; fi
}

# refused COMMAND...: it must fail
refused() {
	if "$@" >"$dir/refused" 2>&1; then
		die "succeeds: $*"
	fi
	echo "refused: $1"
}

# outside NAME: what anyone can see of the file
outside() { stat -L -c "$1: %s bytes, %b blocks, %F" "$file"; }

# shown NAME: the same, and its bytes
shown() {
	outside "$1"
	cksum <"$file"
}

# Who only looks may be quick: starting a process takes long where the machine is
# emulated. stat(1) of coreutils takes five times as long as this one.
if command -v busybox >/dev/null; then
	stat() { busybox stat "$@"; }
fi

### Did it reach the object? On tmpfs, nobody asks.

declare -A counted=()

# count FILE: how much a counter has grown since it was last asked for
count() {
	local now
	read -r now <"$1"
	grown=$((now - ${counted[$1]-0}))
	counted[$1]=$now
}

# reached COUNTER...: what ran since the last time counted in each of these
# counters of the object; or, of A/B, in one of the two
reached() {
	local counters counter grown sum
	[ -n "${OBJECT-}" ] || return 0
	for counters; do
		sum=0
		for counter in ${counters//\// }; do
			count "$object/stats/$counter"
			sum=$((sum + grown))
		done
		[ $sum -gt 0 ] || die "never reached the object: $counters"
		log "$counters: $sum"
	done
}

# reached_device COUNTER LEAST: the same, for objects that have no name
reached_device() {
	local grown
	[ -n "${OBJECT-}" ] || return 0
	count "$device/$1"
	[ "$grown" -ge "$2" ] || die "reached the device too little: $1 $grown"
	log "$1: $grown"
}

# The object has the bytes that the file showed: its node, which is another way
# to it, shows the same ones, and it holds the pages that the file says it has.
# Nothing was put into another file, named after the object, by mistake.
the_file_was_used() {
	local size resident
	[ -n "${OBJECT-}" ] || return 0
	read -r size <"$object/size"
	[ "$size" -gt 0 ] || die "the object is empty"
	[ "$size" = "$(stat -L -c %s "$file")" ] || die "the object has $size bytes"
	read -r resident <"$object/resident"
	[ "$resident" -gt 0 ] || die "the object holds no page"
	[ "$resident" = $(($(stat -L -c %b "$file") * 512)) ] ||
		die "the object holds $resident bytes"
	cmp -n "$size" "$file" "/dev/mmapdev-$OBJECT" ||
		die "the object does not hold these bytes"
	[ -z "$(find / "$dir" -maxdepth 1 -name '*(deleted)')" ] ||
		die "a file '... (deleted)' was made"
}
