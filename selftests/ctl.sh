# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the tests of mmapdevctl share: running it, expectations, claims. Source
# it; a test's claims are its functions between "### Claims" and "### Run".

set -u
here=$(cd "$(dirname "$0")" && pwd)
tool=${MMAPDEVCTL:-$here/../build/userspace/mmapdevctl}

echo "TAP version 13"

skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -x "$tool" ] || skip_all "no $tool: run make -C userspace"

# What a claim leaves behind that fails: a test has its own.
clear_up() { :; }

leave_as_found() {
	clear_up
	cd /
	rm -r "$tmp"
}

# A copy that an unprivileged user can reach.
tmp=$(mktemp -d)
trap leave_as_found EXIT
chmod 755 "$tmp"
install -m 755 "$tool" "$tmp/mmapdevctl"
tool=$tmp/mmapdevctl

# A user without any privilege.
cat >"$tmp/as_nobody" <<END
#!/bin/sh
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$tool" "\$@"
END
chmod 755 "$tmp/as_nobody"

### Expectations: each that fails says how, and fails the claim.

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

says() {
	case $out in
	*"$1"*) ;;
	*) fail "does not say '$1': $out" ;;
	esac
}

is() {
	[ "$2" = "$1" ] || fail "'$2', not '$1'"
}

# each_is_wrong_usage: each line of the input, as arguments
each_is_wrong_usage() {
	local words
	while read -r words; do
		# shellcheck disable=SC2086 # words are words
		ctl 2 $words
		says "Try 'mmapdevctl --help'"
	done
}

# run_claims: in the order of their file; after one that fails, clear_up.
run_claims() {
	local claims claim failures=0 number=0
	mapfile -t claims < <(sed -n \
		'/^### Claims/,/^### Run/s/^\([a-z_0-9]*\)() {$/\1/p' \
		"$here/${0##*/}")
	echo "1..${#claims[@]}"
	for claim in "${claims[@]}"; do
		failed=0
		"$claim"
		number=$((number + 1))
		if [ $failed = 0 ]; then
			echo "ok $number $claim"
		else
			echo "not ok $number $claim"
			failures=$((failures + 1))
			clear_up
		fi
	done
	echo "# Totals: pass:$((number - failures)) fail:$failures xfail:0 xpass:0 skip:0 error:0"
	[ $failures = 0 ]
}
