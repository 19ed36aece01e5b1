#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# QEMU: the file is a guest's memory (memory-backend-file, share=on). A small
# guest fills it; another verifies what the first has left. At length, a kernel
# boots in it, too.
# needs: qemu-system-x86_64
# way: link

. "$(dirname "$0")/lib.sh"

# machine SIZE SHARE ARGUMENT...
machine() {
	qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
		-accel tcg -m "$1" -object \
		"memory-backend-file,id=m,size=$1,mem-path=$file,share=$2" \
		-machine pc,memory-backend=m "${@:3}"
}

# guest WANTED SHARE WORD: the small guest's status must be WANTED
guest() {
	local status=0
	machine 64M "$2" -device isa-debug-exit,iobase=0xf4,iosize=1 \
		-kernel "$BUILT/client_guest" -append "$3" || status=$?
	[ $status = "$1" ] || die "$3, share=$2: status $status"
	echo "$3, share=$2: status $status"
}

# What a guest ends with: guest.c.
well=33 wrong=35

# The range that it fills, in MiB.
first=2 last=32
range() { dd if="$file" bs=1M skip=$first count=$((last - first)) status=none; }

small() {
	truncate -s 0 "$file"
	truncate -s 64M "$file"
	guest $well on fill
	reached fault_shared_write
	range | cksum
	guest $well on verify
	reached fault_around/fault_shared_read
	# What a guest writes is its own if the memory is not shared.
	fallocate -p -o ${first}M -l $((last - first))M "$file"
	reached pages_freed
	guest $well off fill
	reached fault_cow_source
	[ "$(range | tr -d '\0' | wc -c)" = 0 ] ||
		die "private memory reaches the file"
}

# Would it notice?
noticing() {
	guest $wrong on verify
	guest $well on fill
	dd if=/dev/zero of="$file" bs=64 seek=$((first << 14 | 12345)) count=1 \
		conv=notrunc status=none
	guest $wrong on verify
}

# The kernel that runs here, with an initramfs that says one thing.
kernel() {
	local version modules image root=$dir/root marker=mmapdev-client-$RANDOM
	version=$(uname -r)
	modules=$(realpath "/lib/modules/$version")
	# A guest of scripts/vm has its modules from another file tree.
	for image in "$modules"/../../../{..,.}/boot/vmlinuz-"$version" \
		"/boot/vmlinuz-$version"; do
		[ ! -e "$image" ] || break
	done
	[ -e "$image" ] || die "no kernel image of $version"
	mkdir -p "$root/bin" "$root/proc" "$root/dev"
	cp /bin/busybox "$root/bin/"
	cat >"$root/init" <<-END
	#!/bin/busybox sh
	/bin/busybox mount -t proc proc /proc
	/bin/busybox mount -t devtmpfs devtmpfs /dev
	cd /dev
	/bin/busybox yes $marker | /bin/busybox head -c 30000000 >/marker
	/bin/busybox sha256sum /marker
	echo "the guest has said it all"
	/bin/busybox poweroff -f
	END
	chmod 755 "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$dir/initramfs"
	rm -rf "$root"
	truncate -s 0 "$file"
	truncate -s 256M "$file"
	machine 256M on -kernel "$image" -initrd "$dir/initramfs" \
		-append "console=ttyS0 quiet panic=-1" -serial "file:$dir/console"
	grep -q 'the guest has said it all' "$dir/console" ||
		die "the kernel does not boot: $(tail -n 5 "$dir/console")"
	grep -qF "$(yes "$marker" | head -c 30000000 | sha256sum | cut -d ' ' -f 1)" \
		"$dir/console" || die "the kernel's file is damaged"
	# Its page cache is in its memory, which is the file.
	[ "$(grep -acF "$marker" "$file")" -gt 100000 ] ||
		die "what the kernel wrote is not in the file"
	echo "kernel: boots"
	reached fault_shared_write
}

for ((round = 0; round < $(long_or 10 1); round++)); do
	small
done
if [ "${CLIENTS-}" = long ]; then
	noticing
	kernel
fi
the_file_was_used
