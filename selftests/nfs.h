/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An NFS for one program: the kernel's own server, and a mount of what it
 * exports, the program's ext4, over the loopback of a network namespace. All of
 * it has no path, and needs no other program: it goes with its last user.
 *
 * What exportfs, rpc.mountd and rpc.nfsd do is to write to these same files.
 */
#ifndef _SELFTESTS_NFS_H
#define _SELFTESTS_NFS_H

#include <linux/nfsd/cld.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "durable.h"

/* The files of this network namespace's server, or -1. */
static int nfs_server = -1;

/* Write to a file below a directory: 0, or -1 with errno. */
static inline int nfs_write(int dir, const char *name, const char *format, ...)
{
	char text[256];
	va_list args;
	int fd, n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fd = openat(dir, name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, n) == n ? 0 : -1;
	close(fd);
	return n;
}

static inline int nfs_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = ioctl(fd, SIOCSIFFLAGS, &request);

	close(fd);
	return ret;
}

/*
 * Who may mount, and what: the directory is number 0, the root of all that is
 * exported. 0x2402 is: from any port, by its number, without subtree checks.
 */
static inline int nfs_export(int directory)
{
	int rpc = open("/proc/self/net/rpc", O_PATH | O_CLOEXEC);
	int ret = -1;

	if (!nfs_write(rpc, "auth.unix.ip/channel",
		       "nfsd 127.0.0.1 2147483647 selftest\n") &&
	    !nfs_write(rpc, "nfsd.export/channel",
		       "selftest /proc/self/fd/%d/. 2147483647 %d 0 0 0\n",
		       directory, 0x2402) &&
	    !nfs_write(rpc, "nfsd.fh/channel",
		       "selftest 1 \\x00000000 2147483647 /proc/self/fd/%d/.\n",
		       directory))
		ret = 0;
	close(rpc);
	return ret;
}

/* The files by which the kernel's part is told what to do; -1: none. */
static inline int nfs_files(const char *type)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd = -1;

	if (fs >= 0 && !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	return fd;
}

/*
 * What nfsdcld does, until this program ends: say that no client is known from
 * before, so that none has to be waited for, and that all is well.
 */
static inline void nfs_keep_clients(int pipes)
{
	struct cld_msg_v2 message;
	int fd = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int tries = 0; fd < 0 && tries < 10000; tries++) {
		fd = openat(pipes, "nfsd/cld", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			usleep(1000);
	}
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		poll(&p, 1, -1);
		n = read(fd, &message, sizeof(message));
		if (n <= 0)
			_exit(1);
		message.cm_status = 0;
		if (message.cm_cmd == Cld_GetVersion)
			message.cm_u.cm_version = 2;
		if (write(fd, &message, n) != n)
			_exit(1);
	}
}

/* Only version 4, which needs no other service. */
static inline int nfs_serve(void)
{
	int pipes = nfs_files("rpc_pipefs");
	int server = nfs_files("nfsd");

	if (pipes < 0 || server < 0)
		return -1;
	if (!fork())
		nfs_keep_clients(pipes);
	close(pipes);
	nfs_server = server;
	if (nfs_write(server, "versions", "-3 +4 +4.2\n") ||
	    nfs_write(server, "portlist", "tcp 2049\n"))
		return -1;
	return nfs_write(server, "threads", "2\n");
}

/* Not hard: a test that is killed in the middle must not hang. */
static inline int nfs_mount(void)
{
	static const char * const options[][2] = {
		{ "source", "127.0.0.1:/" }, { "addr", "127.0.0.1" },
		{ "clientaddr", "127.0.0.1" }, { "vers", "4.2" },
		{ "proto", "tcp" }, { "port", "2049" }, { "timeo", "300" },
		{ "soft", NULL },
	};
	int fs = fsopen("nfs4", FSOPEN_CLOEXEC);
	int fd = -1, err = fs < 0;

	for (int i = 0; !err && i < 8; i++)
		err = fsconfig(fs, options[i][1] ? FSCONFIG_SET_STRING
						 : FSCONFIG_SET_FLAG,
			       options[i][0], options[i][1], 0);
	if (!err && !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	return fd;
}

/* Let there be ON_NFS, if the kernel can do it. After ext4_prepare(). */
static inline void nfs_prepare(void)
{
	run("/sbin/modprobe", "modprobe", "-qa", "nfsd", "nfsv4", NULL);
	if (ext4_root < 0 || unshare(CLONE_NEWNET) || nfs_loopback_up() ||
	    nfs_export(ext4_root) || nfs_serve())
		return;
	nfs_root = nfs_mount();
}

#endif /* _SELFTESTS_NFS_H */
