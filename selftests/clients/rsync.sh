#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# rsync: writes the file in place, by whole or by what changed, and reads it.
# (It needs a path of the file's own: in place of a symbolic link, rsync puts a
# new file, --inplace or not.)
# needs: rsync
# way: bind

. "$(dirname "$0")/lib.sh"

text=$dir/text

# sent OPTION...: the file becomes the text
sent() {
	rsync --inplace --ignore-times "$@" "$text" "$file"
	cmp "$text" "$file"
	shown "rsync $*"
}

for ((round = 0; round < $(long_or 8 1); round++)); do
	seq 1 "$(long_or 1000000 200000)" >"$text"
	sent --whole-file
	reached pages_allocated
	# What changes: bytes within, more at the end, holes, much less.
	dd if=/dev/zero of="$text" bs=1000 seek=300 count=5 conv=notrunc status=none
	sent --no-whole-file
	echo "and more" >>"$text"
	sent --append-verify
	fallocate -p -o 65536 -l 500000 "$text"
	chmod 600 "$text"
	touch -d '2021-01-01 01:01:01.5' "$text"
	sent --whole-file --sparse --perms --times
	stat -c 'mode and time: %a %Y' "$file"
	rsync --times --sparse "$file" "$dir/out"
	cmp "$file" "$dir/out"
	stat -c 'out: %s bytes, %b blocks, %Y' "$dir/out"
	rm "$dir/out"
	truncate -s 300000 "$text"
	sent --no-whole-file --preallocate
	reached pages_freed
done
the_file_was_used
