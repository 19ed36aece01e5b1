#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# load_loop: loading, using and unloading the module, over and over, with the
# last user racing the unloading.
#
#   MMAPDEV_KO  the module (default: the one in ../build that is loaded now, or
#               is for this kernel)
#   ROUNDS      how often (default 10)
#
# At the end the module is loaded, or not, as it was found, with the same
# parameters; counters begin anew.

set -u
here=$(cd "$(dirname "$0")" && pwd)
module=${MMAPDEV_KO:-}
rounds=${ROUNDS:-10}
loaded=/sys/module/mmapdev

# More refusals than there can be while a process comes to its end.
tries=10000000

echo "TAP version 13"

skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
for race in "$here/module_race" "$here/../build/selftests/module_race"; do
	[ ! -x "$race" ] || break
done
[ -x "$race" ] || skip_all "no module_race: run make -C selftests"

# is_this FILE: built for this kernel, and from the sources of what is loaded?
is_this() {
	[ -e "$1" ] || return 1
	[[ $(modinfo -F vermagic "$1") == "$(uname -r) "* ]] || return 1
	[ ! -e $loaded ] ||
		[ "$(modinfo -F srcversion "$1")" = "$(cat $loaded/srcversion)" ]
}

if [ -z "$module" ]; then
	for file in "$here"/../build/*/mmapdev.ko "$here"/../*/mmapdev.ko; do
		! is_this "$file" || module=$file
	done
fi
[ -n "$module" ] || skip_all "no mmapdev.ko for $(uname -r): set MMAPDEV_KO"

failed=0 bad=0 count=0

fail() {
	failed=1
	echo "# $*"
}

# point NAME: what has failed since the last one fails this
point() {
	count=$((count + 1))
	if [ $failed = 0 ]; then
		echo "ok $count $1"
	else
		echo "not ok $count $1"
		bad=1
	fi
	failed=0
}

found=no parameters=()
if [ -e $loaded ]; then
	found=yes
	parameters=("mode=$(cat $loaded/parameters/mode)"
		"limit=$(cat $loaded/parameters/limit)")
fi

work=$(mktemp -d)
# Where they are may be a slow file system.
cp "$race" "$work/module_race"
cp "$module" "$work/mmapdev.ko"
race=$work/module_race
module=$work/mmapdev.ko

# Opening a node without a driver must not load one behind our back.
modprobe=$(cat /proc/sys/kernel/modprobe)
echo >/proc/sys/kernel/modprobe

# Programs that wait for the end of their input live from one to the other.
hang_on() { exec 3<>"$work/in"; }
hang_up() { exec 3>&-; }

leave_as_found() {
	hang_up
	wait
	echo "$modprobe" >/proc/sys/kernel/modprobe
	[ ! -e $loaded ] || rmmod mmapdev 2>/dev/null
	if [ $found = yes ] && [ ! -e $loaded ]; then
		insmod "$module" "${parameters[@]}"
	fi
	rm -r "$work"
}
trap leave_as_found EXIT

# begin NAME VERB...: run module_race in the background until it is ready;
# its process is $begun
begin() {
	local name=$1 ready
	shift
	"$race" "$@" <"$work/in" >"$work/$name" 2>>"$work/errors" 3>&- &
	begun=$!
	read -r -t 60 ready <"$work/$name"
	[ "${ready-}" = ready ] || fail "module_race $* does not begin"
}

# ended PROCESS NAME: it must have ended well
ended() {
	wait "$1" || fail "$2: status $?: $(tail -n 1 "$work/errors")"
}

# in_file FILE WORD: does a line begin with it? (No process: this is a loop.)
in_file() {
	local line lines
	mapfile -t lines <"$1"
	for line in "${lines[@]}"; do
		[[ $line != "$2 "* ]] || return 0
	done
	return 1
}

in_slab() { in_file /proc/slabinfo mmapdev_object; }

load() {
	insmod "$module" || fail "insmod: status $?"
	[ -c /dev/mmapdev ] || fail "no node after loading"
	in_slab || fail "no slab cache after loading"
}

nothing_is_left() {
	! in_file /proc/modules mmapdev || fail "still in /proc/modules"
	[ ! -e /dev/mmapdev ] || fail "the node is still there"
	! in_slab || fail "the slab cache is still there"
}

mkfifo "$work"/{in,users,opener,unload}
touch "$work/errors"
begin_log="load_loop: begin $$"
echo "$begin_log" >/dev/kmsg

### Without users it goes at once; if it does not, nothing else can be tried.

[ $found = yes ] || load
rmmod mmapdev || fail "rmmod: status $?"
nothing_is_left
point module_without_users_unloads_at_once
if [ $bad = 1 ]; then
	echo "1..$count"
	exit 1
fi

### With a mapping, nobody can unload it.

load
hang_on
begin users map
users=$begun
for try in 1 2 3; do
	! "$race" unload 1 >/dev/null 2>"$work/says" ||
		fail "unloaded under a mapping, try $try"
	grep -q 'Resource temporarily unavailable' "$work/says" ||
		fail "not EWOULDBLOCK: $(cat "$work/says")"
done
! rmmod mmapdev 2>"$work/says" || fail "rmmod unloads under a mapping"
grep -q 'in use' "$work/says" || fail "rmmod says: $(cat "$work/says")"
in_slab || fail "a refused unloading took the slab cache away"
point module_under_a_mapping_cannot_be_unloaded
hang_up
ended "$users" users
rmmod mmapdev || fail "rmmod: status $?"

### Users that go while the unloading is tried over and over.

for ((round = 1; round <= rounds; round++)); do
	load
	hang_on
	begin users map
	users=$begun
	begin unload unload $tries
	unload=$begun
	hang_up
	ended "$unload" unload
	nothing_is_left
	ended "$users" users
done
point last_munmap_races_unloading

for ((round = 1; round <= rounds; round++)); do
	load
	hang_on
	begin opener open
	opener=$begun
	"$race" unload $tries >/dev/null 2>>"$work/errors" ||
		fail "unload: $(tail -n 1 "$work/errors")"
	ended "$opener" opener
	nothing_is_left
	hang_up
done
point opening_races_unloading

dmesg | sed "1,/$begin_log/d" | grep -E 'BUG|WARNING|Oops|KASAN|still has' &&
	fail "the kernel's log has this"
point kernel_log_is_clean

echo "1..$count"
[ $bad = 0 ]
