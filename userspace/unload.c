// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl unload.
 */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <libkmod.h>
#include <stdlib.h>
#include <string.h>

static int explain(int err)
{
	switch (err) {
	case 0:
		return CTL_OK;
	case ENOENT:
	case ENOSYS:	/* a kernel without modules */
		return ctl_error(MODULE_NAME " is not loaded");
	case EPERM:
		return ctl_error("only root may unload modules");
	case EAGAIN:	/* in use */
	case EBUSY:	/* being loaded or unloaded */
		ctl_error(MODULE_NAME " is in use; "
			  "unload it when these have closed, unmapped and unmounted it:");
		holders_print();
		return CTL_ERROR;
	default:
		return ctl_error("cannot unload " MODULE_NAME ": %s",
				 strerror(err));
	}
}

int ctl_unload(int argc, char **argv)
{
	static const struct option options[] = { { } };
	struct kmod_ctx *ctx;
	struct kmod_module *module;
	int err;

	if (getopt_long(argc, argv, "", options, NULL) != -1 || optind < argc)
		return ctl_usage_error("unload takes no arguments");
	ctx = kmod_new(NULL, NULL);
	if (!ctx)
		return ctl_error("out of memory");
	err = kmod_module_new_from_name(ctx, MODULE_NAME, &module);
	if (!err) {
		err = kmod_module_remove_module(module, KMOD_REMOVE_NOLOG);
		kmod_module_unref(module);
	}
	kmod_unref(ctx);
	return explain(-err);
}
