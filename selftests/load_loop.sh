#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# load_loop: loading, using and unloading the module, over and over, with the
# last user racing the unloading. module.sh tells about MMAPDEV_KO.
#
#   ROUNDS      how often (default 5)

. "$(dirname "$0")/module.sh"
rounds=${ROUNDS:-5}

# More refusals than there can be while a process comes to its end.
tries=10000000

### Without users it goes at once; if it does not, nothing else can be tried.

[ $found = yes ] || load
rmmod mmapdev || fail "rmmod: status $?"
nothing_is_left
point module_without_users_unloads_at_once
if [ $bad = 1 ]; then
	finish
	exit
fi

### With a mapping, nobody can unload it.

load
hang_on
begin users hold map
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

# last_use_races_unloading KIND POINT
last_use_races_unloading() {
	local round users unload
	for ((round = 1; round <= rounds; round++)); do
		load
		hang_on
		begin users hold "$1"
		users=$begun
		begin unload unload $tries
		unload=$begun
		hang_up
		ended "$unload" unload
		nothing_is_left
		ended "$users" users
	done
	point "$2"
}

last_use_races_unloading map last_munmap_races_unloading
last_use_races_unloading map_file last_munmap_of_a_file_races_unloading
last_use_races_unloading file last_close_of_a_file_races_unloading

### Users that come while it is unloaded.

# coming_races_unloading VERB POINT [PARAMETER]
coming_races_unloading() {
	local round opener
	for ((round = 1; round <= rounds; round++)); do
		load "${@:3}"
		hang_on
		begin opener come "$1"
		opener=$begun
		"$race" unload $tries >/dev/null 2>>"$work/errors" ||
			fail "unload: $(tail -n 1 "$work/errors")"
		ended "$opener" opener
		nothing_is_left
		hang_up
	done
	point "$2"
}

coming_races_unloading node opening_races_unloading
coming_races_unloading file opening_a_file_races_unloading
coming_races_unloading name opening_by_name_races_unloading objects=race:64K
coming_races_unloading mount mounting_races_unloading objects=race:64K

log_is_clean
finish
