// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl load: find the module, check the parameters, insert it, and wait
 * for the device; or say why not, and what to do.
 */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <libkmod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The module to load, and how. */
struct load {
	struct kmod_ctx *ctx;
	struct kmod_module *module;
	struct kmod_list *info;		/* what the file tells of itself */
	const char *file;		/* --module, or NULL for the installed */
	char *options;			/* PARAM=VALUE, joined by spaces */
	struct utsname kernel;
};

static int find_file(struct load *load)
{
	struct stat st;
	int err;

	if (stat(load->file, &st))
		return ctl_error("cannot load %s: %m", load->file);
	if (!S_ISREG(st.st_mode))
		return ctl_error("%s is not a file", load->file);
	if (access(load->file, R_OK))
		return ctl_error("cannot read %s: %m", load->file);
	err = kmod_module_new_from_path(load->ctx, load->file, &load->module);
	if (err)
		return ctl_error("%s is not a kernel module: its name should be " MODULE_NAME ".ko",
				 load->file);
	return CTL_OK;
}

static int find_installed(struct load *load)
{
	struct kmod_list *list = NULL;
	int err = kmod_module_new_from_lookup(load->ctx, MODULE_NAME, &list);

	if (err || !list)
		return ctl_error("no " MODULE_NAME " is installed for kernel %s; "
				 "install it, or name a file with --module",
				 load->kernel.release);
	load->module = kmod_module_get_module(list);
	kmod_module_unref_list(list);
	return CTL_OK;
}

/* Is there an entry of the key whose value is, up to a ':', name[0..length)? */
static bool info_has(const struct kmod_list *info, const char *key,
		     const char *name, size_t length)
{
	const struct kmod_list *entry;

	kmod_list_foreach(entry, info) {
		const char *value = kmod_module_info_get_value(entry);

		if (!strcmp(kmod_module_info_get_key(entry), key) &&
		    strcspn(value, ":") == length &&
		    !strncmp(value, name, length))
			return true;
	}
	return false;
}

static const char *info_get(const struct kmod_list *info, const char *key)
{
	const struct kmod_list *entry;

	kmod_list_foreach(entry, info)
		if (!strcmp(kmod_module_info_get_key(entry), key))
			return kmod_module_info_get_value(entry);
	return "";
}

/* The file must be this module, whatever it is called. */
static int check_module(struct load *load)
{
	const char *path = kmod_module_get_path(load->module);
	int err = kmod_module_get_info(load->module, &load->info);

	if (err == -ENOMEM)
		return ctl_error("out of memory");
	if (err < 0)
		return ctl_error("%s is not a kernel module", path);
	if (strcmp(info_get(load->info, "name"), MODULE_NAME))
		return ctl_error("%s is another module, '%s'", path,
				 info_get(load->info, "name"));
	return CTL_OK;
}

/* Each word is PARAM=VALUE, and stays one word when the kernel parses them. */
static int check_words(char **words, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		size_t length = strcspn(words[i], "=");

		if (!length || !words[i][length])
			return ctl_usage_error("'%s' is not of the form PARAM=VALUE",
					       words[i]);
		if (strpbrk(words[i], " \t\n\""))
			return ctl_usage_error("'%s' has a space or a quote in it",
					       words[i]);
	}
	return CTL_OK;
}

/* The kernel would load the module and only warn of a name it does not know. */
static int check_parameters(struct load *load, char **words, int count)
{
	size_t size = 1;
	int i;

	for (i = 0; i < count; i++) {
		size_t length = strcspn(words[i], "=");

		if (!info_has(load->info, "parm", words[i], length))
			return ctl_error(MODULE_NAME " has no parameter '%.*s'",
					 (int)length, words[i]);
		size += strlen(words[i]) + 1;
	}
	load->options = calloc(1, size);
	if (!load->options)
		return ctl_error("out of memory");
	for (i = 0; i < count; i++) {
		strcat(load->options, i ? " " : "");
		strcat(load->options, words[i]);
	}
	return CTL_OK;
}

static int explain_eperm(void)
{
	char line[64];

	if (geteuid())
		return ctl_error("only root may load modules");
	if (sysfs_read("/proc/sys/kernel", "modules_disabled", line,
		       sizeof(line)) && !strcmp(line, "1"))
		return ctl_error("the kernel takes no more modules; "
				 "kernel.modules_disabled is 1 until the next boot");
	if (sysfs_read("/sys/kernel/security", "lockdown", line,
		       sizeof(line)) && !strstr(line, "[none]"))
		return ctl_error("the kernel is locked down and takes signed modules only; "
				 "sign the module, or turn Secure Boot off");
	return ctl_error("not permitted to load modules; in a container, load it on the host");
}

