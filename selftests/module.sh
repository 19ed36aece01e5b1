# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the tests share that load and unload the module themselves. Source it.
#
#   MMAPDEV_KO  the module (default: the one in ../build that is loaded now, or
#               is for this kernel)
#
# At the end the module is loaded, or not, as it was found, with the same
# parameters; counters begin anew.

set -u
here=$(cd "$(dirname "$0")" && pwd)
module=${MMAPDEV_KO:-}
loaded=/sys/module/mmapdev

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
# shellcheck disable=SC2034 # for scripts
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

# in_file FILE WORD: is it the first word of a line? (No process: for loops.)
in_file() {
	local line lines
	mapfile -t lines <"$1"
	for line in "${lines[@]}"; do
		[[ $line != "$2 "* ]] || return 0
	done
	return 1
}

in_slab() { in_file /proc/slabinfo mmapdev_object; }

# load [PARAMETER...]
load() {
	insmod "$module" "$@" || fail "insmod $*: status $?"
	[ -c /dev/mmapdev ] || fail "no node after loading"
	in_slab || fail "no slab cache after loading"
}

nothing_is_left() {
	local node
	! in_file /proc/modules mmapdev || fail "still in /proc/modules"
	for node in /dev/mmapdev*; do
		[ ! -e "$node" ] || fail "$node is still there"
	done
	[ ! -e /sys/class/mmapdev ] || fail "the class is still there"
	! grep -qw mmapdev /proc/devices /proc/misc /proc/filesystems ||
		fail "still in /proc/devices, misc or filesystems"
	! in_slab || fail "the slab cache is still there"
}

mkfifo "$work"/{in,users,opener,unload}
touch "$work/errors"
begin_log="${0##*/}: begin $$"
echo "$begin_log" >/dev/kmsg

log_is_clean() {
	dmesg | sed "1,/$begin_log/d" |
		grep -E 'BUG|WARNING|Oops|KASAN|still has' &&
		fail "the kernel's log has this"
	point kernel_log_is_clean
}

# Say how many points there were; the status is that of all.
finish() {
	echo "1..$count"
	[ $bad = 0 ]
}
