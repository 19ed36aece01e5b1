#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# LMDB: the file is a database (MDB_NOSUBDIR), written by write(2), or through a
# shared mapping (MDB_WRITEMAP); its lock file is on tmpfs.
# needs: mdb_dump
# way: link

. "$(dirname "$0")/lib.sh"

transactions=$(long_or 10000 250)

# dump DATABASE: all of it, but what only says how it was opened
dump() { mdb_dump -n -a "$1" | grep -vE 'mapsize|maxreaders' | sha256sum; }

for mode in default writemap; do
	echo "$mode:"
	truncate -s 0 "$file"
	"$BUILT/client_lmdb" "$file" $mode "$transactions"
	# A page that write(2) made is only mapped; one of WRITEMAP's own
	# making comes from a write through the mapping.
	if [ $mode = default ]; then
		reached pages_allocated fault_around/fault_shared_read
	else
		reached pages_allocated fault_shared_write
	fi
	mdb_stat -n -s table "$file" | grep Entries
	dump "$file"
	mdb_copy -n "$file" "$dir/copy"
	dump "$dir/copy"
	rm -f "$dir"/copy* "$file.copy"*
done
the_file_was_used
