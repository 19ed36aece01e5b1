#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# mmapdevctl for durable objects: create, map, watch, unsynced, crash, and rules
# that make errors.
#
#   MMAPDEVCTL  the tool (default ../build/userspace/mmapdevctl)
#
# Needs the module loaded; leaves no object behind.
#
# Starting a process takes a tenth of a second and more under emulation, so that
# what bash can do by itself it does.

. "$(dirname "$0")/ctl.sh"

[ -c /dev/mmapdev ] || skip_all "no /dev/mmapdev: load the module"
page=$(getconf PAGESIZE)
[ "$page" = 4096 ] || skip_all "offsets here are of pages of 4096 bytes"

for built in "$here" "$here/../build/selftests"; do
	[ ! -x "$built/poke" ] || break
done

name=selftest-$$
node=/dev/mmapdev-$name
attributes=/sys/class/mmapdev/$name
cd "$tmp" || exit 1

clear_up() {
	wait
	exec 9>&-
	rm -f "$tmp"/store*
	[ ! -e "$node" ] || "$tool" remove "$name"
}

### Expectations of its own.

# holds TEXT OFFSET [FILE]: the bytes from there on are these
holds() {
	is "$1" "$("$built/peek" "${3:-$node}" "$2" ${#1})"
}

# poke OFFSET TEXT [sync]...: stores through a mapping
poke() {
	"$built/poke" "$node" "$@" || fail "poke $*: status $?"
}

# prints LINE...: the output is these, but for the spaces that align words
prints() {
	local wanted words said=
	printf -v wanted '%s\n' "$@"
	while read -r -a words; do
		said+="${words[*]}"$'\n'
	done <<<"$out"
	is "$wanted" "$said"
}

