/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An overlayfs for one program, whose files are on the program's ext4. It is a descriptor,
 * but wants that ext4 to have a path: in a mount namespace of the program's own.
 */
#ifndef _SELFTESTS_OVERLAY_H
#define _SELFTESTS_OVERLAY_H

#include <sched.h>
#include <sys/mount.h>

#include "durable.h"

#define OVERLAY_ON	"/mnt"

/* Let there be ON_OVERLAY, if the kernel can do it. After ext4_prepare(). */
static inline void overlay_prepare(void)
{
	int fs = fsopen("overlay", FSOPEN_CLOEXEC);

	if (ext4_root < 0 || fs < 0 || mkdirat(ext4_root, "lower", 0755) ||
	    mkdirat(ext4_root, "upper", 0755) ||
	    mkdirat(ext4_root, "work", 0755) || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    move_mount(ext4_root, "", AT_FDCWD, OVERLAY_ON,
		       MOVE_MOUNT_F_EMPTY_PATH))
		return;
	if (!fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", OVERLAY_ON "/lower", 0) &&
	    !fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", OVERLAY_ON "/upper", 0) &&
	    !fsconfig(fs, FSCONFIG_SET_STRING, "workdir", OVERLAY_ON "/work", 0) &&
	    !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		overlay_root = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
}

#endif /* _SELFTESTS_OVERLAY_H */
