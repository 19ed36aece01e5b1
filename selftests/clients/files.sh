#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# cp, dd, cmp, tail, sort, tee, sha256sum, truncate, fallocate: into the file,
# within it and out of it, with holes and past its end.
# needs: dd fallocate
# way: link

. "$(dirname "$0")/lib.sh"

text=$dir/text holes=$dir/holes out=$dir/out

# Bytes that are the same every time, with no two pages alike.
seq 1 "$(long_or 1000000 100000)" >"$text"
chmod 640 "$text"
touch -d '2020-02-02 02:02:02.123456789' "$text"
# Mostly holes, with an odd length.
dd if="$text" of="$holes" bs=4096 count=1 status=none
dd if="$text" of="$holes" bs=4096 skip=100 seek=100 count=3 conv=notrunc status=none
truncate -s 1000001 "$holes"

# same FILE NAME: the file is a copy of that one
same() {
	cmp "$1" "$file" || die "$file is not $1"
	outside "$2"
}

to_file() { dd of="$file" status=none "$@"; }

copied_in_and_out() {
	local how
	cp "$text" "$file"
	same "$text" "cp"
	for how in never auto; do
		cp --sparse=$how "$holes" "$file"
		same "$holes" "cp --sparse=$how"
	done
	cp --sparse=auto "$file" "$out"
	cmp "$holes" "$out"
	stat -c "out: %s bytes, %b blocks" "$out"
	refused cp --reflink=always "$text" "$file"
	cp --reflink=auto --preserve=mode,timestamps "$text" "$file"
	same "$text" "cp --reflink=auto"
	command stat -L -c 'mode and time: %a %y' "$file"
	cat "$holes" >>"$file"
	shown "cat >>"
	reached pages_allocated pages_freed
}

by_blocks() {
	local size
	to_file if="$text" bs=100000
	same "$text" "dd"
	for size in 777 10000 128K; do
		to_file if="$text" bs=$size seek=13 skip=1 count=3 conv=notrunc
	done
	shown "dd conv=notrunc"
	# Without notrunc the end is where seek is, and then where dd stops.
	to_file if="$text" bs=1000 seek=50 count=2
	outside "dd that truncates"
	to_file if="$text" bs=4096 seek=1000 count=1 conv=notrunc,fsync
	shown "dd past the end"
	to_file if="$holes" bs=8192 conv=sparse oflag=dsync
	same "$holes" "dd conv=sparse"
	to_file if="$text" bs=5000 oflag=append conv=notrunc count=3
	outside "dd oflag=append"
	dd if="$file" of="$out" bs=3000 skip=7 status=none
	cksum <"$out"
	refused dd if="$text" of="$file" conv=excl,notrunc count=1
	reached pages_allocated
}

by_size() {
	local size
	cp "$text" "$file"
	for size in 5000 1000000 4097 8M %3000; do
		truncate -s $size "$file"
		outside "truncate -s ${size#%}"
	done
	shown truncated
	: >"$file"
	outside emptied
	fallocate -l 100001 "$file"
	shown "fallocate"
	cp "$text" "$file"
	fallocate -n -o 1M -l 64K "$file"
	outside "fallocate beyond the end"
	fallocate -p -o 8192 -l 8192 "$file"
	fallocate -p -o 100 -l 10000 "$file"
	# This is one that tmpfs does not have.
	if [ -n "${OBJECT-}" ]; then
		fallocate -z -o 80000 -l 9000 "$file"
	else
		to_file if=/dev/zero bs=1000 count=9 seek=80 conv=notrunc
	fi
	shown "fallocate -p, -z"
	refused fallocate -c -o 4096 -l 4096 "$file"
	refused fallocate -i -o 4096 -l 4096 "$file"
	cp --sparse=never "$holes" "$file"
	fallocate --dig-holes "$file"
	same "$holes" "fallocate --dig-holes"
	reached pages_freed
}

looked_at() {
	cp "$text" "$file"
	tail -c 9000 "$file" | cksum
	head -c 5000 "$file" | cksum
	wc -c -l <"$file"
	grep -c 777 "$file"
	tac "$file" | cksum
	sha256sum <"$file"
	to_file if=/dev/zero bs=1 seek=123456 count=1 conv=notrunc
	{ cmp "$text" "$file" || true; } | sed 's/.* differ/cmp: differ/'
	truncate -s 200000 "$file"
	refused cmp -s "$text" "$file"
	du -L --block-size=512 "$file" | cut -f 1
	sort -n -o "$file" "$text"
	same "$text" "sort -o"
	tee "$file" <"$holes" | cksum
	same "$holes" "tee"
	reached pages_allocated pages_freed
}

for ((round = 0; round < $(long_or 8 1); round++)); do
	for step in copied_in_and_out by_blocks by_size looked_at; do
		# Not by a pipe: reached remembers.
		$step >"$dir/results"
		if [ $round = 0 ]; then
			tee "$dir/$step" <"$dir/results"
		else
			diff "$dir/$step" "$dir/results"
		fi
	done
done
the_file_was_used
