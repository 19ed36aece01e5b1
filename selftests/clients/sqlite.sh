#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# SQLite: the file is the main database, read through a shared mapping
# (mmap_size), with each kind of journal; journals are on tmpfs.
# needs: sqlite3
# way: bind

. "$(dirname "$0")/lib.sh"

rows=$(long_or 5000 200)

# sql JOURNAL: run what is on stdin, the whole file mapped
sql() {
	sqlite3 -bail -batch -cmd ".timeout 60000" -cmd ".output /dev/null" \
		-cmd "PRAGMA mmap_size = 268435456" \
		-cmd "PRAGMA journal_mode = $1" -cmd ".output" "$file"
}

# judged JOURNAL [SQL]: after that, what is in it, and does SQLite find it sound?
judged() {
	local size mode check
	sql "$1" >"$dir/judged" <<-SQL
	${2-}
	PRAGMA mmap_size;
	PRAGMA journal_mode;
	PRAGMA integrity_check;
	.dump
	SQL
	{ read -r size && read -r mode && read -r check; } <"$dir/judged"
	[ "$size $mode $check" = "268435456 $1 ok" ] ||
		die "SQLite says: $size $mode $check"
	echo "$mode: $check"
	cksum <"$dir/judged"
}

filled() {
	cat <<-SQL
	CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, body BLOB);
	CREATE INDEX item_name ON item(name, id);
	CREATE TABLE log(id INTEGER PRIMARY KEY, item INTEGER, what TEXT);
	CREATE TRIGGER gone AFTER DELETE ON item BEGIN
		INSERT INTO log(item, what) VALUES(old.id, 'gone ' || old.name);
	END;
	BEGIN;
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
		WHERE i < $rows)
	INSERT INTO item SELECT i, printf('name %d', i * 7919 % 5003),
		CAST(printf('%.*c', i * 31 % 900, char(97 + i % 26)) AS BLOB)
		FROM n;
	COMMIT;
	SQL
}

changed() {
	cat <<-SQL
	BEGIN;
	UPDATE item SET body = zeroblob(length(body) * 3) WHERE id % 5 = 0;
	SAVEPOINT half;
	DELETE FROM item WHERE id % 2 = 0;
	ROLLBACK TO half;
	DELETE FROM item WHERE id % 3 = 0;
	COMMIT;
	BEGIN;
	UPDATE item SET name = 'never';
	DELETE FROM log;
	ROLLBACK;
	CREATE TABLE big AS SELECT a.id, a.body FROM item a, item b
		WHERE b.id < 20 AND a.id < 50;
	DROP TABLE big;
	REINDEX;
	SQL
}

# Killed in the middle of a transaction that has reached the file: the next one
# to come finds the journal and undoes it.
killed() {
	sql "$1" <<-SQL || true
	PRAGMA cache_size = 10;
	PRAGMA cache_spill = 10;
	BEGIN;
	UPDATE item SET name = 'half done', body = zeroblob(500);
	.system kill -KILL \$PPID
	SQL
}

# Two at once, each with transactions of its own.
together() {
	local begin pids=() pid
	for begin in 1000000 2000000; do
		for ((i = 0; i < $(long_or 200 10); i++)); do
			echo "BEGIN IMMEDIATE; INSERT INTO log VALUES($((begin + i)),
				1, 'together'); UPDATE item SET body = $i
				WHERE id = $begin / 1000000; COMMIT;"
		done | sql "$1" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
}

# damaged JOURNAL: as far as that is possible without SQLite's doing
damaged() {
	killed "$1" 2>"$dir/killed"
	[ "$1" = wal ] || [ -s "$file-journal" ] ||
		die "it was killed without a journal"
	judged "$1"
	together "$1"
	judged "$1" "VACUUM;"
	# Most of the file goes while another process has it mapped.
	sql "$1" <<-SQL
	SELECT count(*) FROM item WHERE body IS NOT NULL;
	DELETE FROM item;
	.system sqlite3 '$file' VACUUM
	SELECT count(*), sum(id) FROM log;
	SQL
	judged "$1"
}

for journal in truncate delete wal; do
	truncate -s 0 "$file"
	{ filled && changed; } | sql $journal
	# TRUNCATE differs from DELETE only in what becomes of the journal.
	if [ $journal = truncate ] && [ "${CLIENTS-}" != long ]; then
		judged $journal
	else
		damaged $journal
	fi
	# The last one to leave a database writes the log back to it.
	[ ! -e "$file-wal" ] || die "the log is still there"
	outside $journal
	reached pages_allocated fault_around/fault_shared_read
done
[ "$(find "$dir" -name 'file-*' -size +0 | wc -l)" = 0 ] || die "a journal is left"
the_file_was_used
