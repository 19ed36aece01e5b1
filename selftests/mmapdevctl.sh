#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# mmapdevctl from outside: what it does, what it says, its exit status.
#
#   MMAPDEVCTL  the tool (default ../build/userspace/mmapdevctl)
#   MMAPDEV_KO  the module (default: the one below .. that is loaded now, or is
#               for this kernel)
#
# Reloads the module, so nothing else may have it open. At the end it is loaded
# as it was found, with the same parameters; counters begin anew.

. "$(dirname "$0")/ctl.sh"
module=${MMAPDEV_KO:-}
parameters=/sys/module/mmapdev/parameters
device=/dev/mmapdev
page=$(getconf PAGESIZE)

for hold in "$here/hold_mapping" "$here/../build/selftests/hold_mapping"; do
	[ ! -x "$hold" ] || break
done
if [ -z "$module" ]; then
	source=$(cat /sys/module/mmapdev/srcversion 2>/dev/null)
	for file in "$here"/../mmapdev.ko "$here"/../build/*/mmapdev.ko; do
		info=$(modinfo "$file" 2>/dev/null)
		if [[ $info =~ srcversion:\ +$source &&
		      $info =~ vermagic:\ +"$(uname -r) " ]]; then
			module=$file
		fi
	done
fi
[ -n "$module" ] || skip_all "no mmapdev.ko for $(uname -r): set MMAPDEV_KO"

# A copy that an unprivileged user can reach.
install -m 644 "$module" "$tmp/mmapdev.ko"
module=$tmp/mmapdev.ko

found=()
if [ -d "$parameters" ]; then
	found=("mode=$(cat $parameters/mode)" "limit=$(cat $parameters/limit)"
		"user_limit=$(cat $parameters/user_limit)")
	objects=$(cat $parameters/objects)
	[[ $objects != *:* ]] || found+=("objects=$objects")
fi

rm_if_file() {
	local path
	for path; do
		[ ! -f "$path" ] || rm "$path"
	done
}

leave_as_found() {
	rm_if_file $device $device-db
	[ ! -d "$parameters" ] || "$tool" unload
	[ ${#found[@]} = 0 ] || "$tool" load --module "$module" "${found[@]}"
	rm -r "$tmp"
}

# $installed, if not empty, as the only installed module, with settings.
cat >"$tmp/with_installed" <<END
#!/bin/sh
exec unshare --mount "$tmp/with_mounts" "\$@"
END
cat >"$tmp/with_mounts" <<END
#!/bin/sh -e
mount -t tmpfs tmpfs /lib/modules
mount -t tmpfs tmpfs /etc/modprobe.d
if [ -n "\$installed" ]; then
	mkdir -p "/lib/modules/$(uname -r)/updates"
	cp "\$installed" "/lib/modules/$(uname -r)/updates/mmapdev.ko"
	depmod 2>/dev/null
	echo "options mmapdev limit=32M mode=0660" >/etc/modprobe.d/mmapdev.conf
fi
exec "$tool" "\$@"
END
chmod 755 "$tmp"/with_*

### Expectations of its own.

# shows NAME VALUE...: status has these lines.
shows() {
	local line
	ctl 0 status
	while [ $# -gt 0 ]; do
		printf -v line '  %-20s %s\n' "$1" "$2"
		case $out$'\n' in
		*$'\n'"$line"*) ;;
		*) fail "status does not show $1 $2: $out" ;;
		esac
		shift 2
	done
}

# reads FILE LINE: the file is that line.
reads() {
	local line=''
	read -r line <"$1"
	is "$2" "$line"
}

not_inserted() {
	[ ! -e /sys/module/mmapdev ] || fail "the module is loaded"
}

not_loaded() {
	not_inserted
	[ ! -e $device ] || fail "$device exists"
	ctl 3 status
	is "mmapdev is not loaded" "$out"
}

loaded_with() {
	ctl 0 load --module "$module" "$@"
	is "" "$out"
}

# lists ROW...: list has these, in order, but for the spaces that align them.
lists() {
	local words wanted rows=''
	ctl 0 list
	while read -r -a words; do
		rows+="${words[*]};"
	done <<<"$out"
	printf -v wanted '%s;' "NAME SIZE RESIDENT KIND STORE MODE OWNER DURABLE" "$@"
	is "$wanted" "$rows"
}

# hold FILE: a process maps it, and has it not open, until let_go.
hold() {
	local line=''
	coproc holder { exec "$hold" "$1" 2>&1; }
	# shellcheck disable=SC2154 # coproc sets it
	held=$holder_PID end=${holder[1]}
	read -r -t 20 line <&"${holder[0]}"
	is mapped "$line"
}

let_go() {
	exec {end}>&-
	wait "$held"
}

### Claims. Each begins and ends with the module not loaded.

load_makes_the_device_and_unload_removes_it() {
	not_loaded
	loaded_with
	is "character special file 600" "$(stat -c '%F %a' $device)"
	reads /sys/module/mmapdev/initstate live
	ctl 0 status
	says "mmapdev $(modinfo -F version "$module") is loaded"
	ctl 0 unload
	is "" "$out"
	not_loaded
}

a_second_load_is_refused_and_changes_nothing() {
	loaded_with limit=64M
	ctl 1 load --module "$module" limit=32M
	says "already loaded"
	reads $parameters/limit 67108864
	ctl 0 unload
}

unload_of_nothing_is_an_error() {
	ctl 1 unload
	says "mmapdev is not loaded"
}

unload_names_who_has_the_device_open() {
	loaded_with
	exec 9<>$device
	ctl 1 unload
	says "in use"
	says "process $$ ($(cat /proc/$$/comm))"
	ctl 0 status
	exec 9>&-
	ctl 0 unload
	not_loaded
}

unload_names_who_has_the_device_mapped() {
	loaded_with
	hold $device
	ctl 1 unload
	says "in use"
	says "process $held (hold_mapping)"
	let_go
	ctl 0 unload
	not_loaded
}

unload_names_who_has_a_named_object_open_or_mapped() {
	loaded_with
	ctl 0 create db --size 64K
	exec 9<>$device-db
	ctl 1 unload
	says "process $$ ($(cat /proc/$$/comm))"
	ctl 0 remove db
	ctl 1 unload
	says "process $$ ($(cat /proc/$$/comm))"
	exec 9>&-
	ctl 0 create db --size 64K
	hold $device-db
	ctl 0 remove db
	ctl 1 unload
	says "process $held (hold_mapping)"
	let_go
	ctl 0 unload
	not_loaded
}

unload_names_who_has_a_file_open_mapped_or_mounted() {
	local mnt="$tmp/a place"
	loaded_with
	ctl 0 create db --size 64K
	mkdir "$mnt"
	mount -t mmapdev none "$mnt"
	hold "$mnt/db"
	exec 9<"$mnt/db"
	ctl 1 unload
	says "mount $mnt"
	says "process $$ ("
	says "process $held (hold_mapping)"
	exec 9>&-
	let_go
	ctl 1 unload
	is "  mount $mnt" "${out#*$'\n'}"
	umount "$mnt"
	ctl 0 unload
	not_loaded
}

unload_removes_the_names_of_objects() {
	loaded_with
	ctl 0 create db --size 1G
	ctl 0 create log
	ctl 0 unload
	[ ! -e $device-db ] || fail "a node is left"
	[ ! -e $device-log ] || fail "a node is left"
	not_loaded
}

mode_sets_the_permissions_of_the_device() {
	loaded_with mode=0640
	is 640 "$(stat -c %a $device)"
	reads $parameters/mode 0640
	shows mode 0640
	ctl 0 unload
	loaded_with mode=777
	is 777 "$(stat -c %a $device)"
	reads $parameters/mode 0777
	ctl 0 unload
}

a_bad_mode_is_refused() {
	local mode
	for mode in 0 0999 01777 -1 rw-r--r-- ''; do
		ctl 1 load --module "$module" "mode=$mode"
		says "refused 'mode=$mode'"
		not_inserted
	done
}

limit_sets_what_objects_may_hold() {
	loaded_with limit=64M
	reads $parameters/limit 67108864
	shows limit 67108864
	ctl 0 unload
	loaded_with limit=0
	reads $parameters/limit 0
	ctl 0 unload
}

a_bad_limit_is_refused() {
	local limit
	for limit in junk -1 64Q 64M4 17179869184G ''; do
		ctl 1 load --module "$module" "limit=$limit"
		says "refused 'limit=$limit'"
		not_inserted
	done
}

the_default_limit_is_half_of_ram() {
	local kib half
	read -r _ kib _ <<<"$(grep MemTotal: /proc/meminfo)"
	half=$((kib * 1024 / page / 2))
	loaded_with
	reads $parameters/limit "$((half * page))"
	ctl 0 unload
}

limit_is_where_writing_ends() {
	loaded_with limit=1M
	out=$(LC_ALL=C dd if=/dev/zero of=$device bs=64k count=17 2>&1) &&
		fail "wrote more than the limit"
	says "No space left on device"
	says "16+0 records out"
	shows used 0
	ctl 0 unload
}

limit_changes_at_run_time_and_mode_does_not() {
	loaded_with limit=64M
	echo 16M >$parameters/limit
	shows limit 16777216
	(echo junk >$parameters/limit) 2>/dev/null && fail "took junk"
	reads $parameters/limit 16777216
	is "644 444" "$(stat -c %a $parameters/limit $parameters/mode | xargs)"
	ctl 0 unload
}

an_unknown_parameter_is_refused() {
	ctl 1 load --module "$module" limits=64M
	says "mmapdev has no parameter 'limits'"
	not_inserted
	ctl 1 load --module "$module" limit=64M mod=0600
	says "mmapdev has no parameter 'mod'"
	not_inserted
}

wrong_usage_is_status_2() {
	each_is_wrong_usage <<-END

		bogus
		--bogus
		load --bogus
		load --module
		load limit
		load =64M
		load -- --module
		unload mmapdev
		unload --force
		status --xml
		status one two
		create
		create one two
		create a/b
		create ..
		create a23456789b23456789c23456789d23456
		create db --size
		create db --size 5Q
		create db --size 5KB
		create db --size -1
		create db --mode 0
		create db --mode 1000
		create db --mode rw
		create db --owner :
		create db --owner root:
		remove
		remove one two
		resize db
		resize db K
		list db
		serve db
		serve --path p
		serve one two --path p
		serve db --path p --
	END
	ctl 2 load --module "$module" "limit=1M bogus=1"
	not_loaded
}

help_and_version_are_status_0() {
	ctl 0 --help
	says "usage: mmapdevctl load [--module FILE] [PARAM=VALUE...]"
	ctl 0 help
	says "mmapdevctl status [--json]"
	says "mmapdevctl serve NAME --path PATH [--bind]"
	ctl 0 serve --help
	says "usage: mmapdevctl serve NAME --path PATH [--bind]"
	says "  --read-only "
	ctl 0 --version
	is "mmapdevctl $(modinfo -F version "$module")" "$out"
}

a_file_that_is_not_the_module_is_refused() {
	ctl 1 load --module "$tmp/none.ko"
	says "$tmp/none.ko: No such file or directory"
	ctl 1 load --module "$tmp"
	says "$tmp is not a file"
	mkdir "$tmp/text" "$tmp/other"
	echo text >"$tmp/text/mmapdev.ko"
	ctl 1 load --module "$tmp/text/mmapdev.ko"
	says "is not a kernel module"
	sed 's/name=mmapdev/name=mmapxyz/' "$module" >"$tmp/other/mmapdev.ko"
	ctl 1 load --module "$tmp/other/mmapdev.ko"
	says "is another module, 'mmapxyz'"
	not_loaded
}

a_module_for_another_kernel_is_refused() {
	sed 's/vermagic=[0-9]\([^ ]*\) SMP/vermagic=0\1 UMP/' "$module" \
		>"$tmp/foreign.ko"
	cmp -s "$module" "$tmp/foreign.ko" && fail "vermagic is unchanged"
	ctl 1 load --module "$tmp/foreign.ko"
	says "is built for another kernel ('0"
	says "this is $(uname -r)"
	not_loaded
}

only_root_may_load_and_unload() {
	ctl_by as_nobody 1 load --module "$module"
	says "only root may load modules"
	not_loaded
	loaded_with
	ctl_by as_nobody 1 unload
	says "only root may unload modules"
	ctl_by as_nobody 0 status
	says "cannot open: Permission denied"
	ctl 0 unload
}

load_without_a_file_takes_the_installed_module() {
	installed='' ctl_by with_installed 1 load
	says "no mmapdev is installed for kernel $(uname -r)"
	installed=$module ctl_by with_installed 1 load bogus=1
	says "mmapdev has no parameter 'bogus'"
	not_inserted
	installed=$module ctl_by with_installed 0 load mode=0640
	is "" "$out"
	shows limit 33554432 mode 0640
	ctl 0 unload
}

a_file_in_the_way_of_the_device_is_reported() {
	echo text >$device
	ctl 1 load --module "$module"
	says "$device is in the way"
	is text "$(cat $device)"
	rm $device
	not_loaded
	loaded_with
	ctl 0 unload
}

status_counts_objects_pages_and_events() {
	loaded_with
	exec 8<>$device 9<>$device
	dd if=/dev/zero bs="$page" count=3 status=none >&9
	shows objects 2 pages 3 pages_allocated 3 pages_freed 0 \
		used "$((3 * page))"
	exec 8>&- 9>&-
	shows objects 0 pages 0 pages_allocated 3 pages_freed 3 used 0 \
		abi_version 1 features "anonymous names files durable inject" page_size "$page"
	ctl 0 unload
}

status_speaks_json() {
	ctl 3 status --json
	is '{"loaded": false}' "$out"
	loaded_with limit=64M
	ctl 0 status --json
	says '{"loaded": true, "version": "'
	says '"parameters": {"limit": 67108864, "mode": "0600"'
	says '"objects": 0, "opens": 0, "pages": 0,'
	says '"device": {"path": "/dev/mmapdev", "abi_version": 1, '
	says '"limit": 67108864, "used": 0}}'
	ctl 0 unload
}

create_makes_an_object_that_all_opens_share_and_remove_ends_it() {
	local bytes=''
	loaded_with
	ctl 0 create db --size 64K
	is "" "$out"
	is "character special file 600 0:0" "$(stat -c '%F %a %u:%g' $device-db)"
	lists "db 65536 0 anonymous none 0600 root:root -"
	printf hello 1<>$device-db
	read -r -N 5 bytes <$device-db
	is hello "$bytes"
	lists "db 65536 $page anonymous none 0600 root:root -"
	ctl 0 remove db
	is "" "$out"
	[ ! -e $device-db ] || fail "the node is left"
	lists
	shows named_objects 0 objects 0 pages 0
	ctl 0 unload
}

create_sets_mode_and_owner() {
	loaded_with
	ctl 0 create a --mode 0640 --owner nobody:65533
	ctl 0 create b --mode 7 --owner 65534
	ctl 0 create c --owner :nogroup --size 3
	is "640 65534:65533 7 65534:0 600 0:65534" \
		"$(stat -c '%a %u:%g' $device-{a,b,c} | xargs)"
	lists "a 0 0 anonymous none 0640 nobody:65533 -" \
		"b 0 0 anonymous none 0007 nobody:root -" \
		"c 3 0 anonymous none 0600 root:nogroup -"
	shows named_objects 3
	ctl 0 unload
}

create_refuses_what_cannot_be() {
	loaded_with mode=0666
	ctl 0 create db --mode 0666
	ctl 1 create db
	is "mmapdevctl: the name 'db' is taken" "$out"
	ctl 1 create log --owner nosuchuser
	is "mmapdevctl: no user is called 'nosuchuser'" "$out"
	ctl 1 create log --owner root:nosuchgroup
	is "mmapdevctl: no group is called 'nosuchgroup'" "$out"
	ctl 1 create log --size 8388608T
	says "cannot size 'log': more than an object"
	ctl_by as_nobody 1 create log
	says "not permitted to make nodes (CAP_MKNOD)"
	ctl_by as_nobody 1 remove db
	says "not permitted to remove nodes of /dev (CAP_MKNOD)"
	ctl_by as_nobody 0 resize db 1M
	ctl_by as_nobody 0 list
	lists "db 1048576 0 anonymous none 0666 root:root -"
	shows objects 1
	ctl 0 unload
}

a_file_in_the_way_of_a_name_is_reported() {
	loaded_with
	echo text >$device-db
	ctl 1 create db
	says "$device-db is in the way"
	ctl 1 remove db
	is "mmapdevctl: $device-db is not a device of mmapdev" "$out"
	is text "$(cat $device-db)"
	rm $device-db
	ctl 1 remove db
	says "no object has the name 'db'"
	ctl 0 create db
	ctl 0 unload
}

resize_sets_the_end() {
	local word bytes
	loaded_with
	ctl 0 create db
	while read -r word bytes; do
		ctl 0 resize db "$word"
		reads /sys/class/mmapdev/db/size "$bytes"
	done <<-END
		5 5
		3K 3072
		2m 2097152
		7G 7516192768
		8388607T 9223370937343148032
		0 0
	END
	for word in 8388608T 16777217T 99999999999999999999 1844674407370955162K; do
		ctl 1 resize db $word
		says "more than an object"
		reads /sys/class/mmapdev/db/size 0
	done
	ctl 1 resize log 5
	says "no object has the name 'log'"
	ctl 0 unload
}

objects_are_there_from_the_start() {
	loaded_with objects=log:1G,db:64M mode=0640
	lists "db 67108864 0 anonymous none 0640 root:root -" \
		"log 1073741824 0 anonymous none 0640 root:root -"
	is "640 640" "$(stat -c %a $device-db $device-log | xargs)"
	ctl 0 remove log
	ctl 0 unload
	[ ! -e $device-db ] || fail "a node is left"
}

bad_objects_are_refused() {
	local objects
	for objects in db db: :1K db:junk a/b:1K db:1K,db:2K db:1K,log \
		db:9223372036854775807; do
		ctl 1 load --module "$module" "objects=$objects"
		says "refused 'objects=$objects'"
		not_inserted
	done
}

without_the_module_its_objects_are_status_3() {
	local words
	while read -r words; do
		# shellcheck disable=SC2086 # words are words
		ctl 3 $words
		is "mmapdevctl: mmapdev is not loaded" "$out"
	done <<-END
		create db
		remove db
		resize db 1
		list
		serve db --path $tmp/path
	END
}

### Run them, in the order of this file.

if [ -d "$parameters" ]; then
	out=$("$tool" unload 2>&1) || {
		found=()
		trap 'rm -r "$tmp"' EXIT
		echo "1..0"
		echo "Bail out! cannot unload the module: $out"
		exit 1
	}
fi
clear_up() {
	exec 8>&- 9>&-
	[ ! -d "$parameters" ] || "$tool" unload
}

run_claims
