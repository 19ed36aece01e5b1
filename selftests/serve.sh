#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# mmapdevctl serve: an object as a file at a path, for real programs.
#
#   MMAPDEVCTL  the tool (default ../build/userspace/mmapdevctl)
#
# Needs the module loaded, and its file system not mounted; leaves no object
# behind.

. "$(dirname "$0")/ctl.sh"

[ -c /dev/mmapdev ] || skip_all "no /dev/mmapdev: load the module"

name=selftest-$$
node=/dev/mmapdev-$name
serving=()	# processes
cd "$tmp" || exit 1
mkfifo fifo

clear_up() {
	local mounted
	[ ${#serving[@]} = 0 ] || kill "${serving[@]}" 2>/dev/null
	wait
	serving=()
	while read -r _ mounted _; do
		[[ $mounted != "$tmp"/* ]] || umount "$mounted"
	done </proc/mounts
	rm -rf "$tmp"/path* "$tmp"/log
	[ ! -e "$node" ] || "$tool" remove "$name"
}

### Expectations of its own.

# A script has its background processes ignore Ctrl-C, and nohup(1) has all.
signals=INT,QUIT,HUP

# begin SERVE-ARGUMENTS...: in the background, until it is ready; its process is
# $begun.
begin() {
	local line=''
	env --default-signal="$signals" "$tool" serve "$name" "$@" >fifo &
	begun=$!
	serving+=("$begun")
	read -r -t 20 line <fifo
	[[ $line == "serving $name at "* ]] || fail "not ready: '$line'"
}

# end SIGNAL [PROCESS]: it ends well
end() {
	local status=0
	kill -s "$1" "${2:-$begun}"
	wait "${2:-$begun}" || status=$?
	is 0 $status
	serving=()
}

# wait_while CONDITION...: at most 20 s
wait_while() {
	local i
	for ((i = 0; i < 400; i++)); do
		"$@" || return
		sleep 0.05
	done
}

# on_terminal FILE COMMAND: type Ctrl-C once there is the file, and let go of
# the terminal once path is gone.
on_terminal() {
	{
		wait_while [ ! -e "$1" ]
		printf '\003'
		wait_while [ -L path ]
	} | env --default-signal="$signals" \
		timeout 30 script -qefc "$2" typed >/dev/null
}

absent() {
	local path
	for path; do
		[ ! -e "$path" ] || fail "$path is there"
		[ ! -L "$path" ] || fail "$path is there, and dangles"
	done
}

# holds FILE TEXT: its first bytes are these
holds() {
	local text=''
	read -r -N ${#2} text <"$1"
	is "$2" "$text"
}

# mounts COUNT: the module's file system is mounted COUNT times
mounts() {
	local type count=0
	while read -r _ _ type _; do
		[ "$type" != mmapdev ] || count=$((count + 1))
	done </proc/mounts
	is "$1" $count
}

### Claims. Each begins and ends without an object, and with nothing served.

path_is_a_link_to_the_object_while_it_is_served() {
	ctl 0 create "$name" --size 64K
	begin --path path
	is "symbolic link" "$(stat -c %F path)"
	is "regular file 65536 600" "$(stat -L -c '%F %s %a' path)"
	printf 'by path' 1<>path
	holds "$node" 'by path'
	printf 'by node' 1<>"$node"
	holds path 'by node'
	printf short >path
	is 5 "$(cat "/sys/class/mmapdev/$name/size")"
	end TERM
	absent path
	holds "$node" short
	ctl 0 remove "$name"
}

bound_path_is_a_file_like_any_other() {
	ctl 0 create "$name" --size 64K
	begin --path path --bind
	is "$tmp/path" "$(realpath path)"
	is "regular file 65536 600" "$(stat -c '%F %s %a' path)"
	mounts 1
	printf 'by path' 1<>path
	holds "$node" 'by path'
	printf short >path
	is 5 "$(cat "/sys/class/mmapdev/$name/size")"
	end TERM
	absent path /tmp/mmapdevctl.*
	mounts 0
	holds "$node" short
	ctl 0 remove "$name"
}

each_ending_signal_removes_the_path() {
	local signal
	ctl 0 create "$name"
	for signal in INT TERM HUP QUIT; do
		begin --path path
		end $signal
		absent path
	done
	begin --path path --bind
	end INT
	absent path
	ctl 0 remove "$name"
}

signal_that_the_caller_ignores_is_ignored() {
	ctl 0 create "$name"
	trap '' HUP
	signals=INT begin --path path
	trap - HUP
	kill -HUP "$begun"
	sleep 0.2
	[ -L path ] || fail "it has ended"
	end TERM
	absent path
	ctl 0 remove "$name"
}

ctrl_c_ends_it() {
	ctl 0 create "$name"
	on_terminal path "exec $tool serve $name --path path"
	is 0 $?
	absent path
	ctl 0 remove "$name"
}

static_programs_work_on_the_path() {
	local how
	ctl 0 create "$name"
	for how in '' --bind; do
		# shellcheck disable=SC2086 # a word, or none
		begin --path path $how
		printf 'c\nb\na\n' | busybox dd of=path bs=1 2>/dev/null
		holds "$node" $'c\nb\na\n'
		busybox sort -o path path
		is $'a\nb\nc' "$(busybox cat path)"
		is 6 "$(busybox stat -L -c %s path)"
		busybox truncate -s 2 path
		is 2 "$(cat "/sys/class/mmapdev/$name/size")"
		end TERM
	done
	ctl 0 remove "$name"
}

command_runs_while_the_path_is_there_and_gives_the_status() {
	ctl 0 create "$name" --size 5
	printf hello 1<>"$node"
	ctl 0 serve "$name" --path path -- cat path
	is hello "$out"
	ctl 7 serve "$name" --path path -- sh -c 'test -L path && exit 7'
	ctl 7 serve "$name" --path path --bind -- sh -c \
		'test -f path && test ! -L path && cat path && exit 7'
	is hello "$out"
	absent path
	# shellcheck disable=SC2016 # the command's own
	ctl 137 serve "$name" --path path -- sh -c 'kill -9 $$'
	ctl 126 serve "$name" --path path -- "$tmp"
	is "mmapdevctl: cannot run $tmp: Permission denied" "$out"
	ctl 127 serve "$name" --path path --bind -- "$tmp/none"
	is "mmapdevctl: cannot run $tmp/none: No such file or directory" "$out"
	absent path
	ctl 0 remove "$name"
}

command_gets_no_descriptor_and_no_blocked_signal() {
	ctl 0 create "$name"
	ctl 0 serve "$name" --path path -- grep SigBlk /proc/self/status
	is $'SigBlk:\t0000000000000000' "$out"
	ctl 0 serve "$name" --path path -- ls -l /proc/self/fd
	says " 2 -> "
	[[ $out != *mmapdev* ]] || fail "it has one: $out"
	ctl 0 remove "$name"
}

signals_go_to_the_command() {
	local status=0
	ctl 0 create "$name"
	"$tool" serve "$name" --path path -- sh -c \
		'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done' \
		>fifo &
	begun=$!
	serving=("$begun")
	read -r -t 20 _ <fifo
	kill -TERM "$begun"
	wait "$begun" || status=$?
	is 9 "$status"
	absent path
	ctl 0 remove "$name"
}

ctrl_c_reaches_the_command_by_the_terminal_alone() {
	ctl 0 create "$name"
	cat >script <<-'END'
		trap 'echo int >>log' INT
		echo begun >log
		for i in 1 2 3; do read -r -t 0.2 <>never; done
		exit 7
	END
	on_terminal log "exec $tool serve $name --path path -- bash script"
	is 7 $?
	is "begun int" "$(xargs <log)"
	rm log
	# Away from the terminal nothing of it arrives.
	on_terminal log "exec $tool serve $name --path path -- setsid bash script"
	is 7 $?
	is begun "$(xargs <log)"
	absent path
	rm log script
	ctl 0 remove "$name"
}

path_that_exists_is_refused_and_untouched() {
	local how path
	ctl 0 create "$name"
	echo text >path-file
	mkdir path-dir
	ln -s nowhere path-link
	for how in '' --bind; do
		for path in path-file path-dir path-link; do
			# shellcheck disable=SC2086 # a word, or none
			ctl 1 serve "$name" --path $path $how
			is "mmapdevctl: $path exists" "$out"
		done
	done
	is text "$(cat path-file)"
	is nowhere "$(readlink path-link)"
	ctl 1 serve "$name" --path path-none/path
	says "cannot make path-none/path: No such file or directory"
	mounts 0
	rm -r path-*
	ctl 0 remove "$name"
}

link_that_another_serves_or_left_is_refused() {
	ctl 0 create "$name"
	begin --path path
	ctl 1 serve "$name" --path path
	is "mmapdevctl: path exists: process $begun serves an object there" \
		"$out"
	kill -KILL "$begun"
	wait "$begun" 2>/dev/null
	serving=()
	ctl 1 serve "$name" --path path
	says "path exists: a link to /proc/$begun/fd/"
	says "whose process was killed while it served; remove it"
	[ -L path ] || fail "the link is gone"
	rm path
	ctl 0 remove "$name"
}

path_that_was_replaced_is_left_alone() {
	ctl 0 create "$name"
	begin --path path
	ln -sfn /proc/1/fd/0 path
	end TERM
	is /proc/1/fd/0 "$(readlink path)"
	rm path
	begin --path path --bind
	umount path
	rm path
	echo text >path
	end TERM
	is text "$(cat path)"
	rm path
	ctl 0 remove "$name"
}

one_object_is_served_at_many_paths() {
	local first
	ctl 0 create "$name" --size 4K
	begin --path path-1
	first=$begun
	begin --path path-2 --bind
	printf one 1<>path-1
	holds path-2 one
	printf two 1<>path-2
	holds path-1 two
	end TERM
	absent path-2
	holds path-1 two
	end TERM "$first"
	absent path-1
	ctl 0 remove "$name"
}

object_that_is_served_outlives_its_name() {
	local objects how
	objects=$(cat /sys/class/misc/mmapdev/stats/objects)
	for how in '' --bind; do
		ctl 0 create "$name" --size 5
		# shellcheck disable=SC2086 # a word, or none
		begin --path path $how
		printf hello 1<>path
		ctl 0 remove "$name"
		absent "$node"
		holds path hello
		end TERM
		absent path
		is "$objects" "$(cat /sys/class/misc/mmapdev/stats/objects)"
	done
}

read_only_file_cannot_be_written() {
	ctl 0 create "$name" --size 5 --mode 0400 --owner nobody:nogroup
	printf hello 1<>"$node"
	ctl_by as_nobody 1 serve "$name" --path path
	says "cannot open $node: Permission denied"
	install -d -o nobody path-dir
	# shellcheck disable=SC2016 # the command's own
	ctl_by as_nobody 0 serve "$name" --path path-dir/link --read-only -- \
		sh -c 'cat "$0"; ! (echo x 1<>"$0") 2>/dev/null' path-dir/link
	is hello "$out"
	begin --path path --bind --read-only
	out=$( (echo x 1<>path) 2>&1) && fail "wrote to it"
	says "Read-only file system"
	holds path hello
	end TERM
	rmdir path-dir
	ctl 0 remove "$name"
}

without_privilege_bind_is_refused_and_nothing_remains() {
	ctl 0 create "$name" --owner nobody
	install -d -o nobody path-dir
	ctl_by as_nobody 1 serve "$name" --path path-dir/path --bind
	says "not permitted to mount (CAP_SYS_ADMIN)"
	absent path-dir/path /tmp/mmapdevctl.*
	rmdir path-dir
	ctl 0 remove "$name"
}

without_an_object_or_a_reader_nothing_remains() {
	ctl 1 serve "$name" --path path
	is "mmapdevctl: no object has the name '$name'; 'mmapdevctl list' shows the names" "$out"
	absent path
	ctl 0 create "$name"
	out=$("$tool" serve "$name" --path path 2>&1 >&- <&-)
	is "mmapdevctl: cannot write the output: Bad file descriptor" "$out"
	is 0 "$(cat "/sys/class/mmapdev/$name/size")"
	absent path
	out=$(stdbuf -oL "$tool" serve "$name" --path path 2>&1 >/dev/full)
	is "mmapdevctl: cannot write the output: No space left on device" "$out"
	absent path
	ctl 0 remove "$name"
}

### Run them, in the order of this file.

mkfifo never
run_claims
