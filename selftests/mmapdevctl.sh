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

set -u
here=$(cd "$(dirname "$0")" && pwd)
tool=${MMAPDEVCTL:-$here/../build/userspace/mmapdevctl}
module=${MMAPDEV_KO:-}
parameters=/sys/module/mmapdev/parameters
device=/dev/mmapdev
page=$(getconf PAGESIZE)

echo "TAP version 13"

skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -x "$tool" ] || skip_all "no $tool: run make -C userspace"
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

# Copies that an unprivileged user can reach.
tmp=$(mktemp -d)
chmod 755 "$tmp"
install -m 755 "$tool" "$tmp/mmapdevctl"
install -m 644 "$module" "$tmp/mmapdev.ko"
tool=$tmp/mmapdevctl
module=$tmp/mmapdev.ko

found=()
if [ -d "$parameters" ]; then
	found=("mode=$(cat $parameters/mode)" "limit=$(cat $parameters/limit)")
fi

leave_as_found() {
	[ ! -f $device ] || rm $device
	[ ! -d "$parameters" ] || "$tool" unload
	[ ${#found[@]} = 0 ] || "$tool" load --module "$module" "${found[@]}"
	rm -r "$tmp"
}
trap leave_as_found EXIT

### Expectations: each that fails says how, and fails the test.

fail() {
	failed=1
	printf '%s\n' "$*" | sed 's/^/# /'
}

# ctl STATUS ARGUMENTS...: run the tool; what it prints is in $out.
ctl() {
	local expected=$1 status=0
	shift
	out=$("$tool" "$@" 2>&1 </dev/null) || status=$?
	[ "$status" = "$expected" ] ||
		fail "mmapdevctl $*: status $status, not $expected: $out"
}

# ctl_by WRAPPER STATUS ARGUMENTS...: run it by a script of $tmp.
ctl_by() {
	local tool=$tmp/$1
	shift
	ctl "$@"
}

# A user without any privilege.
cat >"$tmp/as_nobody" <<END
#!/bin/sh
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$tool" "\$@"
END

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
chmod 755 "$tmp"/as_nobody "$tmp"/with_*

says() {
	case $out in
	*"$1"*) ;;
	*) fail "does not say '$1': $out" ;;
	esac
}

is() {
	[ "$2" = "$1" ] || fail "'$2', not '$1'"
}

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
	local line='' end pid
	loaded_with
	coproc holder { exec "$hold" 2>&1; }
	# shellcheck disable=SC2154 # coproc sets it
	pid=$holder_PID end=${holder[1]}
	read -r -t 20 line <&"${holder[0]}"
	is mapped "$line"
	ctl 1 unload
	says "in use"
	says "process $pid (hold_mapping)"
	exec {end}>&-
	wait "$pid"
	ctl 0 unload
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
	local words
	while read -r words; do
		# shellcheck disable=SC2086 # words are words
		ctl 2 $words
		says "Try 'mmapdevctl --help'"
	done <<-END

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
		status mmapdev
	END
	ctl 2 load --module "$module" "limit=1M bogus=1"
	not_loaded
}

help_and_version_are_status_0() {
	ctl 0 --help
	says "usage: mmapdevctl load [--module FILE] [PARAM=VALUE...]"
	ctl 0 help
	says "mmapdevctl status [--json]"
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
		abi_version 1 features anonymous page_size "$page"
	ctl 0 unload
}

status_speaks_json() {
	ctl 3 status --json
	is '{"loaded": false}' "$out"
	loaded_with limit=64M
	ctl 0 status --json
	says '{"loaded": true, "version": "'
	says '"parameters": {"limit": 67108864, "mode": "0600"}'
	says '"objects": 0, "opens": 0, "pages": 0,'
	says '"device": {"path": "/dev/mmapdev", "abi_version": 1, '
	says '"limit": 67108864, "used": 0}}'
	ctl 0 unload
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
mapfile -t claims < <(sed -n '/^### Claims/,/^### Run/s/^\([a-z_0-9]*\)() {$/\1/p' "$0")
echo "1..${#claims[@]}"
failures=0 number=0
for claim in "${claims[@]}"; do
	failed=0
	"$claim"
	number=$((number + 1))
	if [ $failed = 0 ]; then
		echo "ok $number $claim"
	else
		echo "not ok $number $claim"
		failures=$((failures + 1))
		exec 8>&- 9>&-
		[ ! -d "$parameters" ] || "$tool" unload
	fi
done
echo "# Totals: pass:$((number - failures)) fail:$failures xfail:0 xpass:0 skip:0 error:0"
[ $failures = 0 ]
