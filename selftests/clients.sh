#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Real programs, as Debian has them, on a file of tmpfs and then on an object:
# they must succeed on both, and say the same. Each is a script of clients/.
#
#   CLIENTS     long: minutes of each, not seconds
#   ONLY        which of them (default: all)
#   MMAPDEVCTL  the tool (default ../build/userspace/mmapdevctl)
#
# Objects are made and removed by mmapdevctl. A client gets to one by a link to
# an open file of it, or, if it resolves links itself, by a bind mount.

set -u
here=$(cd "$(dirname "$0")" && pwd)
tool=${MMAPDEVCTL:-$here/../build/userspace/mmapdevctl}
read -ra clients <<<"${ONLY:-files rsync lmdb sqlite fio stress qemu}"

echo "TAP version 13"

skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -e /dev/mmapdev ] || skip_all "no /dev/mmapdev: load the module"
[ -x "$tool" ] || skip_all "no $tool: run make -C userspace"
for BUILT in "$here" "$here/../build/selftests"; do
	[ ! -x "$BUILT/client_lmdb" ] || break
done
[ -x "$BUILT/client_lmdb" ] || skip_all "no client_lmdb: run make -C selftests"
export BUILT

[ "$(stat -f -c %T /dev/shm)" = tmpfs ] || skip_all "/dev/shm is not tmpfs"
work=$(mktemp -d /dev/shm/clients.XXXXXX)
name=clients-$$

leave_as_found() {
	"$tool" remove "$name" 2>/dev/null
	rm -rf "$work"
}
trap leave_as_found EXIT

count=0 bad=0

# point STATUS NAME
point() {
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count $2"
	else
		echo "not ok $count $2"
		bad=1
	fi
}

# header WORD CLIENT: what the head of its script says
header() { sed -n "s/^# $1: //p" "$here/clients/$2.sh"; }

missing() {
	local program
	for program in $(header needs "$1"); do
		command -v "$program" >/dev/null || echo "$program"
	done
}

# run BACKEND CLIENT COMMAND...: the client by that command, with a directory of
# its own. What it prints is its results.
run() {
	local dir=$work/$2.$1 status=0 begin=$SECONDS
	mkdir "$dir"
	[ "$1" != tmpfs ] || : >"$dir/file"
	"${@:3}" "$here/clients/$2.sh" "$dir" >"$dir.results" 2>"$dir.log" \
		</dev/null || status=$?
	[ $status = 0 ] || cat "$dir.results" >>"$dir.log"
	echo "$((SECONDS - begin)) s" >>"$dir.log"
	rm -rf "$dir"
	return $status
}

on_tmpfs() { run tmpfs "$1" env; }

# Empty: a program that wants a size sets it.
on_object() {
	local path=$work/$1.object/file status=0
	local serve=("$tool" serve "$name" --path "$path")
	"$tool" create "$name" --size 0 || return
	export OBJECT=$name
	case $(header way "$1") in
	link) run object "$1" "${serve[@]}" -- || status=$? ;;
	bind) run object "$1" "${serve[@]}" --bind -- || status=$? ;;
	none) run object "$1" env || status=$? ;;
	esac
	unset OBJECT
	"$tool" remove "$name" || status=1
	return $status
}

# ended STATUS BACKEND CLIENT: its results are there
ended() {
	sed 's/^#* */# /' "$work/$3.$2.log"
	point "$1" "clients.$3.$2"
}

# Both at once, to save time; but not those that want half of all memory.
both() {
	local tmpfs object
	if [ "$(header way "$1")" = none ]; then
		on_tmpfs "$1"
		tmpfs=$?
		on_object "$1"
		object=$?
	else
		on_tmpfs "$1" &
		on_object "$1"
		object=$?
		wait $!
		tmpfs=$?
	fi
	ended $tmpfs tmpfs "$1"
	ended $object object "$1"
	diff "$work/$1".{tmpfs,object}.results | sed 's/^/# /'
	[ "${PIPESTATUS[0]}" = 0 ] && [ -s "$work/$1.tmpfs.results" ]
	point $? "clients.$1.same_results"
}

echo "1..$((3 * ${#clients[@]}))"
for client in "${clients[@]}"; do
	lacks=$(missing "$client" | xargs)
	if [ -z "$lacks" ]; then
		both "$client"
		continue
	fi
	for test in tmpfs object same_results; do
		point 0 "clients.$client.$test # SKIP no $lacks here"
	done
done
[ $bad = 0 ]
