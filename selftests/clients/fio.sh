#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# fio: writes the file by pwrite(2) and through a shared mapping, with a CRC-32C
# in every block, and verifies all of it: at once, and from another process.
# needs: fio
# way: link

. "$(dirname "$0")/lib.sh"

size=$(long_or 16M 2M)
rounds=$(long_or 6 1)

# judged COMMAND...: fio's exit status, and what it says it has done
judged() {
	local out
	out=$("$@" 2>&1) || die "fio fails: $(grep -E 'fio:|verify:' <<<"$out")"
	grep -oE 'rwts: total=[0-9]+,[0-9]+,[0-9]+' <<<"$out" ||
		die "fio has done nothing: $out"
}

common=(fio --filename="$file" --verify=crc32c --verify_fatal=1
	--verify_state_save=0 --allow_file_create=0)

for ((round = 1; round <= rounds; round++)); do
	use=("${common[@]}" --randseed="$round" --size="$size")
	# fio lays a file out anew if it is too short, and would unlink it first.
	truncate -s 0 "$file"
	truncate -s "$size" "$file"
	# One after the other, each over what the last one has left.
	jobs=()
	for engine in psync mmap; do
		one=(--name="$engine" --ioengine="$engine")
		jobs+=("${one[@]}" --rw=write --bs=64k
			"${one[@]}" --rw=randwrite --bs=4k
			"${one[@]}" --rw=randrw --bs=1k
			"${one[@]}" --rw=randrw --bsrange=512-33k --bs_unaligned=1
			"${one[@]}" --rw=randwrite --bs=8k --norandommap)
	done
	judged "${use[@]}" --stonewall "${jobs[@]}"
	reached pages_allocated fault_shared_write
	# Written one way, verified the other way by another process.
	job=(--name=writer --rw=randwrite --bs=4k)
	judged "${use[@]}" --ioengine=mmap "${job[@]}" --do_verify=0
	judged "${use[@]}" --ioengine=psync "${job[@]}" --verify_only
done
# All at once, side by side. (Only one can map it: fio 3.33 maps the file from
# its start whatever the job's offset.)
judged "${common[@]}" --size=25% --rw=randrw --bs=4k \
	--name=first --ioengine=mmap \
	--name=second --ioengine=psync --offset=25% \
	--name=third --ioengine=psync --offset=50% --thread=1 \
	--name=fourth --ioengine=psync --offset=75% --thread=1
the_file_was_used