# prints_rows N: a heading and N rows
prints_rows() {
	local rows
	mapfile -t rows <<<"$out"
	is "$1" $((${#rows[@]} - 1))
}

# only PATTERN: leave only those lines of the output that begin with one
only() {
	local line left=
	while IFS= read -r line; do
		[[ ! $line =~ ^($1) ]] || left+=$line$'\n'
	done <<<"$out"
	out=${left%$'\n'}
}

# tells VALUE ATTRIBUTE: in sysfs
tells() {
	local value
	read -r value <"$attributes/$2"
	is "$1" "$value"
}

# row_count N REGEX: N rows of the map match it
row_count() {
	local line count=0
	while read -r line; do
		[[ ! $line =~ ^(0x[0-9a-f]+|0)\ $2$ ]] || ((count++))
	done <<<"$out"
	is "$1" $count
}

# cells CELLS: the map's rows have these, one after the other
cells() {
	local line found=
	ctl 0 map "$name"
	while read -r line; do
		[[ ! $line =~ ^(0x[0-9a-f]+|0)\ (.*)$ ]] ||
			found+=${BASH_REMATCH[2]}
	done <<<"$out"
	is "$1" "$found"
}

# sync_fails ERROR: fsync(2) of the object tells it
sync_fails() {
	out=$(sync "$node" 2>&1) && fail "sync succeeds"
	says "$1"
}

# drop_clean: its clean pages leave the memory, and nothing else does
drop_clean() {
	dd if="$node" iflag=nocache count=0 status=none
}

# on_terminal COLUMNS COMMAND: what it prints there, with escapes as ^[
on_terminal() {
	out=$(TERM=xterm script -qec "stty cols $1 rows 24; $2" /dev/null <>never)
	out=${out//$'\r'/}
	out=${out//$'\e'/^[}
}

### Claims. Each begins and ends without an object.

power_cut_leaves_what_msync_promised() {
	ctl 0 create "$name" --store memory --size 64K
	is "" "$out"
	tells durable kind
	tells memory store
	poke 12288 kept sync 40960 lost 45056 lost
	ctl 0 crash "$name"
	is "2 pages lost" "$out"
	holds kept 12288
	holds 0000 40960
	poke 40960 lost
	ctl 0 crash "$name"
	is "1 page lost" "$out"
	ctl 0 crash "$name"
	is "0 pages lost" "$out"
	ctl 0 remove "$name"
}

power_cut_takes_back_a_size_that_was_not_synced() {
	ctl 0 create "$name" --store memory --size 8K
	ctl 0 resize "$name" 64K
	ctl 0 unsynced "$name"
	prints "OFFSET BYTES WHY SINCE" "not durable: 0 bytes in 0 pages" \
		"not durable: the size, 65536; a power cut would leave 8192"
	ctl 0 crash "$name"
	is "0 pages lost
the size is 8192, and was 65536" "$out"
	ctl 0 resize "$name" 64K
	sync "$node"
	ctl 0 crash "$name"
	is "0 pages lost" "$out"
	tells 65536 size
	ctl 0 remove "$name"
}

power_cut_kills_open_files_unless_reverted() {
	ctl 0 create "$name" --store memory --size 8K
	poke 0 old sync 0 new
	exec 9<>"$node"
	ctl 0 crash "$name" --revert
	is "1 page lost" "$out"
	read -r -n 3 -u 9 out
	is old "$out"
	poke 0 new
	ctl 0 crash "$name"
	out=$(head -c 3 2>&1 <&9) && fail "a dead file can be read"
	says "Input/output error"
	holds old 0
	exec 9>&-
	ctl 0 remove "$name"
}

what_has_no_store_cannot_lose_power() {
	ctl 0 create "$name" --store none --size 4K
	ctl 1 crash "$name"
	is "mmapdevctl: '$name' is anonymous: it has no store that could survive" \
		"$out"
	ctl 1 unsynced "$name"
	is "mmapdevctl: '$name' is anonymous: it has no store, and nothing of it is durable" \
		"$out"
	ctl 0 remove "$name"
	ctl 1 map "$name"
	says "no object has the name '$name'"
	ctl 1 inject "$name" flush eio
	says "no object has the name '$name'"
}

map_shows_the_state_of_each_page() {
	local id
	ctl 0 create "$name" --store memory --size 64K
	poke 8192 a sync
	drop_clean
	poke 12288 b sync
	ctl 0 inject "$name" flush eio
	id=$out
	poke 20480 c
	sync_fails "Input/output error"
	ctl 0 uninject "$name" "$id"
	poke 28672 d
	ctl 0 map "$name"
	is "$name: size 65536, store: memory; a cell is 1 page of 4096 bytes
0 ..sc.w.d........
. hole 12  s stored 1  c clean 1  w written 1  W writing 0  d dirty 1" "$out"
	sync "$node"
	cells "..sc.c.c........"
	ctl 0 remove "$name"
}

map_shows_a_page_on_its_way_to_the_store() {
	local i
	ctl 0 create "$name" --store memory --size 16K
	ctl 0 inject "$name" writeback delay=1000000
	poke 4096 x
	sync "$node" &
	for ((i = 0; i < 100; i++)); do
		ctl 0 map "$name"
		[[ $out != *"writing 1"* ]] || break
	done
	says "0 .W.."
	wait
	cells ".c.."
	ctl 0 remove "$name"
}

map_of_an_anonymous_object_has_pages_and_holes() {
	ctl 0 create "$name" --size 5000
	ctl 0 map "$name"
	is "$name: size 5000, no store; a cell is 1 page of 4096 bytes
0 ..
. hole 2  c page 0" "$out"
	poke 4096 x
	cells .c
	ctl 0 remove "$name"
	ctl 0 create "$name"
	ctl 0 map "$name"
	is "$name: size 0, no store; a cell is 1 page of 4096 bytes
. hole 0  c page 0" "$out"
	ctl 0 remove "$name"
}

map_has_rows_as_wide_as_asked() {
	ctl 0 create "$name" --store memory --size 96K
	poke 40960 x
	ctl 0 map "$name" --width 10
	is "$name: size 98304, store: memory; a cell is 1 page of 4096 bytes
      0 ..........
 0xa000 d.........
0x14000 ....
. hole 23  s stored 0  c clean 0  w written 0  W writing 0  d dirty 1" "$out"
	ctl 0 remove "$name"
}

map_shows_the_most_urgent_state_of_a_cell() {
	ctl 0 create "$name" --store memory --size 1T
	# Beside each other, so in one cell; and one at the end.
	poke 0 a sync 4096 b 1099511619584 c sync
	ctl 0 map "$name" --width 64
	says "a cell is 262144 pages of 4096 bytes"
	row_count 16 '[.cd]{64}'
	row_count 1 'd[.]{63}'
	row_count 1 '[.]{63}c'
	says ". hole 268435453  s stored 0  c clean 2  w written 0  W writing 0  d dirty 1"
	ctl 0 remove "$name"
}

map_of_an_object_without_an_end_is_of_its_pages() {
	ctl 0 create "$name" --size 9223372036854771712
	ctl 0 map "$name"
	is "$name: no end, no store; a cell is 1 page of 4096 bytes
. hole 0  c page 0" "$out"
	poke 8192 x
	cells ..c
	poke 4503599627370496 x	# 4 PiB
	ctl 0 map "$name"
	says ". hole 1099511627775  c page 2"
	ctl 0 remove "$name"
}

map_of_a_file_store_shows_all_of_it() {
	truncate -s 100000 store
	ctl 0 create "$name" --store file:store
	cells sssssssssssssssssssssssss
	is 100000 "$(wc -c <"$node")"
	cells ccccccccccccccccccccccccc
	drop_clean
	poke 4096 x
	cells sdsssssssssssssssssssssss
	ctl 0 remove "$name"
	truncate -s 1T store
	ctl 0 create "$name" --store file:store
	poke 8589934592 x
	# What was only read is found though the whole file is data.
	dd if="$node" of=/dev/null bs=4096 skip=1000000 count=1 2>/dev/null
	ctl 0 map "$name"
	says ". hole 0  s stored 268435454  c clean 1  w written 0  W writing 0  d dirty 1"
	ctl 0 remove "$name"
}

map_is_coloured_on_a_terminal_only() {
	ctl 0 create "$name" --store memory --size 16K
	poke 4096 x
	on_terminal 80 "LC_ALL=C.UTF-8 $tool map $name
		LC_ALL=C.UTF-8 NO_COLOR=1 $tool map $name
		LC_ALL=C TERM=dumb $tool map $name"
	only '0 '
	is '0 ^[[0;2m·^[[0;31m█^[[0;2m··^[[0m
0 ·█··
0 .d..' "$out"
	ctl 0 remove "$name"
}

map_fits_the_terminal() {
	local columns rows row
	ctl 0 create "$name" --store memory --size 1G
	for columns in 40 200; do
		on_terminal $columns "LC_ALL=C NO_COLOR=1 $tool map $name"
		mapfile -t rows <<<"$out"
		[ ${#rows[@]} -lt 24 ] || fail "too long: $out"
		is 0 "${rows[1]//[ .]/}"
		for row in "${rows[@]:1:${#rows[@]}-2}"; do
			[ ${#row} -le $columns ] ||
				fail "too wide for $columns: $out"
		done
	done
	ctl 0 remove "$name"
}

unsynced_joins_adjacent_pages_of_one_kind() {
	local id
	ctl 0 create "$name" --store memory --size 64K
	ctl 0 unsynced "$name"
	prints "OFFSET BYTES WHY SINCE" "not durable: 0 bytes in 0 pages"
	poke 53248 gone sync
	ctl 0 inject "$name" flush eio
	id=$out
	head -c 12288 /dev/zero 1<>"$node"
	sync_fails "Input/output error"
	ctl 0 uninject "$name" "$id"
	poke 12288 x 20480 y
	ctl 0 resize "$name" 32K
	ctl 0 unsynced "$name"
	out=${out//[0-9].[0-9]s/AGE}
	prints "OFFSET BYTES WHY SINCE" \
		"0 12288 written AGE" \
		"12288 4096 dirty AGE" \
		"20480 4096 dirty AGE" \
		"53248 4096 hole -" \
		"not durable: 24576 bytes in 6 pages" \
		"not durable: the size, 32768; a power cut would leave 65536"
	sync "$node"
	ctl 0 unsynced "$name"
	prints "OFFSET BYTES WHY SINCE" "not durable: 0 bytes in 0 pages"
	ctl 0 remove "$name"
}

# The tool asks for 512 at a time.
unsynced_tells_of_any_number_of_pages() {
	local pages
	ctl 0 create "$name" --store memory --size 0
	for pages in 512 513 1024; do
		head -c $((pages * 4096)) /dev/zero >"$node"
		ctl 0 unsynced "$name"
		says "not durable: $((pages * 4096)) bytes in $pages pages"
		sync "$node"
		ctl 0 resize "$name" 0
		ctl 0 unsynced "$name"
		prints "OFFSET BYTES WHY SINCE" "0 $((pages * 4096)) hole -" \
			"not durable: $((pages * 4096)) bytes in $pages pages" \
			"not durable: the size, 0; a power cut would leave $((pages * 4096))"
		sync "$node"
	done
	ctl 0 remove "$name"
}

unsynced_tells_since_when() {
	local age row
	ctl 0 create "$name" --store memory --size 64K
	poke 0 x
	sleep 1.2
	poke 4096 y
	ctl 0 unsynced "$name"
	# Ages that differ by a second are not joined.
	age=()
	while read -r row; do
		[[ ! $row =~ dirty\ +([0-9]+)\.([0-9])s$ ]] ||
			age+=("${BASH_REMATCH[1]}${BASH_REMATCH[2]}")
	done <<<"$out"
	is 2 ${#age[@]}
	((10#${age[0]} >= 12 && 10#${age[0]} < 80 &&
	  10#${age[1]} < 10#${age[0]} - 9)) || fail "ages: $out"
	ctl 0 remove "$name"
}

watch_shows_map_and_rates_again_and_again() {
	ctl 0 create "$name" --store memory --size 16K
	poke 4096 x sync
	ctl 0 watch "$name" --count 2 --interval 0.1
	is "$name: size 16384, store: memory; a cell is 1 page of 4096 bytes
0 .c..
. hole 3  s stored 0  c clean 1  w written 0  W writing 0  d dirty 0
faults 1  mkwrites 1  writebacks 1  flushes 1

$name: size 16384, store: memory; a cell is 1 page of 4096 bytes
0 .c..
. hole 3  s stored 0  c clean 1  w written 0  W writing 0  d dirty 0
faults 1 (0/s)  mkwrites 1 (0/s)  writebacks 1 (0/s)  flushes 1 (0/s)" "$out"
	ctl 0 remove "$name"
}

watch_goes_on_over_a_power_cut_until_a_signal() {
	local status=0 watching
	ctl 0 create "$name" --store memory --size 16K
	poke 4096 x
	"$tool" watch "$name" --interval 0.05 >"$tmp/watched" &
	watching=$!
	sleep 0.3
	ctl 0 crash "$name"
	sleep 0.5
	kill -TERM $watching
	wait $watching || status=$?
	is 0 $status
	is "0 .d.. 0 ...." "$(grep ^0 "$tmp/watched" | uniq | xargs)"
	ctl 0 remove "$name"
}

full_disk_is_sigbus_for_the_store_that_meets_it() {
	local status=0
	ctl 0 create "$name" --store memory --size 64K
	ctl 0 inject "$name" mkwrite enospc --skip 1 --count 1 --offset 4K \
		--length 8K
	is 1 "$out"
	poke 0 a 4096 b
	"$built/poke" "$node" 8192 c || status=$?
	is 135 $status	# 128 + SIGBUS
	poke 8192 c 12288 d
	ctl 0 rules "$name"
	prints "ID EVENT ACTION OFFSET LENGTH SKIP COUNT CHANCE SEED PID MATCHES HITS" \
		"1 mkwrite enospc 4096 8192 1 1 1 0 - 3 1"
	ctl 0 uninject "$name" 1
	ctl 0 rules "$name"
	prints_rows 0
	ctl 0 remove "$name"
} 2>/dev/null	# where the shell tells of the signal

failed_writeback_leaves_the_page_as_was_chosen() {
	local how
	for how in clean dirty revert; do
		ctl 0 create "$name" --store memory --size 4K --after-error $how
		poke 0 old sync 0 new
		ctl 0 inject "$name" writeback eio --count 1
		sync_fails "Input/output error"
		case $how in
		revert) holds old 0 ;;
		*) holds new 0 ;;
		esac
		sync "$node" || fail "$how: told twice"
		ctl 0 crash "$name"
		case $how in
		dirty) holds new 0 ;;
		*) holds old 0 ;;
		esac
		ctl 0 remove "$name"
	done
}

failed_flush_makes_nothing_durable() {
	ctl 0 create "$name" --store memory --size 4K
	poke 0 lost
	ctl 0 inject "$name" flush enospc
	sync_fails "No space left on device"
	ctl 0 crash "$name"
	is "1 page lost" "$out"
	holds 0000 0
	ctl 0 remove "$name"
}

delay_takes_as_long_as_asked() {
	local begin ms
	ctl 0 create "$name" --store memory --size 4K
	poke 0 x
	ctl 0 inject "$name" flush delay=300000
	begin=${EPOCHREALTIME/[.,]/}
	sync "$node"
	ms=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
	[ "$ms" -ge 300 ] || fail "$ms ms"
	ctl 0 remove "$name"
}

rule_for_one_process_leaves_others_alone() {
	ctl 0 create "$name" --store memory --size 4K
	ctl 0 inject "$name" allocate enospc --pid $$
	poke 0 x
	ctl 0 resize "$name" 0
	(echo x >"$node") || fail "a child is not the process"
	ctl 0 resize "$name" 0
	echo x 2>"$tmp/said" >"$node" && fail "the process is not hit"
	out=$(cat "$tmp/said")
	says "No space left on device"
	ctl 0 rules "$name"
	says " $$ "
	ctl 0 remove "$name"
}

rules_are_listed_as_they_were_given() {
	ctl 0 create "$name" --store memory --size 4K
	ctl 0 inject "$name" fault-read sigbus
	ctl 0 inject "$name" fault-write hwpoison --length 1M
	ctl 0 inject "$name" allocate enomem --probability 0.25 --seed 0x10
	ctl 0 inject "$name" mkwrite delay=10 --count 3
	ctl 0 uninject "$name" 2
	ctl 0 inject "$name" writeback eio --skip 7
	is 5 "$out"
	ctl 0 rules "$name"
	prints "ID EVENT ACTION OFFSET LENGTH SKIP COUNT CHANCE SEED PID MATCHES HITS" \
		"1 fault-read sigbus 0 - 0 - 1 0 - 0 0" \
		"3 allocate enomem 0 - 0 - 0.25 16 - 0 0" \
		"4 mkwrite delay=10 0 - 0 3 1 0 - 0 0" \
		"5 writeback eio 0 - 7 - 1 0 - 0 0"
	ctl 1 uninject "$name" 2
	says "'$name' has no rule 2; 'mmapdevctl rules' shows them"
	ctl 0 uninject "$name" all
	ctl 0 rules "$name"
	prints_rows 0
	# The most and the least that are allowed.
	ctl 0 inject "$name" flush delay=10000000 --probability 1
	ctl 0 inject "$name" flush eio --probability 0.000001 --skip 0 --count 1
	ctl 0 rules "$name"
	prints_rows 2
	ctl 0 remove "$name"
}

rules_that_make_no_sense_are_refused() {
	ctl 0 create "$name" --store memory --size 4K
	ctl 1 inject "$name" flush sigbus
	is "mmapdevctl: no sigbus for flush: only for fault-read, fault-write and mkwrite" \
		"$out"
	ctl 1 inject "$name" flush eio --pid 2147483647
	is "mmapdevctl: there is no process 2147483647" "$out"
	ctl 0 rules "$name"
	prints_rows 0
	ctl 0 remove "$name"
}

file_has_what_was_synced_and_all_when_the_object_goes() {
	printf 'from the file' >store
	ctl 0 create "$name" --store file:store
	tells durable kind
	tells file store
	tells 13 size
	holds "from the file" 0
	poke 0 into sync
	holds "into the file" 0 store
	poke 5 THE
	holds "into THE file" 0
	holds "into the file" 0 store
	ctl 0 remove "$name"
	holds "into THE file" 0 store
}

what_cannot_be_a_store_is_refused() {
	mkfifo store-fifo
	ctl 1 create "$name" --store file:store-none
	is "mmapdevctl: cannot open store-none: No such file or directory" "$out"
	ctl 1 create "$name" --store "file:$tmp"
	says "cannot open $tmp: Is a directory"
	ctl 1 create "$name" --store file:store-fifo
	is "mmapdevctl: the store is neither a regular file nor a block device" \
		"$out"
	ctl 0 create "$name" --size 4K
	ctl 1 create "$name-2" --store "file:$node"
	is "mmapdevctl: an object cannot be the store of another" "$out"
	ctl 1 create "$name" --store memory
	is "mmapdevctl: the name '$name' is taken" "$out"
	ctl 1 create "$name-2" --store memory --size 9000000000G
	says "cannot size '$name-2': more than"
	ctl 0 remove "$name"
}

list_and_status_tell_what_is_durable() {
	ctl 0 create "$name" --store memory --size 8K
	ctl 0 resize "$name" 12K
	poke 0 x sync
	ctl 0 list
	only "NAME|$name "
	prints "NAME SIZE RESIDENT KIND STORE MODE OWNER DURABLE" \
		"$name 12288 4096 durable memory 0600 root:root 8192"
	ctl_by as_nobody 0 list
	only "$name "
	prints "$name 12288 4096 durable memory 0600 root:root -"
	ctl 0 status "$name"
	only "object| +(object|kind|store|size|durable_size|resident) |stats| +(mkwrites|writebacks|flushes) "
	prints object "object $(<"$attributes/object")" "kind durable" \
		"store memory" "size 12288" "durable_size 8192" "resident 4096" \
		stats "flushes 1" "mkwrites 1" "writebacks 1"
	ctl 0 status --json "$name"
	says "\"kind\": \"durable\", \"store\": \"memory\", \"size\": 12288, \"durable_size\": 8192"
	ctl 0 remove "$name"
	ctl 1 status "$name"
	says "no object has the name '$name'"
	ctl 0 create "$name" --size 8K
	ctl 0 list
	only "$name "
	prints "$name 8192 0 anonymous none 0600 root:root -"
	ctl 0 remove "$name"
}

wrong_usage_is_status_2() {
	each_is_wrong_usage <<-END
		create db --store disk
		create db --store file:store --size 4K
		create db --store memory --after-error retry
		crash
		crash db --hard
		map
		watch db --interval 0
		unsynced db --all
		inject db flush
		inject db sync eio
		inject db flush delay=10000001
		inject db flush eio --probability 0
		inject db flush eio --probability 0.0000001
		inject db flush eio --count 0
		rules
		uninject db 0
	END
}

### Run them, in the order of this file.

mkfifo never
run_claims
