#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# unload: what keeps the module loaded, what does not, and the named objects
# that it is loaded with. module.sh tells about MMAPDEV_KO.

. "$(dirname "$0")/module.sh"

[ $found = no ] || rmmod mmapdev || skip_all "mmapdev is in use"

### What is in use cannot be unloaded.

# refused WHAT: unloading is, in both ways, and nothing is lost by trying
refused() {
	! "$race" unload 1 >/dev/null 2>"$work/says" || fail "unloaded: $1"
	grep -q 'Resource temporarily unavailable' "$work/says" ||
		fail "$1: not EWOULDBLOCK: $(cat "$work/says")"
	! rmmod mmapdev 2>"$work/says" || fail "rmmod unloads: $1"
	grep -q 'in use' "$work/says" ||
		fail "$1: rmmod says: $(cat "$work/says")"
	[ -c /dev/mmapdev ] || fail "$1: the node is gone"
}

unloads() {
	rmmod mmapdev || fail "rmmod: status $?"
	nothing_is_left
}

for kind in node file path map map_file; do
	load
	hang_on
	begin users hold $kind
	refused $kind
	hang_up
	ended "$begun" "$kind"
	unloads
	point "module_in_use_cannot_be_unloaded: $kind"
done

load objects=kept:64K
exec 4<>/dev/mmapdev-kept
refused "a named node"
exec 4>&-
unloads
point "module_in_use_cannot_be_unloaded: a named node"

load objects=kept:64K
mkdir "$work/mnt"
mount -t mmapdev none "$work/mnt"
refused "a mount"
touch "$work/bound"
mount --bind "$work/mnt/kept" "$work/bound"
umount "$work/mnt"
refused "a file bound to a path"
umount "$work/bound"
unloads
point "module_in_use_cannot_be_unloaded: mounted"

### Names keep nobody.

load 'objects=a:64K,b:1M,c:0'
printf hello >/dev/mmapdev-b
[ "$(cat /sys/class/misc/mmapdev/stats/objects)" = 3 ] || fail "not 3 objects"
[ "$(find /dev -name 'mmapdev-*' | wc -l)" = 3 ] || fail "not 3 nodes"
unloads
point leftover_names_go_with_the_module

### objects=

# attributes NAME WANTED...: what sysfs says of size, resident, kind and store
attributes() {
	local dir=/sys/class/mmapdev/$1 seen
	seen=$(cd "$dir" && cat size resident kind store | tr '\n' ' ')
	[ "$seen" = "${*:2} " ] || fail "$1: $seen, not ${*:2}"
}

# node NAME WANTED: mode and owner of the node
node() {
	local seen
	seen=$(stat -c '%F %a %u %g' "/dev/mmapdev-$1")
	[ "$seen" = "character special file $2" ] || fail "$1: $seen, not $2"
}

long=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef	# 32 characters
load "objects=db:64K,log:1G,x.y_z-1:12345,$long:0x1000,empty:0"
attributes db 65536 0 anonymous none
attributes log 1073741824 0 anonymous none
attributes x.y_z-1 12345 0 anonymous none
attributes $long 4096 0 anonymous none
attributes empty 0 0 anonymous none
node db '600 0 0'
node $long '600 0 0'
[ "$(find /dev -name 'mmapdev-*' | wc -l)" = 5 ] || fail "not five nodes"
[ "$(head -c 70000 /dev/mmapdev-db | wc -c)" = 65536 ] ||
	fail "db does not read as long as it is"
unloads
point objects_are_there_from_the_start

load mode=0640 objects=db:64K
node db '640 0 0'
unloads
load objects=
[ ! -e /dev/mmapdev-db ] || fail "db is back"
unloads
point objects_have_the_mode_of_the_module_and_may_be_none

# not_loaded ERROR PARAMETER: it is refused with this, and leaves nothing
not_loaded() {
	if "$race" load "$module" "$2" 2>"$work/says"; then
		fail "loaded with $2"
		rmmod mmapdev
	fi
	grep -q "$1" "$work/says" || fail "$2: $(cat "$work/says"), not $1"
	nothing_is_left
}

einval='Invalid argument'
for value in db db: :64K db:64KB db:K db:-1 db:many 'db:64K,' ',db:64K' ',' \
	'db:64K,,log:1M' db:64K:1M 'db:64K,log' /:1 a/b:64K .:64K ..:64K \
	a+b:64K ${long}g:64K 'db:64K,db:1M' 'log:1M,db:64K,log:1M'; do
	not_loaded "$einval" "objects=$value"
done
not_loaded "$einval" 'objects="a b:64K"'
not_loaded 'Numerical result out of range' objects=db:17179869184G
not_loaded 'File too large' objects=db:9223372036854775808
point objects_that_cannot_be_made_are_refused_and_leave_nothing

### A module that will not load must show no node: who opened it would hold it.

hang_on
begin users watch good
for _ in 1 2 3 4 5 6 7 8 9 10; do
	not_loaded "$einval" 'objects=good:64K,bad'
done
hang_up
ended "$begun" "a node of a module that did not load was open"
point objects_are_not_shown_before_all_can_be_made

load
unloads
point module_loads_after_it_was_refused

log_is_clean
finish