static bool same_release(const struct load *load)
{
	const char *vermagic = info_get(load->info, "vermagic");
	size_t length = strlen(load->kernel.release);

	return !strncmp(vermagic, load->kernel.release, length) &&
	       vermagic[length] == ' ';
}

static int explain_wrong_kernel(const struct load *load)
{
	return ctl_error("%s is built for another kernel ('%s'); "
			 "this is %s: build it again for this one",
			 kmod_module_get_path(load->module),
			 info_get(load->info, "vermagic"),
			 load->kernel.release);
}

static int explain_parameters(const struct load *load)
{
	const struct kmod_list *entry;
	int status;

	status = ctl_error("the kernel refused '%s': a value is not valid (dmesg tells which)",
			   load->options);
	kmod_list_foreach(entry, load->info)
		if (!strcmp(kmod_module_info_get_key(entry), "parm"))
			fprintf(stderr, "  %s\n",
				kmod_module_info_get_value(entry));
	return status;
}

static int explain(const struct load *load, int err)
{
	switch (err) {
	case EEXIST:
		return ctl_error(MODULE_NAME " is already loaded; unload it first");
	case EPERM:
	case EACCES:
		return explain_eperm();
	case ENOEXEC:
	case ENOENT:	/* it wants a symbol that this kernel has not */
		return explain_wrong_kernel(load);
	case EINVAL:
	case ERANGE:
	case EFBIG:
		if (load->options[0])
			return explain_parameters(load);
		if (!same_release(load))
			return explain_wrong_kernel(load);
		break;
	case EKEYREJECTED:
	case ENOKEY:
	case EBADMSG:
		return ctl_error("the kernel takes only modules signed with a key it trusts; "
				 "sign the module, or turn Secure Boot off");
	case ENOSYS:
		return ctl_error("this kernel cannot load modules; "
				 "it is built without CONFIG_MODULES");
	}
	return ctl_error("cannot load " MODULE_NAME ": %s; dmesg may tell more",
			 strerror(err));
}

/* What modprobe.d says goes for the installed module, not for a file. */
static int insert(struct load *load)
{
	int err;

	if (load->file)
		err = kmod_module_insert_module(load->module, 0, load->options);
	else
		err = kmod_module_probe_insert_module(load->module,
						      KMOD_PROBE_FAIL_ON_LOADED |
						      KMOD_PROBE_IGNORE_COMMAND,
						      load->options, NULL,
						      NULL, NULL);
	return err ? explain(load, -err) : CTL_OK;
}

static int load_module(struct load *load, char **words, int count)
{
	int status;

	load->ctx = kmod_new(NULL, NULL);
	if (!load->ctx)
		return ctl_error("out of memory");
	/* No words of its own: what is wrong is said here. */
	kmod_set_log_priority(load->ctx, -1);
	uname(&load->kernel);
	status = load->file ? find_file(load) : find_installed(load);
	if (status == CTL_OK)
		status = check_module(load);
	if (status == CTL_OK)
		status = check_parameters(load, words, count);
	if (status == CTL_OK)
		status = node_is_free(DEVICE_PATH, CLASS_SYSFS);
	if (status == CTL_OK)
		status = insert(load);
	if (status == CTL_OK)
		status = node_wait(DEVICE_PATH, CLASS_SYSFS);
	return status;
}

int ctl_load(int argc, char **argv)
{
	static const struct option options[] = {
		{ "module", required_argument, NULL, 'm' },
		{ }
	};
	struct load load = { };
	int status;
	int option;

	while ((option = getopt_long(argc, argv, "m:", options, NULL)) != -1) {
		if (option != 'm')
			return ctl_usage_error("load takes --module FILE and PARAM=VALUE");
		load.file = optarg;
	}
	status = check_words(argv + optind, argc - optind);
	if (status == CTL_OK)
		status = load_module(&load, argv + optind, argc - optind);
	free(load.options);
	kmod_module_info_free_list(load.info);
	kmod_module_unref(load.module);
	kmod_unref(load.ctx);
	return status;
}
