#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# stress-ng: its stressors of mappings, with all that they can verify.
#
# Only dev takes the name of what to stress. The others map files that they make
# (mmap, msync, madvise) or anonymous memory (mmap, mremap, mmapfork): objects.c
# gives them objects for these.
# needs: stress-ng
# way: none

. "$(dirname "$0")/lib.sh"

# stress SECONDS OPTION...: all stressors asked for, at once, run to their ends;
# each has done something, and none has found anything
stress() {
	local out stressor operations
	# It would poison pages (MADV_HWPOISON), and at times die of that.
	out=$(setpriv --bounding-set=-sys_admin stress-ng --timeout "$@" \
		--temp-path "$dir" --verify --metrics-brief 2>&1) || die "$out"
	grep -q 'successful run completed' <<<"$out" || die "$out"
	! grep -E 'fail:|error:|aborted|untrustworthy' <<<"$out" || die "$out"
	for stressor in $(printf '%s\n' "$@" | sed -n 's/^--\([a-z]*\)=1$/\1/p'); do
		operations=$(awk -v name="$stressor" '$2 == "metrc:" &&
			$4 == name && $5 > 0 { print $5; exit }' <<<"$out")
		[ -n "$operations" ] || die "no operations of $stressor: $out"
		log "$stressor: $operations operations"
		echo "$stressor: passes"
	done
}

# on_objects SECONDS OPTION...: the same, with objects for what they make
on_objects() {
	if [ -z "${OBJECT-}" ]; then
		stress "$@"
	else
		OBJECTS=$dir LD_PRELOAD=$BUILT/client_objects.so stress "$@"
	fi
}

# On tmpfs' side, the device that is memory.
if [ -n "${OBJECT-}" ]; then node=/dev/mmapdev-$OBJECT; else node=/dev/zero; fi

reached_device opens 0
if [ "${CLIENTS-}" != long ]; then
	# As many operations as are quickly done, in whatever time that takes.
	on_objects 240 --mmap=1 --mmap-ops=2 --mmap-bytes=2M --mmap-file \
		--msync=1 --msync-ops=200 --msync-bytes=1M \
		--madvise=1 --madvise-ops=2 \
		--mremap=1 --mremap-ops=2 --mremap-bytes=4M \
		--mmapfork=1 --mmapfork-ops=1
	reached_device opens 32
	reached_device fault_shared_write 500
	reached_device fault_cow_hole 1000
	stress 3 --dev=1 --dev-file="$node"
	reached_device opens 30
else
	on_objects 60 --mmap=1 --mmap-bytes=64M
	reached_device opens 1000
	on_objects 60 --mmap=1 --mmap-bytes=64M --mmap-file
	reached_device fault_shared_write 10000
	on_objects 60 --msync=1 --msync-bytes=16M
	reached_device fault_shared_write 4000
	on_objects 60 --madvise=1
	reached_device fault_shared_write 10000
	on_objects 60 --mremap=1 --mremap-bytes=64M
	reached_device fault_cow_hole 10000
	on_objects 60 --mmapfork=1
	reached_device pages_allocated 100000
	stress 60 --dev=1 --dev-file="$node"
	reached_device opens 1000
fi
